"""The encrypted model alone: what overlapping first layers show of the key, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.attacks.solvers.finite_schemes import SHIFTS, SIGNED, TURNS
from tests.attacks.weights.test_public_model import Toy
from tests.narrow import of_type, present
from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.weights.shifted_kernels import ShiftedKernels, phases_of, shift_seen
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.lifted import LiftedConvolution
from wrongkey.keys.model import encrypt_model
from wrongkey.keys.schemes import SCHEMES, Scheme


def setting(scheme: str | Scheme, layer: nn.Module, block: int, blocks: str) -> Setting:
    return Setting(get_scheme(scheme), KeyCut(blocks, block), 16_000.0, Toy(nn.Sequential(layer)), "asv")


def attacked(where: Setting, layer: nn.Module, key: np.ndarray):
    encrypted = encrypt_model(nn.Sequential(layer), "0", key, where.blocks)
    return ShiftedKernels().run(Evidence(where, Case(), 0, encrypted=Toy(encrypted)))


@pytest.mark.parametrize("scheme", [*SCHEMES, SIGNED, SHIFTS, TURNS])
@pytest.mark.parametrize(
    ("kernel", "padding", "dilation", "block"), [(3, 0, 1, 6), (5, 2, 1, 10), (1, 0, 1, 4), (4, 3, 2, 9)]
)
def test_stride_one_shows_the_whole_key(
    scheme: str | Scheme, kernel: int, padding: int, dilation: int, block: int
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 16, kernel, padding=padding, dilation=dilation)
    where = setting(scheme, layer, block, "samples")
    for key in draw_keys(scheme, block, 0, 0, 3):
        recovery = attacked(where, layer, key)
        assert key_error(recovery.key, key, "samples") < 1e-5 and recovery.success_claimed


@pytest.mark.parametrize("scheme", [*SCHEMES, SIGNED])
def test_a_larger_stride_hides_one_matrix_of_its_size(scheme: str | Scheme) -> None:
    """HuBERT's first layer: K = (I ⊗ Q) K̂ for one 5 × 5 matrix Q of the scheme."""
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 64, 10, 5, bias=False)
    where = setting(scheme, layer, 20, "samples")
    key = draw_keys(scheme, 20, 0, 0, 1)[0]
    recovery = attacked(where, layer, key)
    assert recovery.measured["hidden"] == 5 and recovery.success_claimed is False and recovery.note
    between = key @ recovery.key.T
    hidden = between[:5, :5]
    assert np.allclose(hidden @ hidden.T, np.eye(5), atol=1e-5)
    assert np.allclose(between, np.kron(np.eye(4), hidden), atol=1e-5)


@pytest.mark.parametrize(("stride", "kernel", "block"), [(2, 3, 8), (3, 4, 9)])
def test_a_kernels_ends_show_the_order_within_a_stride(stride: int, kernel: int, block: int) -> None:
    """A kernel of 3 under a stride of 2: only one sample of every second pair is read, and it is seen which."""
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 32, kernel, stride)
    for key in draw_keys("rom", block, 0, 0, 3):
        recovery = attacked(setting("rom", layer, block, "samples"), layer, key)
        between = np.abs(key @ recovery.key.T)
        alike = stride - (kernel % stride) if stride == 3 else 1
        assert recovery.measured["unresolved"] == alike
        assert (between > 1e-4).sum(1).max() <= alike
    if stride == 2:
        key = draw_keys("shuffling", block, 0, 0, 1)[0]
        recovery = attacked(setting("shuffling", layer, block, "samples"), layer, key)
        assert key_error(recovery.key, key, "samples") == 0 and recovery.success_claimed


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tiles_show_both_shifts(scheme: str) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 32, 3, padding=1)
    where = setting(scheme, layer, 3, "tiles")
    for key in draw_keys(scheme, 9, 0, 0, 3):
        recovery = attacked(where, layer, key)
        error = min(key_error(sign * recovery.key, key, "tiles") for sign in (1, -1))
        assert error < 1e-5 and recovery.success_claimed is (scheme == "shuffling")


def test_subsampling_convolutions_show_all_but_signs() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 48, 3, 2)
    key = draw_keys("rom", 16, 0, 0, 1)[0]
    recovery = attacked(setting("rom", layer, 4, "tiles"), layer, key)
    between = key @ recovery.key.T
    assert np.allclose(np.abs(between), np.eye(16), atol=1e-4) and "4 signs" in recovery.note


def test_bins_that_a_layer_sums_over_stay_hidden() -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(9, 64, 3, padding=1)
    key = draw_keys("rom", 9, 0, 0, 1)[0]
    recovery = attacked(setting("rom", layer, 3, "tiles"), layer, key)
    hidden = np.kron(np.eye(3), np.ones((3, 3))).reshape(3, 3, 3, 3).transpose(1, 0, 3, 2).reshape(9, 9)
    assert recovery.measured["hidden"] == 3
    assert np.abs((key @ recovery.key.T) * (1 - hidden)).max() < 1e-5


def test_the_shift_is_seen_through_the_key() -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 32, 7, 2, dtype=torch.float64)
    key = draw_keys("rom", 6, 0, 0, 1)[0]
    where = setting("rom", layer, 6, "samples")
    encrypted = of_type(LiftedConvolution, encrypt_model(nn.Sequential(layer), "0", key).get_submodule("0"))
    seen = shift_seen(phases_of(encrypted, where), 0, smallest=1e-5)
    assert np.allclose(seen, key.T @ np.eye(6, k=2) @ key, atol=1e-10)


def test_weights_that_are_no_shifted_kernels_are_reported() -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 32, 3)
    where = setting("rom", layer, 6, "samples")
    key = draw_keys("rom", 6, 0, 0, 1)[0]
    encrypted = encrypt_model(nn.Sequential(layer), "0", key)
    weight = encrypted.get_submodule("0").get_parameter("weight")
    weight.data = torch.randn_like(weight)
    recovery = ShiftedKernels().run(Evidence(where, Case(), 0, encrypted=Toy(encrypted)))
    assert recovery.success_claimed is False and present(recovery.objective) > 0.1 and "too few" in recovery.note


def test_where_nothing_is_shifted() -> None:
    attack = ShiftedKernels()
    for layer, block, blocks, word in [
        (nn.Conv1d(1, 16, 10, 10), 10, "samples", "whole blocks"),
        (nn.Conv1d(1, 16, 12, 5), 5, "samples", "whole blocks"),
        (nn.Conv1d(10, 16, 3), 10, "frames", "frames"),
        (nn.Conv2d(1, 16, 3, 3), 3, "tiles", "whole blocks"),
    ]:
        where = setting("rom", layer, block, blocks)
        assert word in (attack.inapplicable(where) or "")
        key = draw_keys("rom", where.size, 0, 0, 1)[0]
        assert attacked(where, layer, key).key is None
    assert attack.inapplicable(setting("rom", nn.Conv1d(1, 16, 10, 5), 10, "samples")) is None
    assert attack.inapplicable(Setting(SCHEMES["rom"], KeyCut("samples", 4), 1.0)) is not None
