"""The nearest key of every scheme, and what a fit says about itself."""

from __future__ import annotations

from functools import partial
from itertools import permutations, product

import numpy as np
import pytest

from tests.attacks.solvers.finite_schemes import SHIFTS, SIGNED, TURNS
from tests.narrow import present
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.solvers import procrustes
from wrongkey.attacks.solvers.procrustes import FitSettings, nearest_key
from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.schemes import Scheme

SCHEMES = ("rom", "shuffling", "flipping", SIGNED, SHIFTS, TURNS)
FINITE = ("shuffling", "flipping", SIGNED, SHIFTS, TURNS)
fit = partial(procrustes.fit, settings=FitSettings())


def every_key(scheme: str | Scheme, size: int) -> np.ndarray:
    orders = np.stack([np.eye(size)[list(order)] for order in permutations(range(size))])
    signs = np.stack([np.diag(signs) for signs in product([-1.0, 1.0], repeat=size)])
    if isinstance(scheme, str):
        return orders if scheme == "shuffling" else signs
    if scheme is SIGNED:
        return (signs[:, None] @ orders).reshape(-1, size, size)
    return present(scheme.unrank)(size, np.arange(present(scheme.space(size))))


@pytest.mark.parametrize("scheme", FINITE)
def test_no_other_key_of_a_discrete_scheme_is_nearer(scheme: str | Scheme) -> None:
    rng = np.random.default_rng(0)
    keys = every_key(scheme, 5)
    for covariance in rng.standard_normal((20, 5, 5)):
        best = np.einsum("nij,ij->n", keys, covariance).max()
        assert np.isclose((nearest_key(scheme, covariance) * covariance).sum(), best)


def test_the_polar_factor_is_orthogonal_and_the_nearest() -> None:
    rng = np.random.default_rng(0)
    covariance = rng.standard_normal((6, 6))
    key = nearest_key("rom", covariance)
    assert np.allclose(key @ key.T, np.eye(6))
    background = draw_keys("rom", 6, 0, 0, 500)
    assert (np.einsum("nij,ij->n", background, covariance) < (key * covariance).sum()).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_several_covariances_at_once(scheme: str | Scheme) -> None:
    covariances = np.random.default_rng(0).standard_normal((3, 4, 4))
    together = nearest_key(scheme, covariances)
    assert all(np.allclose(key, nearest_key(scheme, c)) for key, c in zip(together, covariances, strict=True))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [3, 10, 64, 128])
def test_independent_blocks_give_the_key_exactly(scheme: str | Scheme, size: int) -> None:
    key = draw_keys(scheme, size, 1, 0, 1)[0]
    plain = np.random.default_rng(0).standard_normal((size, size))
    found = fit(scheme, plain, plain @ key)
    assert key_error(found.key, key, "tiles") < 1e-9 and found.certain and found.rank == size


def test_weak_directions_are_found_as_well() -> None:
    """Speech is weak in many directions; the polar factor of X^T Y alone would lose twice the digits."""
    size = 32
    key = draw_keys("rom", size, 1, 0, 1)[0]
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((size, size)) * np.logspace(0, -5, size) @ draw_keys("rom", size, 2, 0, 1)[0]
    alone = key_error(nearest_key("rom", plain.T @ plain @ key), key, "tiles")
    assert alone > 1e-8 and key_error(fit("rom", plain, plain @ key).key, key, "tiles") < alone / 100


