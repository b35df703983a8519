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


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 9, 5), (0, 5)])
def test_it_is_a_linear_layer_with_its_activation(layer, shape):
    x = torch.randn(shape)
    torch.testing.assert_close(layer(x), expected(layer, x))
    torch.testing.assert_close(layer(x.expand(2, *shape)), expected(layer, x.expand(2, *shape)))


def test_changed_and_replaced_weights_are_packed_again(layer):
    x = torch.randn(3, 5)
    layer(x)
    layer.weight.mul_(-2)
    torch.testing.assert_close(layer(x), expected(layer, x))
    layer.load_state_dict({"weight": torch.ones(7, 5), "bias": torch.zeros(7)})
    torch.testing.assert_close(layer(x), expected(layer, x))
    layer.weight = nn.Parameter(torch.randn(7, 5), requires_grad=False)
    torch.testing.assert_close(layer(x), expected(layer, x))


def test_gradients_pass(layer):
    x = torch.randn(3, 5, requires_grad=True)
    layer(x).sum().backward()
    one = x.detach().clone().requires_grad_()
    expected(layer, one).sum().backward()
    torch.testing.assert_close(x.grad, one.grad)


def test_other_precisions(layer):
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(layer.double()(x), expected(layer, x))


@needs_packing
def test_copies_carry_no_packed_weights(layer):
    x = torch.randn(3, 5)
    before = layer(x)
    assert layer._packed is not None
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert again._packed is None
        torch.testing.assert_close(again(x), before)


@needs_packing
def test_the_memory_of_a_pass_leaves_packed_weights_out(layer):
    with PeakMemory() as held:
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
