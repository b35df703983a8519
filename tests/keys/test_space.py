"""Key spaces against counting, exact volumes and draws."""

from itertools import pairwise, permutations
from math import asin, factorial, isclose, log, log2, log10, pi, sin

import numpy as np
import pytest
from scipy.special import gammaln

from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.schemes import SCHEMES, Scheme
from wrongkey.keys.space import key_space
from wrongkey.keys.volume import (
    GUESSES,
    derangements,
    distinguishable_bits,
    log10_guesses,
    log_ball_volume,
    log_group_volume,
)


@pytest.mark.parametrize(("block_size", "dims"), [(1, 1), (3, 1), (10, 1), (3, 2), (8, 2)])
def test_finite_spaces_are_counted_exactly(block_size: int, dims: int) -> None:
    size = block_size**dims
    shuffling = key_space("shuffling", block_size, dims)
    assert shuffling.count == factorial(size) and shuffling.size == size
    assert isclose(shuffling.bits, gammaln(size + 1) / log(2), abs_tol=1e-9)
    flipping = key_space("flipping", block_size, dims)
    assert flipping.count == 2**size and flipping.bits == size
    assert flipping.dimension == 0 and flipping.tolerance is None


def test_group_volumes_are_the_known_ones() -> None:
    # Measured in angles, SO(2) has 2 pi and SO(3) 8 pi^2; lengths are sqrt(2) times the angle here.
    assert isclose(log_group_volume(1), log(2))
    assert isclose(log_group_volume(2), log(2 * 2**0.5 * 2 * pi))
    assert isclose(log_group_volume(3), log(2 * 2**1.5 * 8 * pi**2))
    assert isclose(log_ball_volume(3), log(4 * pi / 3))


def next_term(size: int, tolerance: float) -> float:
    """What curvature adds to the bits, to second order in the tolerance."""
    dimension = size * (size - 1) // 2
    return -(tolerance**2) * size * dimension / (16 * (dimension + 2)) / log(2)


@pytest.mark.parametrize("tolerance", [0.01, 0.1, 0.3, 0.5])
def test_small_groups_agree_with_their_exact_probabilities(tolerance: float) -> None:
    # |K - I|_F = 2 sqrt(2) sin(theta / 2) in both; the angle's density is 1 / pi and (1 - cos theta) / pi.
    circle = 2 * asin(tolerance / 2)
    rotation = 2 * asin(tolerance * (3 / 8) ** 0.5)
    exact = {2: -log2(circle / pi / 2), 3: -log2((rotation - sin(rotation)) / pi / 2)}
    for size, bits in exact.items():
        flat = distinguishable_bits(size, tolerance)
        assert abs(flat - bits) < 0.2 * tolerance**2
        assert abs(flat + next_term(size, tolerance) - bits) < 0.05 * tolerance**4 + 1e-9


@pytest.mark.parametrize(("size", "count"), [(3, 100_000), (4, 200_000)])
def test_draws_fall_within_the_tolerance_as_often_as_counted(size: int, count: int) -> None:
    correct = draw_keys("rom", size, 1, 0, 1)
    distance = np.linalg.norm(draw_keys("rom", size, 2, 0, count) - correct, axis=(1, 2)) / size**0.5
    hits = int((distance <= 0.5).sum())
    expected = count * 2 ** -(distinguishable_bits(size, 0.5) + next_term(size, 0.5))
    assert expected > 30
    assert abs(hits - expected) < 4 * expected**0.5


def test_the_flat_ball_stays_right_for_large_keys() -> None:
    # Counting halves with every halving of the tolerance in each of the d directions, and grows with N.
    for size in (2, 10, 64):
        dimension = size * (size - 1) // 2
        gained = distinguishable_bits(size, 0.05) - distinguishable_bits(size, 0.1)
        assert isclose(gained, dimension, rel_tol=1e-9)
    bits = [key_space("rom", size).bits for size in range(1, 30)]
    assert bits[0] == 1 and all(more > less for less, more in pairwise(bits))
    assert key_space("rom", 10).bits > key_space("shuffling", 10).bits > key_space("flipping", 10).bits


def test_rom_reports_its_tolerance_and_dimension() -> None:
    space = key_space("rom", 3, 2, tolerance=0.2)
    assert (space.count, space.dimension, space.tolerance, space.size) == (None, 36, 0.2, 9)


def test_questions_without_an_answer_are_refused() -> None:
    for tolerance in (0, -1, 0.6, float("nan")):
        with pytest.raises(BadInput, match="tolerance"):
            key_space("rom", 3, tolerance=tolerance)
    with pytest.raises(BadInput):
        key_space("rom", 3, 3)
    mine = Scheme("mine", SCHEMES["rom"].words, SCHEMES["rom"].matrices, lambda n: None)
    with pytest.raises(BadInput, match="'mine'"):
        key_space(mine, 3)


def test_a_haar_scheme_of_any_name_is_counted_as_rom_is() -> None:
    rom = SCHEMES["rom"]
    mine = Scheme("mine", rom.words, rom.matrices, rom.space, haar=True)
    assert key_space(mine, 3).bits == key_space("rom", 3).bits


def test_the_guesses_of_a_finite_scheme_are_its_count_over_the_near_keys() -> None:
    # At 0.5 a key of N = 16 may have one sign flipped or two elements swapped; at 0.1 it must be the correct one.
    correct = np.eye(16)
    flipped, swapped = np.diag([-1.0] + [1.0] * 15), correct[[1, 0, *range(2, 16)]]
    assert np.linalg.norm(flipped - correct) / 4 == np.linalg.norm(swapped - correct) / 4 == 0.5
    for scheme, count, near in (("flipping", 2**16, 1 + 16), ("shuffling", factorial(16), 1 + 16 * 15 // 2)):
        fewer, more = log10_guesses(scheme, 16, 0.5), log10_guesses(scheme, 16)
        assert fewer == pytest.approx(log10(count / near)) and more == pytest.approx(log10(count))
    for size in range(7):
        left = [order for order in permutations(range(size)) if all(i != place for place, i in enumerate(order))]
        assert derangements(size) == len(left)


def test_the_guesses_of_rom_are_its_distinguishable_keys_and_those_of_others_unknown() -> None:
    assert log10_guesses("rom", 3) == pytest.approx(key_space("rom", 3).bits * log10(2))
    assert log10_guesses("mine", 3) is None and GUESSES.keys() == SCHEMES.keys()
    with pytest.raises(BadInput, match="tolerance"):
        log10_guesses("shuffling", 3, 0.7)