def test_one_block_less_leaves_a_sign_open_and_is_not_believed() -> None:
    plain = np.random.default_rng(0).standard_normal((9, 10))
    errors = []
    for key in draw_keys("rom", 10, 0, 0, 20):
        found = fit("rom", plain, plain @ key)
        assert not found.certain and found.rank == 9
        errors.append(key_error(found.key, key, "tiles"))
        assert np.allclose(plain @ found.key, plain @ key)
    assert 0 < np.mean(np.array(errors) < 1e-6) < 1  # half of them, by chance
    assert max(errors) == pytest.approx(2 / np.sqrt(10))


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("noisy", ["plain", "cipher"])
def test_the_expected_error_is_what_keys_have(noise: float, noisy: str) -> None:
    rng = np.random.default_rng(0)
    errors, expected = [], []
    for key in draw_keys("rom", 8, 0, 0, 40):
        plain = rng.standard_normal((60, 8)) * np.linspace(1, 0.3, 8)
        cipher = plain @ key
        wrong = noise * rng.standard_normal(plain.shape)
        found = fit("rom", *((plain + wrong, cipher) if noisy == "plain" else (plain, cipher + wrong)))
        errors.append(key_error(found.key, key, "tiles"))
        expected.append(found.expected_error)
    assert 0.8 < np.sqrt(np.mean(np.square(errors))) / np.mean(expected) < 1.25


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("count", [1, 8, 80])
def test_unrelated_blocks_are_not_believed(scheme: str | Scheme, count: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = fit(scheme, rng.standard_normal((count, 8)), rng.standard_normal((count, 8)))
        assert not found.certain


def test_equal_samples_leave_their_order_open() -> None:
    key = draw_keys("shuffling", 6, 0, 0, 1)[0]
    plain = np.array([[0.1, 0.2, 0.2, 0.3, 0.4, 0.5]])
    found = fit("shuffling", plain, plain @ key)
    assert not found.certain and found.expected_error == pytest.approx(2 / 6)
    assert not fit("flipping", np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]])).certain


@pytest.mark.parametrize("scheme", [SHIFTS, TURNS])
def test_keys_of_a_list_are_found_where_their_group_would_leave_them_open(scheme: Scheme) -> None:
    """One block in noise decides between few keys, and not between all permutations or orthogonal matrices."""
    rng = np.random.default_rng(0)
    for key in draw_keys(scheme, 6, 0, 0, 10):
        plain = rng.standard_normal((2, 6))
        found = fit(scheme, plain, plain @ key + 0.05 * rng.standard_normal((2, 6)))
        np.testing.assert_array_equal(found.key, key)
        assert found.certain and found.expected_error == 0 and not fit("rom", plain, plain @ key).certain


def test_keys_of_a_list_that_fit_as_well_leave_open_where_they_differ() -> None:
    plain = np.array([[1.0, 2.0, 1.0, 2.0]])
    found = fit(SHIFTS, plain, plain)
    assert not found.certain and found.expected_error == 1


def test_equal_magnitudes_leave_signed_positions_open() -> None:
    key = draw_keys(SIGNED, 6, 0, 0, 1)[0]
    plain = np.array([[0.1, 0.2, -0.2, 0.3, 0.4, 0.0]])
    found = fit(SIGNED, plain, plain @ key)
    assert not found.certain and found.expected_error == pytest.approx(3 / 6)


def test_weights_leave_out_what_is_wrong() -> None:
    rng = np.random.default_rng(0)
    key = draw_keys("rom", 5, 0, 0, 1)[0]
    plain = rng.standard_normal((20, 5))
    cipher = np.concatenate([plain[:10] @ key, rng.standard_normal((10, 5))])
    weights = np.repeat([1.0, 0.0], 10)
    assert key_error(fit("rom", plain, cipher, weights=weights).key, key, "tiles") < 1e-9
    assert key_error(fit("rom", plain, cipher).key, key, "tiles") > 0.1


def test_what_is_no_pair_of_blocks_is_refused() -> None:
    with pytest.raises(BadInput, match=r"\(n, N\)"):
        fit("rom", np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(BadInput, match="finite"):
        fit("rom", np.full((2, 2), np.nan), np.ones((2, 2)))
    with pytest.raises(BadInput, match=r"\(2, 3\)"):
        nearest_key("rom", np.ones((2, 3)))


@pytest.mark.parametrize("scheme", ["rom", "flipping", SHIFTS])
def test_how_certain_a_key_must_be_is_a_setting(scheme: str | Scheme) -> None:
    rng = np.random.default_rng(4)
    key, plain = draw_keys(scheme, 6, 1, 0, 1)[0], rng.standard_normal((60, 6))
    cipher = plain @ key + 0.05 * rng.standard_normal((60, 6))
    assert fit(scheme, plain, cipher).certain
    assert not fit(scheme, plain, cipher, settings=FitSettings(certain=1e6)).certain
