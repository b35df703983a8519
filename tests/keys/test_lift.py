"""Block lifting: any first layer that is linear in the query, encrypted, answers as the plain one on padded queries."""

import copy
import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.key import SecretKey
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.lift import lift, multiplications
from wrongkey.keys.lifted import Axis, LiftedConvolution
from wrongkey.keys.model import encrypt_model, lift_model
from wrongkey.keys.query import encrypt_query

small = st.integers(1, 3)


class Features(nn.Module):
    """A query (batch, bins, frames) into a layer that reads (batch, frames, features), as recognisers do."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, query: Tensor) -> Tensor:
        frames = query.transpose(-2, -1)
        answer = self.layer(frames if getattr(self.layer, "batch_first", True) else frames.transpose(0, 1))
        return answer[0] if isinstance(answer, tuple) else answer


def whole(query: Tensor, block_size: int, blocks: str) -> Tensor:
    """Padded to whole blocks along the axes of the query that a plain layer takes at any length."""
    bins, time = (-length % block_size for length in query.shape[-2:])
    if blocks == "frames":
        return query
    return F.pad(query, (0, time, 0, bins) if blocks == "tiles" and query.ndim == 4 else (0, time))


def identity(block_size: int, blocks: str) -> Tensor:
    return torch.eye(block_size ** Blocks.named(blocks).dims, dtype=torch.float64)


@st.composite
def convolutions(draw):
    """(layer, block size, blocks, query) with a stride that divides the block and a query that gives outputs."""
    kind, blocks = draw(st.sampled_from([(1, "samples"), (1, "tiles"), (1, "frames"), (2, "tiles")]))
    lifted = blocks != "frames"
    groups = draw(small) if blocks in ("samples", "frames") or kind == 2 else 1
    strides = [draw(small) for _ in range(kind)]
    block_size = draw(st.integers(1, 4))
    if lifted:
        while any(block_size % stride for stride in strides):
            block_size += 1
    inputs = groups * draw(small) * (block_size if blocks == "frames" and groups > 1 else 1)
    if blocks in ("tiles", "frames") and kind == 1 and groups == 1:
        inputs = draw(st.integers(1, 9))
    padding = draw(st.sampled_from(["same", "valid", "numbers"]))
    if padding == "same":
        strides = [1] * kind
    elif padding == "numbers":
        padding = tuple(draw(st.integers(0, 7)) for _ in range(kind))
    kernels = [draw(st.integers(1, 6)) for _ in range(kind)]
    dilations = [draw(small) for _ in range(kind)]
    layer = (nn.Conv1d, nn.Conv2d)[kind - 1](
        inputs,
        groups * draw(small),
        tuple(kernels),
        tuple(strides),
        padding,
        tuple(dilations),
        groups,
        draw(st.booleans()),
        dtype=torch.float64,
    )
    reach = [dilation * (kernel - 1) + 1 for dilation, kernel in zip(dilations, kernels, strict=True)]
    extent = [draw(st.integers(length, length + 12)) for length in reach]
    query = torch.randn(2, inputs, *extent, dtype=torch.float64)
    return nn.Sequential(layer, nn.Tanh()).requires_grad_(False), "0", block_size, blocks, query


@st.composite
def frame_layers(draw):
    """(network, layer name, block size, blocks, query) for the layers that read frames of features."""
    kind = draw(st.sampled_from([nn.Linear, nn.RNN, nn.LSTM, nn.GRU]))
    bins, block_size = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    bias = draw(st.booleans())
    if kind is nn.Linear:
        layer = nn.Linear(bins, draw(small), bias=bias)
    else:
        extra = {"proj_size": 1} if kind is nn.LSTM and draw(st.booleans()) else {}
        layers, both = draw(st.integers(1, 2)), draw(st.booleans())
        first = draw(st.booleans())
        layer = kind(bins, 3, layers, bias=bias, batch_first=first, bidirectional=both, **extra)
    query = torch.randn(2, bins, draw(small), dtype=torch.float64)
    return Features(layer).double().requires_grad_(False), "layer", block_size, "frames", query


cases = st.one_of(convolutions(), frame_layers())
schemes = st.sampled_from(["shuffling", "flipping", "rom"])


@settings(max_examples=250)
@given(cases, schemes, st.integers(0, 99))
def test_the_correct_key_gives_the_plain_answers_in_value_and_number(case, scheme, seed) -> None:
    network, name, block_size, blocks, query = case
    key = SecretKey.from_seed(scheme, block_size, Blocks.named(blocks).dims, seed=seed)
    expected = network(whole(query, block_size, blocks))
    lifted = lift_model(network, name, block_size, blocks)
    answer = lifted(encrypt_query(query, identity(block_size, blocks), blocks=blocks))
    assert answer.shape == expected.shape and (answer - expected).abs().max() < 1e-12
    before = copy.deepcopy(network.state_dict())
    encrypted = encrypt_model(network, name, key, blocks)
    answer = encrypted(encrypt_query(query, key, blocks=blocks))
    assert answer.shape == expected.shape
    assert (answer - expected).abs().max() < 1e-10
    assert all(torch.equal(value, before[entry]) for entry, value in network.state_dict().items())
    single = encrypt_model(copy.deepcopy(network).float(), name, key, blocks)
    answer = single(encrypt_query(query.float(), key, blocks=blocks))
    assert (answer - expected).abs().max() <= 1e-4 * max(1.0, float(expected.abs().max()))
    raw = encrypt_model(network, name, key.matrix, blocks)
    assert all(torch.equal(value, encrypted.state_dict()[entry]) for entry, value in raw.state_dict().items())


@settings(max_examples=60)
@given(cases, st.integers(0, 99))
def test_incorrect_keys_plain_queries_and_relative_keys(case, seed) -> None:
    network, name, block_size, blocks, query = case
    size = block_size ** Blocks.named(blocks).dims
    model_key, other = draw_keys("rom", size, seed, 0, 2)
    encrypted = encrypt_model(network, name, model_key, blocks)
    explicit = encrypted(encrypt_query(query, other, blocks=blocks))
    relative = lift_model(network, name, block_size, blocks)(encrypt_query(query, other @ model_key.T, blocks=blocks))
    assert (explicit - relative).abs().max() < 1e-10
    if size > 2:
        correct = encrypted(encrypt_query(query, model_key, blocks=blocks))
        assert (explicit - correct).abs().max() > 1e-6


@settings(max_examples=60)
@given(cases, st.integers(0, 99))
def test_an_encrypted_model_shows_no_plain_kernel_and_no_key(case, seed) -> None:
    network, name, block_size, blocks, _ = case
    key = SecretKey.from_seed("rom", block_size, Blocks.named(blocks).dims, seed=seed)
    if key.size < 3:  # a key of one element is a sign
        return
    encrypted = encrypt_model(network, name, key, blocks)
    layer = encrypted.get_submodule(name)
    assert not list(layer.buffers())
    keyed = {entry for entry in layer.state_dict() if entry in ("weight", "weight_ih_l0", "weight_ih_l0_reverse")}
    assert keyed
    plain, lifted = network.get_submodule(name), lift(network.get_submodule(name), KeyCut(blocks, block_size))
    for entry in keyed:
        weight = layer.get_parameter(entry)
        for other in (plain.get_parameter(entry), lifted.get_parameter(entry)):
            assert weight.shape != other.shape or not torch.allclose(weight, other, atol=1e-3)
    for value in encrypted.state_dict().values():
        for matrix in (torch.tensor(key.matrix), torch.tensor(key.matrix.T)):
            assert value.shape != matrix.shape or not torch.allclose(value, matrix)
    if isinstance(layer, LiftedConvolution):
        assert set(layer.state_dict()) <= {"weight", "bias"}


@given(small, small, small, st.integers(0, 7), st.integers(0, 7), st.integers(1, 4), st.integers(1, 30))
def test_an_axis_counts_outputs_and_never_cuts_a_query(kernel, stride, dilation, before, after, times, n) -> None:
    axis = Axis(kernel, stride, dilation, before, after, times * stride)
    outputs = (n * axis.block + before + after - axis.reach - 1) // stride + 1
    assert n * axis.phases + axis.surplus == outputs
    assert min(axis.padding) >= 0 and all(zeros % axis.block == 0 for zeros in axis.padding)
    whole = n * axis.block + sum(axis.padding)
    assert ((whole - axis.taps * axis.block) // axis.block + 1) * axis.phases >= outputs
    assert torch.equal(axis.windows().sum((-2, -1)), torch.ones(axis.phases, kernel, dtype=torch.float64))


def test_a_convolution_that_reads_one_block_stays_one() -> None:
    for layer, blocks, stays in [
        (nn.Conv1d(1, 4, 6, 6), "samples", True),
        (nn.Conv1d(4, 4, 6, 6, groups=2), "samples", True),
        (nn.Conv2d(1, 4, 6, 6), "tiles", True),
        (nn.Conv2d(1, 4, 3, 3), "tiles", False),
        (nn.Conv1d(1, 4, 6, 3), "samples", False),
        (nn.Conv1d(1, 4, 6, 6, padding=6), "samples", False),
        (nn.Conv1d(6, 4, 6, 6), "tiles", False),
    ]:
        assert KeyCut(blocks, 6).reads_whole(layer) is stays
        lifted = lift(layer, KeyCut(blocks, 6))
        assert lifted is not layer and (type(lifted) is type(layer)) is stays
    assert type(lift(nn.Conv1d(80, 4, 3, padding=1), KeyCut("frames", 7))) is nn.Conv1d
    assert lift(nn.Conv1d(80, 4, 3, padding=1), KeyCut("frames", 7)).in_channels == 84


def hubert() -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(1, 8, 10, 5, bias=False), nn.GELU())


def whisper() -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(20, 8, 3, padding=1), nn.GELU())


def subsampling() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU())


KINDS = {
    "hubert": (hubert, 10, "samples", (2, 1, 90)),
    "whisper in tiles": (whisper, 8, "tiles", (2, 20, 90)),
    "whisper in frames": (whisper, 20, "frames", (2, 20, 90)),
    "2-D subsampling": (subsampling, 4, "tiles", (2, 1, 22, 90)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_encrypted_model_is_saved_loaded_copied_and_pickled(kind: str, tmp_path: Path) -> None:
    build, block_size, blocks, shape = KINDS[kind]
    key = SecretKey.draw("rom", block_size, Blocks.named(blocks).dims)
    encrypted = encrypt_model(build(), "0", key, blocks)
    query = encrypt_query(torch.randn(shape), key, blocks=blocks)
    expected = encrypted(query)
    save_file(encrypted.state_dict(), tmp_path / "encrypted.safetensors")
    loaded = lift_model(build(), "0", block_size, blocks)
    loaded.load_state_dict(load_file(tmp_path / "encrypted.safetensors"))
    for again in (loaded, copy.deepcopy(encrypted), pickle.loads(pickle.dumps(encrypted))):
        assert torch.equal(again(query), expected)
    assert torch.equal(encrypted.state_dict()["0.weight"], loaded.state_dict()["0.weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_an_encrypted_model_is_exported_with_any_length(kind: str) -> None:
    build, block_size, blocks, shape = KINDS[kind]
    key = SecretKey.draw("rom", block_size, Blocks.named(blocks).dims)
    encrypted = encrypt_model(build(), "0", key, blocks).eval()
    query = encrypt_query(torch.randn(shape), key, blocks=blocks)
    step = 1 if blocks == "frames" else block_size
    length = step * torch.export.Dim("length", min=4, max=4000)
    program = torch.export.export(encrypted, (query,), dynamic_shapes=({query.ndim - 1: length},)).module()
    for frames in (90, 45, 170):
        query = encrypt_query(torch.randn(*shape[:-1], frames), key, blocks=blocks)
        assert torch.allclose(program(query), encrypted(query), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_unfinished_blocks_single_queries_and_bfloat16(kind: str) -> None:
    build, block_size, blocks, shape = KINDS[kind]
    network = build()
    lifted = lift_model(network, "0", block_size, blocks)
    if blocks == "samples":
        query = torch.randn(shape)[..., :-3]
        assert torch.equal(lifted(query), lifted(F.pad(query, (0, 3))))
    query = encrypt_query(torch.randn(shape), identity(block_size, blocks), blocks=blocks)
    assert torch.allclose(lifted(query)[1], lifted(query[1]), atol=1e-5)
    key = SecretKey.draw("rom", block_size, Blocks.named(blocks).dims)
    half = encrypt_model(copy.deepcopy(network).bfloat16(), "0", key, blocks)
    answer = half(encrypt_query(query, key, blocks=blocks).bfloat16())
    assert answer.dtype == torch.bfloat16
    assert (answer.float() - lifted(query)).abs().max() < 0.1


def test_attributes_that_networks_look_at_modes_and_gradients_are_kept() -> None:
    layer = nn.Conv1d(1, 8, 10, 5, padding=2).eval()
    layer.weight.requires_grad_(False)
    lifted = lift(layer, KeyCut("samples", 10))
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(lifted, name) == getattr(layer, name)
    assert not lifted.training and not lifted.weight.requires_grad and lifted.bias.requires_grad
    assert "block=(10,)" in repr(lifted)


def test_a_query_that_is_too_short_fails_as_the_plain_layer_does() -> None:
    layer = nn.Conv1d(1, 1, 10, 2)
    for network in (layer, lift(layer, KeyCut("samples", 2))):
        with pytest.raises(RuntimeError, match="size"):
            network(torch.randn(1, 1, 8))
        assert network(torch.randn(1, 1, 10)).shape == (1, 1, 1)


def test_the_cost_of_lifting_is_the_ratio_of_multiplications() -> None:
    raw, mel = nn.Conv1d(1, 512, 10, 5), nn.Conv1d(80, 384, 3, padding=1)
    assert multiplications(raw) == 512 * 10 / 5 and multiplications(mel) == 80 * 384 * 3
    assert multiplications(lift(raw, KeyCut("samples", 5))) == multiplications(raw)
    assert multiplications(lift(raw, KeyCut("samples", 10))) == 2 * multiplications(raw)
    assert multiplications(lift(mel, KeyCut("tiles", 8))) == 8 * multiplications(mel)
    assert multiplications(lift(mel, KeyCut("frames", 80))) == multiplications(mel)
    assert multiplications(nn.Conv2d(1, 4, 3, 3)) == 4
    assert multiplications(nn.Linear(10, 3)) == 30
    assert multiplications(nn.LSTM(10, 3, bidirectional=True)) == 2 * 4 * 3 * (10 + 3)
    with pytest.raises(BadInput, match="ReLU"):
        multiplications(nn.ReLU())


def test_a_stride_below_the_block_shows_the_key_to_who_holds_the_model() -> None:
    """What `lift` warns of: the phases are one kernel, shifted, and the shift seen through the key is Kᵀ S K."""
    block_size = 6
    key = SecretKey.from_seed("rom", block_size, seed=0)
    weight = encrypt_model(nn.Conv1d(1, 32, 3, dtype=torch.float64), "", key).get_parameter("weight").detach()
    phases = weight.unflatten(0, (32, block_size)).unflatten(-1, (-1, block_size)).squeeze(2)  # out, phase, tap, N
    before = F.pad(phases, (0, 0, 1, 0))[:, :, :-1]  # the tap before this one, whose last sample moves in
    read = torch.cat([phases, before], dim=-1)[:, :-1].reshape(-1, 2 * block_size)
    shifted = torch.linalg.lstsq(read, phases[:, 1:].reshape(-1, block_size), driver="gelsd").solution[:block_size]
    rows = [torch.linalg.svd(torch.linalg.matrix_power(shifted, block_size - 1))[0][:, 0]]
    for _ in range(block_size - 1):
        rows.append(rows[-1] @ shifted)
    found, true = torch.stack(rows), torch.tensor(key.matrix)
    assert min((found - true).abs().max(), (found + true).abs().max()) < 1e-8
