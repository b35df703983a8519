"""Packed linear layers compute what PyTorch's own do."""

import copy
import pickle

import pytest
import torch
from torch import nn

from wrongkey.evaluation.models import packed_linear
from wrongkey.evaluation.models.bundled.asv_raw import load_asv_raw
from wrongkey.evaluation.models.packed_linear import PACKS, PackedLinear
from wrongkey.evaluation.pass_memory import PeakMemory

needs_packing = pytest.mark.skipif(not PACKS, reason="this processor packs no weights")


@pytest.fixture
def layer():
    torch.manual_seed(4)
    return PackedLinear(torch.randn(7, 5), torch.randn(7), 0.2).requires_grad_(False)


def expected(layer: PackedLinear, x: torch.Tensor) -> torch.Tensor:
    return nn.functional.leaky_relu(nn.functional.linear(x, layer.weight, layer.bias), 0.2)


def check(layer: PackedLinear, x: torch.Tensor) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), expected(layer, x))


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 9, 5), (0, 5)])
def test_it_is_a_linear_layer_with_its_activation(layer, shape):
    x = torch.randn(shape)
    check(layer, x)
    check(layer, x.expand(2, *shape))
    check(layer, x.new_ones(5, 4).mT)


@needs_packing
def test_it_packs_in_inference_mode_alone(layer):
    layer(torch.randn(3, 5))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(3, 5)).dtype == torch.bfloat16
    assert layer._packed is None
    check(layer, torch.randn(3, 5))
    assert layer._packed is not None


def test_changed_and_replaced_weights_are_packed_again(layer):
    x = torch.randn(3, 5)
    check(layer, x)
    layer.weight.mul_(-2)
    check(layer, x)
    layer.load_state_dict({"weight": torch.ones(7, 5), "bias": torch.zeros(7)})
    check(layer, x)
    layer.weight.data = torch.randn(7, 5)
    check(layer, x)
    for _ in range(20):  # a new weight may lie where the one before the last has lain
        for _ in range(2):
            layer.weight = nn.Parameter(torch.randn(7, 5), requires_grad=False)
        check(layer, x)


def test_weights_made_in_inference_mode_have_no_count_of_changes(layer):
    with torch.inference_mode():
        layer.weight = nn.Parameter(torch.randn(7, 5), requires_grad=False)
    x = torch.randn(3, 5)
    check(layer, x)
    with torch.inference_mode():
        layer.weight.mul_(3)
    check(layer, x)


def test_gradients_pass(layer):
    x = torch.randn(3, 5, requires_grad=True)
    layer(x).sum().backward()
    one = x.detach().clone().requires_grad_()
    expected(layer, one).sum().backward()
    torch.testing.assert_close(x.grad, one.grad)


@pytest.mark.parametrize("name", ["asv-raw3", "asv-raw10"])
def test_forward_mode_derivatives_pass(name):
    network = load_asv_raw(name).network
    x, step = torch.randn(2, 1, 32_400, generator=torch.Generator().manual_seed(1))
    found = torch.func.jvp(network, (x,), (step,))[1]
    moved = (network(x + 1e-2 * step) - network(x - 1e-2 * step)) / 2e-2
    assert found.norm() > 0.1 and (found - moved).norm() < 0.1 * found.norm()


def test_other_precisions(layer):
    check(layer.double(), torch.randn(3, 5, dtype=torch.float64))


@needs_packing
def test_copies_carry_no_packed_weights(layer):
    x = torch.randn(3, 5)
    check(layer, x)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert again._packed is None
        check(again, x)


@needs_packing
def test_the_memory_of_a_pass_leaves_packed_weights_out(layer):
    with torch.inference_mode(), PeakMemory() as held:
        layer(torch.ones(3, 5))
    assert held.peak <= 4 * (3 * 5 + 2 * 3 * 7 + 7 * 5)


@needs_packing
@pytest.mark.parametrize("name", ["asv-raw3", "asv-raw10"])
def test_embeddings_are_those_without_packing(name, monkeypatch):
    model = load_asv_raw(name)
    segments = model.segments(model.front_end(torch.randn(40_000, generator=torch.Generator().manual_seed(1))))
    with torch.inference_mode():
        packed = model.embed(segments)
        monkeypatch.setattr(packed_linear, "PACKS", False)
        torch.testing.assert_close(model.embed(segments), packed, rtol=1e-5, atol=1e-5)
