"""The public model beside the encrypted one: every first layer, fewer kernels, fine-tuning, merged batch norms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from tests.attacks.solvers.finite_schemes import SHIFTS, SIGNED, TURNS
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.harness.fine_tuning import fine_tuned, steps_of
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.weights.kernel_rows import keyed_rows, lifted_layer
from wrongkey.attacks.weights.public_model import PublicModel
from wrongkey.attacks.weights.public_statistics import PublicStatistics
from wrongkey.attacks.weights.shifted_kernels import ShiftedKernels
from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.model import encrypt_model
from wrongkey.keys.schemes import SCHEMES, Scheme


@dataclass
class Toy:
    """A speaker model on waveforms: the mean of what its network answers."""

    network: nn.Module
    first_layer: str = "0"
    name: str = "toy"
    sample_rate: int = 16_000
    blocks: str | None = None
    block_size: int | None = None
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform

    def segments(self, query: Tensor) -> Tensor:
        return query[None]

    def embed(self, queries: Tensor) -> Tensor:
        answer: Tensor = self.network(queries.unsqueeze(1)).mean(-1)
        return answer


LAYERS = {
    "kernel = stride": (lambda: nn.Conv1d(1, 16, 6, 6), 6, "samples"),
    "overlapping": (lambda: nn.Conv1d(1, 12, 10, 5, padding=2), 10, "samples"),
    "channels and groups": (lambda: nn.Conv1d(4, 8, 6, 6, groups=2), 6, "samples"),
    "tiles": (lambda: nn.Conv2d(1, 24, 4, 4), 4, "tiles"),
    "overlapping tiles": (lambda: nn.Conv2d(1, 24, 3, 2), 4, "tiles"),
    "bins in tiles": (lambda: nn.Conv1d(10, 16, 3, padding=1), 3, "tiles"),
    "bins in frames": (lambda: nn.Conv1d(10, 16, 3, padding=1), 4, "frames"),
    "linear": (lambda: nn.Linear(10, 16), 4, "frames"),
    "gru": (lambda: nn.GRU(10, 6, bidirectional=True), 10, "frames"),
    "lstm": (lambda: nn.LSTM(9, 6), 4, "frames"),
}


def setting(scheme: str | Scheme, block: int, blocks: str, model: Toy | None = None) -> Setting:
    return Setting(get_scheme(scheme), KeyCut(blocks, block), 16_000.0, model, "asv")


def attacked(public: nn.Module, owners: nn.Module, where: Setting, key: np.ndarray, variant: str = ""):
    encrypted = encrypt_model(owners, "0", key, where.blocks)
    evidence = Evidence(where, Case(variant=variant), 0, public=Toy(public), encrypted=Toy(encrypted))
    return PublicModel().run(evidence)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", LAYERS)
def test_every_first_layer_gives_its_key(name: str, scheme: str) -> None:
    build, block, blocks = LAYERS[name]
    torch.manual_seed(0)
    network, where = nn.Sequential(build()), setting(scheme, block, blocks)
    for key in draw_keys(scheme, where.size, 0, 0, 2):
        recovery = attacked(network, network, where, key)
        assert key_error(recovery.key, key, "tiles") < 1e-5 and recovery.success_claimed
        assert recovery.measured["rank"] == where.size


@pytest.mark.parametrize("name", LAYERS)
def test_every_first_layer_gives_an_invertible_key(name: str) -> None:
    build, block, blocks = LAYERS[name]
    torch.manual_seed(0)
    network, where = nn.Sequential(build()), setting("invertible", block, blocks)
    (key,) = draw_keys("invertible", where.size, 0, 0, 1)
    recovery = attacked(network, network, where, key)
    error = key_error(recovery.key, key, "tiles")
    assert recovery.measured["rank"] == where.size and error < 1e-3
    torch.manual_seed(1)
    other = attacked(nn.Sequential(build()), network, where, key)
    assert not other.success_claimed


@pytest.mark.parametrize("rounding", [0.0, 1e-8])
def test_encrypted_kernels_that_do_not_span_the_block_give_no_invertible_key(rounding: float) -> None:
    """A stranger's checkpoint: one place of the block is zero in all encrypted kernels, or nothing but rounding."""
    torch.manual_seed(0)
    network, where = nn.Sequential(nn.Conv1d(1, 16, 6, 6)), setting("invertible", 6, "samples")
    first = nn.Conv1d(1, 16, 6, 6)
    first.load_state_dict(network[0].state_dict())
    with torch.no_grad():
        first.weight[..., 2] *= rounding
    evidence = Evidence(where, Case(), 0, public=Toy(network), encrypted=Toy(nn.Sequential(first)))
    recovery = PublicModel().run(evidence)
    assert recovery.key is None and recovery.success_claimed is False and recovery.measured["rank"] == 6
    assert "span fewer directions than the public ones" in recovery.note


