"""The order of bins: groups of background speech, bins that never change, and too little speech."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch

from wrongkey.attacks.spectrograms.annealing import Assignment, annealed_order, rearranged
from wrongkey.attacks.spectrograms.bin_order import bin_statistics, groups, public_bins
from wrongkey.attacks.spectrograms.search import _extended
from wrongkey.attacks.spectrograms.settings import SpectrogramMomentsSettings
from wrongkey.attacks.spectrograms.statistics import moments
from wrongkey.errors import BadInput

SETTINGS = SpectrogramMomentsSettings()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_long_query_makes_several_groups():
    found = list(groups([noise(400, 5), noise(30, 5)], 100))
    assert [sum(map(len, group)) for group in found] == [100, 100, 100, 100]


def test_speech_of_one_group_is_refused_in_a_sentence():
    with pytest.raises(BadInput, match="too short to be compared with itself"):
        public_bins([[noise(50, 5)]], SETTINGS)


@pytest.mark.parametrize("frames", [[2], [3], [2, 3]])
def test_queries_of_few_frames_are_refused_in_a_sentence(frames):
    with pytest.raises(BadInput, match="over three frames"):
        bin_statistics([noise(count, 5) for count in frames], SETTINGS)
    assert torch.isfinite(bin_statistics([noise(3, 5), noise(3, 5)], SETTINGS).profile).all()


def test_a_bin_may_move_by_one_place():
    """Of three bins two must be exchanged: with one exchange all others are out of reach."""
    nothing = torch.zeros(1, 40, 40, dtype=torch.float64)
    order = torch.eye(40, dtype=torch.float64)
    ways = set()
    for seed in range(200):
        problem = Assignment(nothing, nothing, noise(40, 40, seed=seed))
        key = rearranged(problem, order, seed, (1e9, 1e8), replace(SETTINGS, exchanges=1))
        moved = (key.argmax(1) != torch.arange(40)).nonzero().flatten().tolist()
        ways |= {moved[-1] - moved[0]} if len(moved) == 2 else set()
    assert 1 in ways


def test_elements_that_are_all_alike_keep_their_order():
    """Annealing has no unit of temperature there."""
    nothing = torch.zeros(1, 20, 20, dtype=torch.float64)
    problem = Assignment(nothing, nothing, nothing[0])
    start = torch.eye(20, dtype=torch.float64).flip(0)
    assert torch.equal(annealed_order(cast(Any, problem), start, 2**40, SETTINGS), start)


def test_bins_without_sound_do_not_keep_the_others_from_being_ordered():
    """More than half of the neighbours are alike, so that the median change of an exchange is zero."""
    size, silent = 12, 8
    profile = torch.zeros(size, dtype=torch.float64)
    profile[silent:] = torch.arange(1.0, size - silent + 1, dtype=torch.float64)
    shuffled = profile.clone()
    shuffled[silent:] = profile[silent:].flip(0)
    nothing = torch.zeros(1, size, size, dtype=torch.float64)
    problem = Assignment(nothing, nothing, -(profile[:, None] - shuffled).square())
    key = rearranged(problem, torch.eye(size, dtype=torch.float64), 0, (0.1, 0.001), SETTINGS)
    assert torch.equal(key @ shuffled, profile)


def test_elements_that_never_change_leave_the_other_directions_finite():
    public = [torch.cat([noise(3, 300, 20, seed=s), torch.ones(3, 300, 5, dtype=torch.float64)], 2) for s in range(3)]
    found = moments(public)
    key = _extended(torch.eye(4, dtype=torch.float64), found, found, SETTINGS)
    assert torch.isfinite(key).all()
    assert torch.allclose(key @ key.mT, torch.eye(25, dtype=torch.float64), atol=1e-8)
