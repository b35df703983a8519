"""Invertible keys from pairs of blocks: exact, with errors on either side, and what is not certain."""

import numpy as np
import pytest

from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.solvers.least_squares import LEAST, least_squares
from wrongkey.attacks.solvers.procrustes import FitSettings, fit
from wrongkey.keys import draw_keys

SIZE = 8


@pytest.fixture(scope="module")
def speechlike():
    """Blocks whose directions differ in energy by 30 dB."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))
    return rng.standard_normal((4_000, SIZE)) * np.geomspace(1, 0.03, SIZE) @ turn


@pytest.mark.parametrize("condition", [2, 10, 1000])
def test_as_many_blocks_as_elements_give_an_invertible_key_and_one_more_confirms_it(speechlike, condition):
    (key,) = draw_keys(f"invertible+condition={condition}", SIZE, 1, 0, 1)
    for count in (SIZE, SIZE + 1):
        plain = speechlike[:count]
        found = fit("invertible", plain, plain @ key, FitSettings())
        assert key_error(found.key, key, "frames") < 1e-9
        assert found.certain == (count > SIZE)


@pytest.mark.parametrize("side", ["plain", "cipher"])
def test_errors_are_regressed_on_the_side_without_them(speechlike, side):
    (key,) = draw_keys("invertible", SIZE, 2, 0, 1)
    plain, cipher = speechlike, speechlike @ key
    noise = np.random.default_rng(1).standard_normal(plain.shape) * 0.02
    given = (plain + noise, cipher) if side == "plain" else (plain, cipher + noise)
    found = fit("invertible", *given, FitSettings())
    error = key_error(found.key, key, "frames")
    assert found.certain and error < 0.1
    assert 0.5 < error / found.expected_error < 2
    forward = np.linalg.lstsq(*given, rcond=None)[0]
    assert side == "cipher" or key_error(forward, key, "frames") > 2 * error


def test_too_few_blocks_leave_a_key_that_can_be_inverted_and_fits_them(speechlike):
    (key,) = draw_keys("invertible", SIZE, 3, 0, 1)
    plain = speechlike[:5]
    found = fit("invertible", plain, plain @ key, FitSettings())
    assert not found.certain and found.rank == 5
    np.testing.assert_allclose(plain @ found.key, plain @ key, atol=1e-9)
    assert np.linalg.cond(found.key) < 1e4


def test_a_direction_near_rounding_is_counted_once():
    """It lies above the least share of the largest singular value, and below that of the norm of all."""
    (key,) = draw_keys("invertible", SIZE, 4, 0, 1)
    plain = np.diag([*np.ones(SIZE - 1), 2 * LEAST])
    assert LEAST * np.linalg.norm(plain) > 2 * LEAST
    assert key_error(least_squares(plain, plain @ key).key, key, "frames") < 1e-3


def test_unrelated_blocks_are_not_certain(speechlike):
    rng = np.random.default_rng(4)
    for count in (SIZE, SIZE + 1, 4_000):
        assert not fit("invertible", speechlike[:count], rng.standard_normal((count, SIZE)), FitSettings()).certain
