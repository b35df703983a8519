"""Schemes against their definitions and, for ROM, against scipy's Haar sampler."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.schemes import SCHEMES, Scheme, normals

COUNT = 4000


def eigen_angles(matrices: np.ndarray) -> np.ndarray:
    return np.angle(np.linalg.eigvals(matrices)).ravel()


STATISTICS = {
    "trace": lambda k: np.trace(k, axis1=1, axis2=2),
    "first entry": lambda k: k[:, 0, 0],
    "last column": lambda k: k[:, 0, -1],
    "angles": eigen_angles,
    "product": lambda k: k[:, 0, 0] * k[:, 1, 1],
}


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_rom_has_the_distribution_of_scipys_haar_sampler(size: int, statistic: str) -> None:
    ours = STATISTICS[statistic](draw_keys("rom", size, 1, 0, COUNT))
    haar = STATISTICS[statistic](stats.ortho_group.rvs(size, COUNT, random_state=2))
    assert stats.ks_2samp(ours, haar).pvalue > 1e-3


@pytest.mark.parametrize("statistic", ["trace", "first entry", "angles", "product"])
def test_these_statistics_expose_qr_without_the_sign_correction(statistic: str) -> None:
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(COUNT, 3, 3)))
    haar = STATISTICS[statistic](stats.ortho_group.rvs(3, COUNT, random_state=2))
    assert stats.ks_2samp(STATISTICS[statistic](q), haar).pvalue < 1e-6


@pytest.mark.parametrize("size", [1, 2, 3, 8, 10, 17])
def test_rom_is_the_q_of_the_qr_decomposition_whose_r_has_a_positive_diagonal(size: int) -> None:
    words = np.random.default_rng(size).integers(0, 2**64, size=(20, SCHEMES["rom"].words(size)), dtype=np.uint64)
    gaussian = normals(words)[:, : size * size].reshape(-1, size, size)
    r = SCHEMES["rom"].matrices(size, words).mT @ gaussian
    assert np.abs(np.tril(r, -1)).max() < 1e-12
    assert (np.diagonal(r, axis1=1, axis2=2) > 0).all()


def test_rom_determinants_and_trace_moments() -> None:
    keys = draw_keys("rom", 6, 3, 0, 20_000)
    assert abs(np.linalg.det(keys).mean()) < 0.03  # both components of O(N), equally often
    trace = np.trace(keys, axis1=1, axis2=2)
    # The moments of the trace are those of a standard normal (Diaconis and Shahshahani 1994).
    assert abs(trace.mean()) < 0.03
    assert abs((trace**2).mean() - 1) < 0.05
    assert abs((trace**4).mean() - 3) < 0.3


def test_normals_are_independent_standard_normals_and_finite_at_the_ends() -> None:
    words = np.random.default_rng(0).integers(0, 2**64, size=(2000, 10), dtype=np.uint64)
    drawn = normals(words)
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(10)).max() < 0.1
    assert np.abs(np.corrcoef((drawn**2).T) - np.eye(10)).max() < 0.1
    ends = np.array([[0, 0], [2**64 - 1, 2**64 - 1], [0, 2**64 - 1], [2**64 - 1, 0]], dtype=np.uint64)
    assert np.isfinite(normals(ends)).all()
    assert np.abs(normals(ends)).max() > 8  # the tail reaches beyond 8 standard deviations


def test_shuffling_draws_every_permutation_equally_often() -> None:
    keys = draw_keys("shuffling", 4, 0, 0, 24_000)
    ranks = present(SCHEMES["shuffling"].rank)(keys)
    assert stats.chisquare(np.bincount(ranks, minlength=24)).pvalue > 1e-3


def test_flipping_draws_every_sign_pattern_equally_often() -> None:
    keys = draw_keys("flipping", 4, 0, 0, 16_000)
    off_diagonal = keys[:, ~np.eye(4, dtype=bool)]
    assert not off_diagonal.any()
    ranks = present(SCHEMES["flipping"].rank)(keys)
    assert stats.chisquare(np.bincount(ranks, minlength=16)).pvalue > 1e-3


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"There is no scheme 'shufling': give rom, invertible, signed-shuffling"):
        get_scheme("shufling")


PLUGIN = """
import numpy as np
from wrongkey.keys.schemes import Scheme
identity = Scheme("identity", lambda n: 1, lambda n, w: np.tile(np.eye(n), (len(w), 1, 1)), lambda n: 1)
misnamed = identity
"""


def test_a_users_scheme_comes_through_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_users_scheme.py").write_text(PLUGIN)
    installed = tmp_path / "a_users_scheme-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: a-users-scheme\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[wrongkey.schemes]\nidentity = a_users_scheme:identity\nother = a_users_scheme:misnamed\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    scheme = get_scheme("identity")
    assert isinstance(scheme, Scheme) and get_scheme(scheme) is scheme
    assert np.array_equal(draw_keys("identity", 3, 0, 5, 2), np.stack([np.eye(3)] * 2))
    with pytest.raises(BadInput, match="Scheme 'other' is a Scheme with the name 'identity'"):
        get_scheme("other")
    with pytest.raises(BadInput, match="flipping, shuffling, identity, other"):
        get_scheme("nothing")
    sys.modules.pop("a_users_scheme")