@pytest.mark.parametrize("scheme", [SIGNED, SHIFTS, TURNS])
def test_few_kernels_give_the_key_of_a_users_finite_scheme(scheme: Scheme) -> None:
    torch.manual_seed(0)
    network, where = nn.Sequential(nn.Conv1d(1, 3, 10, 10)), setting(scheme, 10, "samples")
    for key in draw_keys(scheme, 10, 0, 0, 4):
        recovery = attacked(network, network, where, key)
        np.testing.assert_array_equal(recovery.key, key)
        assert recovery.success_claimed and recovery.measured["rank"] == 3


@pytest.mark.parametrize("name", LAYERS)
def test_rows_times_the_key_are_the_encrypted_rows(name: str) -> None:
    build, block, blocks = LAYERS[name]
    where = setting("rom", block, blocks)
    network = nn.Sequential(build().double())
    key = draw_keys("rom", where.size, 0, 0, 1)[0]
    encrypted = encrypt_model(network, "0", key, blocks).get_submodule("0")
    plain = keyed_rows(lifted_layer(Toy(network), where), where)
    assert np.allclose(plain @ key, keyed_rows(encrypted, where))
    some = keyed_rows(lifted_layer(Toy(network), where), where, [2])
    assert len(some) and all((np.abs(plain - row).max(1) < 1e-12).any() for row in some)


def test_fewer_kernels_than_directions_give_their_span() -> None:
    torch.manual_seed(0)
    network, where = nn.Sequential(nn.Conv1d(1, 6, 10, 10)), setting("rom", 10, "samples")
    key = draw_keys("rom", 10, 0, 0, 1)[0]
    recovery = attacked(network, network, where, key)
    assert recovery.success_claimed is False and recovery.measured["rank"] == 6 and "6 of 10" in recovery.note
    kernels = keyed_rows(network[0], where)
    assert np.allclose(kernels @ recovery.key, kernels @ key, atol=1e-5)
    assert key_error(recovery.key, key, "samples") > 0.3


