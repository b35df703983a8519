import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.metrics.subgroups import FEWEST, eer_of_least_protected, halves_of_speakers, within_genders


def crossed(speakers: int, targets: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """`targets` trials of each speaker with themselves, and as many between neighbours on a ring."""
    own = np.repeat(np.arange(speakers), targets)
    pairs = np.concatenate([np.stack([own, own], 1), np.stack([own, (own + 1) % speakers], 1)])
    return pairs, pairs[:, 0] == pairs[:, 1]


def test_trials_within_a_gender_are_between_two_of_it() -> None:
    speakers, target = crossed(6, 40)
    found = within_genders(target, speakers, ("f", "f", "f", "m", "m", None))
    assert set(found) == {"f", "m"}
    assert set(map(tuple, speakers[found["m"]])) == {(3, 3), (4, 4), (3, 4)}
    lonely = within_genders(target, speakers, ("f", "m", "f", "m", "f", "m"))
    assert not lonely  # no trial between two of one gender
    speakers, target = crossed(4, FEWEST // 3 - 1)
    assert not within_genders(target, speakers, ("f", "f", "m", "m"))


def test_the_halves_of_a_speaker_are_his_trials_each_once() -> None:
    speakers, target = crossed(3, 20)
    halves = halves_of_speakers(target, speakers)
    assert len(halves) == 3
    for speaker, (one, other) in enumerate(halves):
        both = np.concatenate([one, other])
        assert sorted(both) == np.flatnonzero((speakers == speaker).any(1)).tolist()
        assert target[one].sum() == target[other].sum() == 10
    speakers, target = crossed(3, 19)
    assert halves_of_speakers(target, speakers) == ()


def test_the_least_protected_speaker_is_found_and_judged_on_other_trials() -> None:
    rng = np.random.default_rng(5)
    speakers, target = crossed(12, 200)
    halves = halves_of_speakers(target, speakers)
    gap = np.where((speakers == 7).all(1), 2 * 1.2816, 2 * 0.2533)  # speaker 7 is known at an EER of 10 %, all at 40
    scores = torch.from_numpy(rng.standard_normal((20, len(target))) + gap * target)
    assert eer_of_least_protected(scores, torch.from_numpy(target), halves).mean() == pytest.approx(10, abs=2)


def test_the_least_protected_of_equals_is_as_good_as_any() -> None:
    """The lowest of 12 noisy rates lies far below the truth; judged on other trials it does not."""
    rng = np.random.default_rng(6)
    speakers, target = crossed(12, 40)
    halves = halves_of_speakers(target, speakers)
    scores = torch.from_numpy(rng.standard_normal((100, len(target))))
    kinds = torch.from_numpy(target)
    own = [torch.from_numpy(np.concatenate(both)) for both in halves]
    lowest = torch.stack([eer(scores[:, trials], kinds[trials]) for trials in own]).amin(0).mean()
    assert lowest < 45 < eer_of_least_protected(scores, kinds, halves).mean() == pytest.approx(50, abs=2)
