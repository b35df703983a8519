"""What a reader must know before relying on a headline."""

import pytest

from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import summarise
from wrongkey.reports.verdicts import cautions, fails

KEYS = [99.0] * 40


@pytest.mark.parametrize(
    ("metric", "task", "plain", "failing"),
    [
        ("wer", "asr", 93.2, True), ("wer", "asr", 140.0, True), ("wer", "asr", 60.0, False),
        ("cer", "asr", 85.0, True), ("accuracy", "asc", 12.0, True), ("accuracy", "asc", 50.0, False),
        ("eer", "asv", 47.0, True), ("eer", "asv", 20.0, False), ("min_dcf", "asv", 0.9, False),
    ],
)  # fmt: skip
def test_a_plain_model_that_fails_is_said_to(make_run, metric, task, plain, failing):
    folder = make_run("run", KEYS, metric=metric, task=task, plain=plain, correct=plain, config={"metric": metric})
    result = summarise(load_run(folder))
    assert fails(result) == failing
    said = [sentence for sentence in cautions(result) if "cannot show protection" in sentence]
    assert len(said) == failing


def test_the_score_of_a_failing_recogniser_is_named(make_run):
    """Plain WER 93 %: it once had no caution, because only metrics with a chance level had one."""
    folder = make_run("run", KEYS, metric="wer", task="asr", plain=93.2, correct=93.2)
    assert "The plain model itself fails (WER 93.2 %): this run cannot show protection." in cautions(
        summarise(load_run(folder))
    )
