"""Utterances that are read ahead."""

import threading

import pytest
import torch

from wrongkey.evaluation.corpora import Utterance, open_corpus
from wrongkey.evaluation.reader import read_ahead

UTTERANCES = open_corpus("bundled").utterances[:12]


class Reading:
    """Reads an utterance as its number, notes it, and fails at one of them."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at, self.noted, self.lock = fails_at, set[int](), threading.Lock()

    def __call__(self, utterance: Utterance) -> torch.Tensor:
        number = UTTERANCES.index(utterance)
        with self.lock:
            self.noted.add(number)
        if number == self.fails_at:
            raise ValueError(f"number {number}")
        return torch.tensor([number])


@pytest.mark.parametrize("threads", [1, 3])
def test_utterances_come_in_their_order(threads):
    assert [int(one) for one in read_ahead(Reading(), UTTERANCES, threads)] == list(range(12))


def test_no_more_is_read_ahead_than_is_needed_to_keep_the_threads_busy():
    """Else a corpus would be in memory before its first segment is cut."""
    reading = Reading()
    arriving = read_ahead(reading, UTTERANCES, 2)
    for _ in range(3):
        next(arriving)
    arriving.close()
    assert {0, 1, 2} <= reading.noted <= set(range(7))


def test_a_recording_that_cannot_be_read_is_told_in_its_place():
    arriving = read_ahead(Reading(fails_at=5), UTTERANCES, 3)
    assert [int(next(arriving)) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="number 5"):
        next(arriving)


def test_long_recordings_are_read_one_by_one(monkeypatch):
    """Hours of speech, of which some lie in memory at once, would fill it."""
    monkeypatch.setattr("wrongkey.evaluation.reader.AHEAD", 1)
    reading = Reading()
    arriving = read_ahead(reading, UTTERANCES, 4)
    for number in range(3):
        assert int(next(arriving)) == number
        assert max(reading.noted) <= number + 1
    arriving.close()
