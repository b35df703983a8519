"""Segments in memory: what was given, in its order, and none of the recordings that they were cut from."""

import psutil
import pytest
import torch

from wrongkey.evaluation import queries
from wrongkey.evaluation.queries import InMemory

SHAPES = [(1, 30), (2, 30), (3, 5, 7)]


def many() -> list[torch.Tensor]:
    order = [0, 1, 0, 0, 2, 1, 0, 2, 0, 0, 0, 1, 0, 0]
    return [torch.full(SHAPES[which], float(number)) for number, which in enumerate(order)]


@pytest.mark.parametrize("part", [1, 300, 1 << 20])
def test_segments_are_joined_in_their_order(monkeypatch, part):
    monkeypatch.setattr(queries, "PART", part)
    held, given = InMemory(), many()
    for segments in given:
        held.append(segments)
    for shape in SHAPES:
        expected = torch.cat([segments for segments in given if segments.shape == shape])
        torch.testing.assert_close(held.joined(shape), expected, rtol=0, atol=0)
    assert not list(held.all())


def test_segments_that_go_into_files_come_out_once():
    held, given = InMemory(), many()
    for segments in given:
        held.append(segments)
    found = sorted(int(segments.flatten()[0]) for segments in held.all())
    assert found == list(range(len(given))) and not list(held.all())


def test_a_recording_is_not_kept_for_the_segment_that_was_cut_from_it():
    held, before = InMemory(), psutil.Process().memory_info().rss
    for _ in range(100):
        held.append(torch.ones(1, 2_000_000)[:, :10_000])  # 8 MB, of which 40 kB are asked
    assert psutil.Process().memory_info().rss - before < 200e6
    assert held.joined((1, 10_000)).shape == (100, 10_000)
