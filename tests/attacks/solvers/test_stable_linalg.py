"""Decompositions: the first try is the usual call, and where LAPACK gives up another routine finds the same."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch

from tests.attacks.waveforms.test_block_spectra import made_speech, rom
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.solvers import stable_linalg as stable
from wrongkey.attacks.waveforms.block_spectra import polyphase_estimates
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS
from wrongkey.keys.cutting import to_blocks

DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]
GIVES_UP = ("torch.linalg.svd", "torch.linalg.eigh", "numpy.linalg.svd", "numpy.linalg.eigh", "numpy.linalg.lstsq")


@pytest.fixture
def first_try_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every routine of the first try ends as LAPACK's do."""

    def failing(error: type[Exception]) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> None:
            raise error("The algorithm failed to converge")

        return fail

    for name in GIVES_UP:
        monkeypatch.setattr(name, failing(stable.GAVE_UP if "torch" in name else np.linalg.LinAlgError))


def matrices(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(4))


def nearly_unitary(dtype: torch.dtype, size: int = 24) -> torch.Tensor:
    """V (I + D) with little D: all singular values are one to rounding, where gesdd has failed."""
    skew = matrices(dtype, 3, size, size)
    skew = 1e-7 * (skew - skew.mH)
    unitary: torch.Tensor = torch.linalg.qr(matrices(dtype, 3, size, size))[0]
    return unitary @ (torch.eye(size, dtype=dtype) + skew)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_try_is_the_usual_call(dtype: torch.dtype) -> None:
    case = matrices(dtype, 2, 5, 7)
    square = case @ case.mH
    for full in (True, False):
        for found, usual in zip(stable.svd(case, full), torch.linalg.svd(case, full_matrices=full), strict=True):
            assert torch.equal(found, usual)
    for found, usual in zip(stable.eigh(square), torch.linalg.eigh(square), strict=True):
        assert torch.equal(found, usual)
    array = case.numpy()
    for part, same in zip(stable.array_svd(array, False), np.linalg.svd(array, full_matrices=False), strict=True):
        assert np.array_equal(part, same)
    for part, same in zip(stable.array_eigh(square.numpy()), np.linalg.eigh(square.numpy()), strict=True):
        assert np.array_equal(part, same)
    assert np.array_equal(stable.array_singular_values(array), np.linalg.svd(array, compute_uv=False))
    assert np.array_equal(
        stable.array_lstsq(array[0], array[0, :, :2], 1e-6), np.linalg.lstsq(array[0], array[0, :, :2], rcond=1e-6)[0]
    )
    own = stable.array_eigh(square.numpy()[0], scipy.linalg.eigh)
    assert np.array_equal(own[1], scipy.linalg.eigh(square.numpy()[0])[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("full", [True, False])
def test_svd_where_the_first_try_fails(first_try_fails: None, dtype: torch.dtype, full: bool) -> None:
    case = matrices(dtype, 2, 3, 6, 4)
    u, values, vh = stable.svd(case, full)
    assert u.shape == (2, 3, 6, 6 if full else 4) and values.shape == (2, 3, 4) and vh.shape == (2, 3, 4, 4)
    assert u.dtype == vh.dtype == dtype and values.dtype == values.abs().dtype
    assert (values.diff(dim=-1) <= 0).all()
    assert torch.allclose(u[..., :4] * values[..., None, :] @ vh, case, atol=1e-5)
    for found, tensor in zip(stable.array_svd(case.numpy(), full), (u, values, vh), strict=True):
        assert np.array_equal(found, tensor.numpy())
    assert np.allclose(stable.array_singular_values(case.numpy()), values.numpy(), atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigh_and_polar_where_the_first_try_fails(first_try_fails: None, dtype: torch.dtype) -> None:
    root = matrices(dtype, 3, 6, 2)
    case = root @ root.mH  # four eigenvalues are zero
    values, vectors = stable.eigh(case)
    assert vectors.dtype == dtype and (values.diff(dim=-1) >= 0).all()
    assert torch.allclose(vectors * values[:, None].to(dtype) @ vectors.mH, case, atol=1e-4)
    assert np.array_equal(stable.array_eigh(case.numpy())[1], vectors.numpy())
    for matrix in (case, nearly_unitary(dtype)):
        nearest = stable.polar(matrix)
        identity = torch.eye(matrix.shape[-1], dtype=dtype).expand_as(matrix)
        assert nearest.dtype == dtype and torch.allclose(nearest @ nearest.mH, identity, atol=2e-6)
        assert np.allclose(stable.array_polar(matrix.numpy()), nearest.numpy(), atol=1e-5)
    assert torch.allclose(stable.polar(nearly_unitary(dtype)), nearly_unitary(dtype), atol=5e-6)


def test_least_squares_where_the_first_try_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = matrices(torch.float64, 9, 4).numpy(), matrices(torch.float64, 9, 2).numpy()
    a[:, 3] = a[:, 0]
    usual = np.linalg.lstsq(a, b, rcond=1e-9)[0]
    monkeypatch.setattr("numpy.linalg.lstsq", _never)
    assert np.allclose(stable.array_lstsq(a, b, 1e-9), usual, atol=1e-12)


def _never(*_: Any, **__: Any) -> None:
    raise np.linalg.LinAlgError("SVD did not converge in Linear Least Squares")


def test_where_the_second_try_fails_too_a_neighbour_is_decomposed(
    first_try_fails: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third input differs from the given by some roundings, and its diagonal parts equal singular values."""
    tried: list[np.ndarray[Any, Any]] = []
    true = scipy.linalg.svd

    def once(matrix: np.ndarray[Any, Any], **settings: Any) -> Any:
        tried.append(matrix)
        if len(tried) == 1:
            _never()
        return true(matrix, **settings)

    monkeypatch.setattr("scipy.linalg.svd", once)
    found = stable.polar(torch.eye(5)[None])
    case, disturbed = tried
    assert 0 < np.abs(case - disturbed).max() <= 2 * stable.ROUNDINGS * np.finfo(np.float32).eps
    assert len(np.unique(np.diagonal(disturbed))) == 5
    assert torch.allclose(found, torch.eye(5)[None], atol=1e-6)
    monkeypatch.setattr("scipy.linalg.svd", _never)
    with pytest.raises(np.linalg.LinAlgError):
        stable.polar(torch.eye(5))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_named(bad: float) -> None:
    case = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    case[1, 2, 2] = bad
    array = case.numpy()
    calls: list[Callable[[], Any]] = [
        lambda: stable.svd(case), lambda: stable.eigh(case), lambda: stable.polar(case),
        lambda: stable.array_svd(array), lambda: stable.array_eigh(array), lambda: stable.array_polar(array),
        lambda: stable.array_singular_values(array), lambda: stable.array_lstsq(array[0], array[1], 1e-9),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(stable.NonFinite, match="NaN or infinite"):
            call()


def test_polyphase_finds_its_key_where_every_first_try_fails(first_try_fails: None) -> None:
    size = 5
    key = rom(size)
    blocks = [to_blocks(made_speech(3, seed), size, "samples") @ key for seed in range(2)]
    [estimate] = polyphase_estimates(blocks, seed=0, count=1, rate=16_000.0, settings=DEFAULTS)
    assert key_error(estimate.key.numpy(), key.numpy(), "samples") < 0.2


def test_no_attack_calls_a_decomposition_that_may_give_up() -> None:
    """All of them go through stable_linalg."""
    allowed = {"stable_linalg.py"}
    found = [
        f"{path.name}:{node.lineno}"
        for path in Path(stable.__file__).parents[1].rglob("*.py")
        if path.name not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(
            ("linalg.svd", "linalg.eigh", "linalg.svdvals", "linalg.eigvalsh", "linalg.lstsq")
        )
    ]  # fmt: skip
    assert not found
