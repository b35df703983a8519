"""Other libraries' error rates in `benchmarks.scorers`: equal where they are defined alike, and named where missing."""

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.scorers import of_scores, of_texts
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.tasks.asr import SpeechRecognition

TARGET = torch.arange(300) < 60
SCORES = torch.randn(2, 300, generator=torch.Generator().manual_seed(0)) + TARGET


def test_the_same_eer_is_found_by_scikit_learn():
    ways, _ = of_scores(SCORES, TARGET)
    own, other = (ways[name]() for name in list(ways)[:2])
    assert other == pytest.approx(own, abs=1e-3) and 10 < own[0] < 50


def test_the_same_wer_is_found_by_jiwer():
    said = ("one two three", "four five")
    utterances = [Utterance(f"u{i}", "", Path("none"), text=text) for i, text in enumerate(said)]
    task = SpeechRecognition.of(utterances, "basic", 0, 0)
    ways, _ = of_texts(task, [[Hypothesis("One too, three four."), Hypothesis("four five")]])
    own, other = (ways[name]() for name in list(ways)[:2])
    assert own == other == [pytest.approx(40.0)]  # one word of five is another, and one too many


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, "not installed"),
        ("raise OSError", "does not load (OSError)"),
        ("import none_such", "does not load (none_such)"),
    ],
)
def test_a_library_that_cannot_be_asked_is_named(code, said, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "speechbrain"]:
        monkeypatch.delitem(sys.modules, name)
    if code is None:
        monkeypatch.setitem(sys.modules, "speechbrain", None)
    else:
        (tmp_path / "speechbrain.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
    ways, missing = of_scores(SCORES, TARGET)
    assert missing == {"EER, SpeechBrain": said} and not any("SpeechBrain" in name for name in ways)
