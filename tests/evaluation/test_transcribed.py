"""Lists of recordings with transcripts: Common Voice's and NeMo's."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evaluation.corpora import load_audio, open_corpus
from keys.errors import BadInput


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "clips").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / "clips" / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    return tmp_path


def test_common_voice(clips: Path):
    table = clips / "test.tsv"
    table.write_text("client_id\tpath\tsentence\tage\nann\ta.wav\tHello there.\t30\nbob\tb.wav\tYes\t\n")
    corpus = open_corpus(f"tsv:{table}")
    assert [(u.id, u.speaker, u.text) for u in corpus.utterances] == [("a", "ann", "Hello there."), ("b", "bob", "Yes")]
    table.write_text("path\tage\na.wav\t3\n")
    with pytest.raises(BadInput, match="no column text"):
        open_corpus(f"tsv:{table}")
    table.write_text("path\ttext\nmissing.wav\thello\n")
    with pytest.raises(BadInput, match=r"missing\.wav"):
        open_corpus(f"tsv:{table}")


def test_nemo_manifests_cut_pieces(clips: Path):
    table = clips / "test.jsonl"
    row = {"audio_filepath": "clips/a.wav", "text": "one two", "offset": 0.25, "duration": 0.5}
    table.write_text(json.dumps(row) + "\n\n" + json.dumps({"path": "clips/b.wav", "text": "three"}) + "\n")
    first, second = open_corpus(f"jsonl:{table}").utterances
    assert (first.text, len(load_audio(first))) == ("one two", 8_000)
    assert (second.text, len(load_audio(second))) == ("three", 16_000)
    table.write_text("{oops\n")
    with pytest.raises(BadInput, match="malformed line 1"):
        open_corpus(f"jsonl:{table}")


def test_only_the_listed_utterances(clips: Path):
    table, chosen = clips / "test.tsv", clips / "chosen.txt"
    table.write_text("path\ttext\na.wav\tone\nb.wav\ttwo\n")
    chosen.write_text("b\n")
    assert [u.id for u in open_corpus(f"tsv:{table}").only_listed(chosen).utterances] == ["b"]
    chosen.write_text("b\nzzz\n")
    with pytest.raises(BadInput, match="zzz"):
        open_corpus(f"tsv:{table}").only_listed(chosen)
