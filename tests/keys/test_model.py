"""Model encryption: the correct key gives the plain answers, relative kernels equal the explicit path."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm

from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.key import SecretKey
from wrongkey.keys.key_cut import KeyCut, default_blocks
from wrongkey.keys.lift import lift
from wrongkey.keys.model import (
    check_exact,
    encrypt_kernels,
    encrypt_model,
    first_layer,
    keyable_layers,
    lift_model,
    relative_kernels,
)
from wrongkey.keys.query import Key, encrypt_query


@st.composite
def layers(draw):
    """A first layer inside a network in float64, a key for it and a query: (network, key, query)."""
    dims = draw(st.sampled_from([1, 2]))
    block_size = draw(st.integers(1, 5 if dims == 1 else 3))
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    convolution = nn.Conv1d if dims == 1 else nn.Conv2d
    layer = convolution(
        inputs,
        outputs,
        block_size,
        block_size,
        groups=groups,
        bias=draw(st.booleans()),
        padding=draw(st.sampled_from([0, "valid"])),
        dtype=torch.float64,
    )
    network = nn.Sequential(nn.Identity(), nn.Sequential(layer, nn.Tanh()))
    key = SecretKey.from_seed(
        draw(st.sampled_from(["shuffling", "flipping", "rom"])),
        block_size,
        dims,
        seed=draw(st.integers(0, 99)),
    )
    extent = [block_size * draw(st.integers(1, 4)) for _ in range(dims)]
    return network, key, torch.randn(2, inputs, *extent, dtype=torch.float64)


@settings(max_examples=60)
@given(layers())
def test_the_correct_key_gives_the_plain_models_answers(case) -> None:
    network, key, query = case
    plain = network(query)
    before = copy.deepcopy(network.state_dict())
    encrypted = encrypt_model(network, "1.0", key)
    assert (encrypted(encrypt_query(query, key)) - plain).abs().max() < 1e-12
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    raw = encrypt_model(network, "1.0", key.matrix)
    assert torch.equal(raw.get_parameter("1.0.weight"), encrypted.get_parameter("1.0.weight"))


@settings(max_examples=60)
@given(layers(), st.integers(1, 4))
def test_relative_kernels_equal_the_explicit_path(case, count) -> None:
    network, key, query = case
    keys = draw_keys(key.scheme, key.size, 77, 0, count)
    weight = network.get_parameter("1.0.weight")
    kernels = relative_kernels(weight, keys, key.matrix)
    assert kernels.shape == (count, *weight.shape) and kernels.dtype == torch.float64
    encrypted = encrypt_model(network, "1.0", key)
    relative = copy.deepcopy(network)
    for kernel, matrix in zip(kernels, keys, strict=True):
        explicit = encrypted(encrypt_query(query, matrix, dims=key.dims))
        relative.get_parameter("1.0.weight").data.copy_(kernel)
        assert (relative(query) - explicit).abs().max() < 1e-12


def test_encrypted_kernels_are_the_products_of_the_paper() -> None:
    key = SecretKey.draw("rom", 2, 2)
    weight = torch.randn(3, 2, 2, 2)
    encrypted = encrypt_kernels(weight, key.matrix)
    for out in range(3):
        for channel in range(2):
            kernel = weight[out, channel].double().numpy().flatten()
            expected = (key.matrix.T @ kernel).reshape(2, 2)  # eq. 21
            assert np.abs(encrypted[out, channel].numpy() - expected).max() < 1e-14


def test_relative_kernels_of_the_correct_key_are_the_plain_ones() -> None:
    keys = draw_keys("rom", 10, 0, 0, 3)
    weight = torch.randn(4, 1, 10)
    kernels = relative_kernels(weight, torch.from_numpy(keys), keys[1])
    assert (kernels[1] - weight).abs().max() < 1e-14
    assert (kernels[0] - weight).abs().max() > 0.1
    with pytest.raises(BadInput, match="keys, N, N"):
        relative_kernels(weight, keys[0], keys[0])


def test_the_tail_of_a_query_is_a_frame_more_unless_dropped() -> None:
    network = nn.Sequential(nn.Conv1d(1, 4, 3, 3))
    key = SecretKey.draw("rom", 3)
    query = torch.randn(1, 1, 10)
    encrypted = encrypt_model(network, "0", key)
    dropped = encrypted(encrypt_query(query, key, tail="drop"))
    assert torch.allclose(dropped, network(query), atol=1e-5)
    whole = encrypted(encrypt_query(query, key))
    assert torch.allclose(whole, network(nn.functional.pad(query, (0, 2))), atol=1e-5)
    assert whole.shape[-1] == dropped.shape[-1] + 1


def test_a_wrong_key_changes_the_answers() -> None:
    network = nn.Sequential(nn.Conv1d(1, 4, 4, 4))
    key, other = SecretKey.from_seed("rom", 4, seed=0), SecretKey.from_seed("rom", 4, seed=1)
    query = torch.randn(1, 1, 40)
    answers = encrypt_model(network, "0", key)(encrypt_query(query, other))
    assert (answers - network(query)).abs().max() > 0.1


def test_dtype_gradients_and_the_layer_itself_are_kept() -> None:
    layer = nn.Conv1d(1, 2, 3, 3).to(torch.bfloat16)
    layer.weight.requires_grad_(False)
    encrypted = encrypt_model(layer, "", SecretKey.draw("rom", 3))
    assert isinstance(encrypted, nn.Conv1d) and encrypted.weight.dtype == torch.bfloat16
    bias = present(encrypted.bias)
    assert not encrypted.weight.requires_grad and bias.requires_grad
    assert not torch.equal(encrypted.weight, layer.weight) and torch.equal(bias, present(layer.bias))


class Standardised(nn.Conv1d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x - x.mean(), self.weight, self.bias)


def patched() -> nn.Conv1d:
    layer = nn.Conv1d(1, 1, 3, 3)
    layer.forward = lambda x: x  # type: ignore[assignment, method-assign]
    return layer


class SincNet(nn.Module):
    """A trainable normalisation before the filters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.filters = nn.InstanceNorm1d(1, affine=True), nn.Conv1d(1, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.filters(self.norm(x))


class Doubled(nn.GRU):
    def forward(self, x, hx=None):
        return super().forward(2 * x, hx)


def hooked() -> nn.Conv1d:
    layer = nn.Conv1d(1, 1, 3, 3)
    layer.register_forward_pre_hook(lambda module, inputs: inputs[0].abs())
    return layer


class Packed(torch.Tensor):
    """What quantisation libraries put in the place of a weight."""


def subclassed() -> nn.Conv1d:
    layer = nn.Conv1d(1, 1, 3, 3)
    layer.weight = nn.Parameter(torch.randn(1, 1, 3).as_subclass(Packed))
    return layer


def quantised() -> nn.Module:
    return torch.ao.nn.quantized.dynamic.Linear(3, 3)


REFUSED = {
    "a transposed convolution": (nn.ConvTranspose1d(1, 1, 3, 3), "transposed"),
    "a 3-D convolution": (
        nn.Conv3d(1, 1, 3, 3),
        "a Conv3d, which is not known to be linear",
    ),
    "a norm": (nn.LayerNorm(3), "it is a LayerNorm, which is not linear in its input: only Conv1d, Conv2d"),
    "SincNet with a norm": (SincNet(), "it is a SincNet with an InstanceNorm1d, which is not linear in its input"),
    "an activation": (nn.ReLU(), "a ReLU, which is not known to be linear"),
    "a layer that is lifted already": (lift(nn.Conv1d(1, 1, 3, 1), KeyCut("samples", 3)), "lifted already"),
    "a recurrent layer that computes something else": (Doubled(3, 3), "Doubled computes something else than GRU"),
    "weight norm of a recurrent layer": (
        parametrizations.weight_norm(nn.LSTM(3, 3), "weight_ih_l0"),
        "parametrised",
    ),
    "a hooked layer": (hooked(), "forward hooks"),
    "weights of 8 bits": (
        nn.Conv1d(1, 1, 3, 3).to(torch.float8_e4m3fn),
        "float8_e4m3fn, not floating point of 16 bits",
    ),
    "a quantised layer": (quantised(), "not known to be linear"),
    "a tensor of another class": (subclassed(), "a Packed, perhaps quantised"),
    "a subclass that computes something else": (Standardised(1, 1, 3, 3), "Standardised computes"),
    "a patched layer": (patched(), "computes something else"),
    "a lazy layer": (nn.LazyConv1d(1, 3, 3), "no shape yet"),
    "complex weights": (nn.Conv1d(1, 1, 3, 3, dtype=torch.complex64), "complex64"),
    "old spectral norm": (spectral_norm(nn.Conv1d(1, 1, 3, 3)), "parametrised"),
    "weight norm": (parametrizations.weight_norm(nn.Conv1d(1, 1, 3, 3)), "parametrised"),
    "spectral norm": (parametrizations.spectral_norm(nn.Conv1d(1, 1, 3, 3)), "parametrised"),
    "pruning": (prune.random_unstructured(nn.Conv1d(1, 1, 3, 3), "weight", 0.5), "parametrised"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_layers_that_cannot_take_a_key_are_refused_with_the_reason(case: str) -> None:
    layer, reason = REFUSED[case]
    network = nn.Sequential(layer, nn.Conv1d(1, 1, 3, 3))
    with pytest.raises(BadInput, match=rf"layer '0' cannot take a key exactly, because .*{reason}"):
        encrypt_model(network, "0", SecretKey.draw("rom", 3))
    with pytest.raises(BadInput, match=reason):
        check_exact(layer)
    assert "0" not in keyable_layers(network) and "1" in keyable_layers(network)


def test_keys_of_another_block_are_refused() -> None:
    network = nn.Sequential(nn.Conv1d(1, 1, 9, 9), nn.Conv2d(1, 1, 3, 3))
    keys: list[tuple[str, Key, str]] = [
        ("0", SecretKey.draw("rom", 3, 2), "1-D blocks and the key is for 2-D blocks: give a 1-D key of block size 9"),
        ("1", SecretKey.draw("rom", 9), "2-D blocks and the key is for 1-D blocks: give a 2-D key of block size 3"),
        ("0", SecretKey.draw("rom", 3), "block of 3 is not a multiple of its stride 9: give 9, or a multiple"),
        ("1", np.eye(3), r"a matrix \(N, N\), N a square, and this one is \(3, 3\)"),
        ("1", draw_keys("rom", 9, 0, 0, 2), r"\(2, 9, 9\)"),
    ]
    for name, key, reason in keys:
        with pytest.raises(BadInput, match=reason):
            encrypt_model(network, name, key)


BLOCKS_REFUSED = {
    "a stride that does not divide the block": (
        nn.Conv2d(1, 1, 3, (2, 3)),
        (4, "tiles"),
        r"block of 4 is not a multiple of its stride \(2, 3\): give 6, or a multiple of it",
    ),
    "padding that copies samples": (
        nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect"),
        (3, "samples"),
        "by reflect",
    ),
    "tiles over groups": (nn.Conv1d(4, 4, 3, groups=2), (2, "tiles"), "2 groups each read different bins"),
    "frames over groups": (nn.Conv1d(6, 2, 3, groups=2), (2, "frames"), "straddle its 2 groups of 3: .* divides 3"),
    "a recurrent layer with tiles": (nn.LSTM(8, 2), (4, "tiles"), "an LSTM, which reads one frame at a time.*frames"),
    "a linear layer with samples": (
        nn.Linear(8, 2),
        (4, "samples"),
        "reads frames of features: ask for blocks of frames",
    ),
    "a 2-D convolution with frames": (nn.Conv2d(1, 1, 3), (3, "frames"), "reads 2-D tiles, not blocks of frames"),
}


@pytest.mark.parametrize("case", BLOCKS_REFUSED)
def test_blocks_that_do_not_fit_a_layer_are_refused_with_the_reason(case: str) -> None:
    layer, (block_size, blocks), reason = BLOCKS_REFUSED[case]
    key = SecretKey.draw("rom", block_size, 2 if blocks == "tiles" else 1)
    network = nn.Sequential(layer)
    for call in (
        lambda: encrypt_model(network, "0", key, blocks),
        lambda: lift_model(network, "0", block_size, blocks),
        lambda: lift(layer, KeyCut(blocks, block_size)),
    ):
        with pytest.raises(BadInput, match=rf"cannot take a key exactly, because .*{reason}"):
            call()


def test_padding_that_copies_frames_takes_keys_of_frames() -> None:
    layer = nn.Conv1d(6, 2, 3, padding=1, padding_mode="reflect")
    key, query = SecretKey.draw("rom", 3), torch.randn(1, 6, 9)
    answer = encrypt_model(layer, "", key, "frames")(encrypt_query(query, key, blocks="frames"))
    assert torch.allclose(answer, layer(query), atol=1e-5)


def test_how_keys_cut_unless_asked() -> None:
    assert default_blocks(nn.Conv1d(1, 1, 3)) == "samples" and default_blocks(nn.Conv2d(2, 1, 3)) == "tiles"
    assert default_blocks(nn.Conv1d(80, 1, 3)) is None and default_blocks(nn.ReLU()) is None
    assert {default_blocks(kind(2, 2)) for kind in (nn.Linear, nn.RNN, nn.LSTM, nn.GRU)} == {"frames"}
    assert KeyCut.for_layer(nn.Conv1d(3, 1, 5, 5)) == KeyCut("samples", 5)
    assert KeyCut.for_layer(nn.Conv2d(1, 1, 3, 3)) == KeyCut("tiles", 3)
    assert KeyCut.for_layer(nn.LSTM(40, 2)) == KeyCut("frames", 40)
    for layer in (nn.Conv1d(1, 1, 10, 5), nn.Conv2d(1, 1, 3, (3, 1))):
        with pytest.raises(BadInput, match=r"has no block size of its own for .*: name one"):
            KeyCut.for_layer(layer)
    with pytest.raises(BadInput, match=r"'0' reads 80 channels: say whether a key cuts them, .* tiles or frames"):
        encrypt_model(nn.Sequential(nn.Conv1d(80, 4, 3)), "0", SecretKey.draw("rom", 3))
    with pytest.raises(BadInput, match="not into 'words'"):
        encrypt_model(nn.Conv1d(1, 4, 3), "", SecretKey.draw("rom", 3), "words")


def test_a_shared_weight_is_refused() -> None:
    tied = nn.Sequential(nn.Conv1d(1, 1, 3, 3), nn.Conv1d(1, 1, 3, 3))
    tied[1].weight = tied[0].weight
    twice = nn.Conv1d(1, 1, 3, 3)
    same_memory = nn.Sequential(nn.Conv1d(1, 1, 3, 3), nn.Conv1d(1, 1, 3, 3))
    same_memory[1].weight = nn.Parameter(same_memory[0].get_parameter("weight").data)
    for network in (tied, nn.Sequential(twice, twice), same_memory):
        with pytest.raises(BadInput, match=r"shared with '1\.weight'"):
            encrypt_model(network, "0", SecretKey.draw("rom", 3))
        assert keyable_layers(network) == []
    recurrent = nn.ModuleList([nn.GRU(3, 3, bidirectional=True), nn.GRU(3, 3)])
    recurrent[1].weight_ih_l0 = recurrent[0].weight_ih_l0_reverse
    with pytest.raises(BadInput, match=r"shared with '1\.weight_ih_l0'"):
        encrypt_model(recurrent, "0", SecretKey.draw("rom", 3))


def test_an_unknown_layer_names_the_nearest() -> None:
    network = nn.ModuleDict({"encoder": nn.Sequential(nn.Conv1d(1, 1, 3, 3)), "head": nn.Linear(1, 1)})
    with pytest.raises(BadInput, match=r"no layer 'encoder\.1': did you mean encoder"):
        encrypt_model(network, "encoder.1", SecretKey.draw("rom", 3))
    with pytest.raises(BadInput, match=r"did you mean encoder\.0 or head\?"):
        first_layer(network, "zzzz")
    with pytest.raises(BadInput, match=r"no layer 'zzzz'\."):
        first_layer(nn.Identity(), "zzzz")
    assert first_layer(network, "encoder.0") is network.get_submodule("encoder.0")