def test_kernels_left_out_are_not_used() -> None:
    torch.manual_seed(0)
    network, where = nn.Sequential(nn.Conv1d(1, 16, 10, 10)), setting("rom", 10, "samples")
    key = draw_keys("rom", 10, 0, 0, 1)[0]
    assert attacked(network, network, where, key, "5 kernels of 16").measured["rank"] == 5
    assert attacked(network, network, where, key, "10 kernels of 16").success_claimed
    case = PublicModel().cases(setting("rom", 10, "samples", Toy(network)))
    assert [g.variant for g in case][:3] == ["5 kernels of 16", "9 kernels of 16", ""]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_merged_batch_norm_scales_and_turns_kernels(scheme: str) -> None:
    torch.manual_seed(0)
    layer, norm = nn.Conv1d(1, 32, 8, 8), nn.BatchNorm1d(32)
    norm.running_var = torch.rand(32) + 0.1
    norm.weight.data = torch.randn(32).sign() * (torch.rand(32) + 0.2)
    assert norm.running_mean is not None
    merged = nn.Conv1d(1, 32, 8, 8)
    merged.weight, merged.bias = fuse_conv_bn_weights(
        layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    where = setting(scheme, 8, "samples")
    found = []
    for key in draw_keys(scheme, 8, 0, 0, 5):
        recovery = attacked(nn.Sequential(layer), nn.Sequential(merged), where, key)
        found.append(
            key_error(recovery.key, key, "samples") < 1e-4 and recovery.success_claimed and "scaled" in recovery.note
        )
    assert all(found)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_model_is_not_believed(scheme: str) -> None:
    torch.manual_seed(0)
    where = setting(scheme, 8, "samples")
    public, owners = (nn.Sequential(nn.Conv1d(1, 32, 8, 8)) for _ in range(2))
    key = draw_keys(scheme, 8, 0, 0, 1)[0]
    recovery = attacked(public, owners, where, key)
    assert recovery.success_claimed is False and key_error(recovery.key, key, "samples") > 0.5
    other = nn.Sequential(nn.Conv1d(1, 16, 8, 8))
    with pytest.raises(BadInput, match="architecture"):
        attacked(public, other, where, key)


@pytest.fixture(scope="module")
def background() -> BackgroundSpeech:
    rng = np.random.default_rng(0)
    queries = [torch.from_numpy(np.cumsum(rng.standard_normal(600))).float() * 0.05 for _ in range(6)]
    return BackgroundSpeech(tuple(queries), ("a", "b") * 3)


def toy() -> Toy:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 16, 6, 6), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 8, 1))
    return Toy(network.eval().requires_grad_(False))


@pytest.mark.parametrize("what", ["first layer fine-tuned", "all fine-tuned"])
def test_fine_tuning_moves_kernels_and_the_key_is_still_found(what: str, background: BackgroundSpeech) -> None:
    model = toy()
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    tuned = fine_tuned(model, background, f"{what} 20 steps", seed=0)
    moved = {name for name, value in tuned.network.state_dict().items() if not torch.equal(value, before[name])}
    assert "0.weight" in moved and ("3.weight" in moved) is what.startswith("all")
    assert moved == {"0.weight"} or what.startswith("all")
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert not tuned.network.training and not any(p.requires_grad for p in tuned.network.parameters())
    again = fine_tuned(model, background, f"{what} 20 steps", seed=0)
    assert torch.equal(again.network.state_dict()["0.weight"], tuned.network.state_dict()["0.weight"])
    where, key = setting("rom", 6, "samples"), draw_keys("rom", 6, 0, 0, 1)[0]
    recovery = attacked(model.network, tuned.network, where, key)
    assert 1e-5 < key_error(recovery.key, key, "samples") < 0.05 and recovery.success_claimed


def test_fine_tuning_that_cannot_be_done_is_refused(background: BackgroundSpeech) -> None:
    assert steps_of("all fine-tuned") == 100 and steps_of("first layer fine-tuned 500 steps") == 500
    with pytest.raises(BadInput, match="all fine-tuned"):
        fine_tuned(toy(), background, "tuned", seed=0)
    with pytest.raises(BadInput, match="no speech"):
        fine_tuned(toy(), BackgroundSpeech((), ()), "all fine-tuned", seed=0)
    with pytest.raises(BadInput, match="at most 300,000 numbers"):
        fine_tuned(toy(), BackgroundSpeech((torch.ones(300_006),), ("a",)), "all fine-tuned 3 steps", seed=0)
    mixed = BackgroundSpeech((*[torch.ones(300_006)] * 19, *background.queries), ("a",) * 25)
    fine_tuned(toy(), mixed, "all fine-tuned 20 steps", seed=0)  # steps without a short piece are left out


def test_missing_evidence_is_refused() -> None:
    for attack in (PublicModel(), PublicStatistics(), ShiftedKernels()):
        with pytest.raises(BadInput, match=f"The attack {attack.name} needs"):
            attack.run(Evidence(setting("rom", 6, "samples", toy()), Case(), 0))
