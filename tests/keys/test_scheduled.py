"""Queries and first layers under one key after another: exact for every layer that lifting covers."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.keys.test_lift import Features, convolutions, frame_layers, whole
from tests.keys.test_structure import COMPOSED
from tests.keys.test_structure import convolutions as composed_convolutions
from wrongkey.errors import BadInput
from wrongkey.keys import Blocks, SeedKey, Slots, encrypt_query, encrypt_scheduled, encrypt_scheduled_model
from wrongkey.keys.key_cut import KeyCut

schemes = st.sampled_from(["shuffling", "flipping", "rom"])


def longer(query: torch.Tensor, by: int) -> torch.Tensor:
    """A query of several slots, with other speech behind it."""
    return torch.cat([query, torch.randn(*query.shape[:-1], by, dtype=query.dtype)], dim=-1)


@st.composite
def timetables(draw, cut: KeyCut, length: int):
    """Slots of any lengths of whole blocks, up to a query of at least `length`."""
    starts, steps = [0], cut.steps
    while starts[-1] < length:
        starts.append(starts[-1] + steps * draw(st.integers(1, 5)))
    return Slots(tuple(starts[:-1]), starts[-1])


@settings(max_examples=250)
@given(st.one_of(convolutions(), frame_layers()), st.integers(0, 40), schemes, st.data())
def test_the_right_keys_give_the_plain_answers_in_value_and_number(case, more, scheme, data):
    network, name, block_size, blocks, query = case
    query, cut = longer(query, more), KeyCut(blocks, block_size)
    slots = data.draw(timetables(cut, query.shape[-1]))
    key = SeedKey.from_seed(f"{scheme}+schedule=1", block_size, Blocks.named(blocks).dims, seed=0)
    matrices = torch.from_numpy(key.matrices(slots=len(slots.starts)))
    if isinstance(network.get_submodule(name), nn.RNN | nn.LSTM | nn.GRU):
        with pytest.raises(BadInput, match="carries its state from one key to the next"):
            encrypt_scheduled_model(network, name, cut, slots, matrices)
        return
    before = copy.deepcopy(network.state_dict())
    encrypted = encrypt_scheduled_model(network, name, cut, slots, matrices)
    expected = network(whole(query, block_size, blocks))
    answer = encrypted(encrypt_scheduled(query, matrices[None, None], cut, slots)[0])
    assert answer.shape == expected.shape and (answer - expected).abs().max() < 1e-11
    assert all(torch.equal(before[weight], kept) for weight, kept in network.state_dict().items())

    empty = encrypt_scheduled_model(network, name, cut, slots)
    empty.load_state_dict(encrypted.state_dict())
    torch.testing.assert_close(empty(encrypt_scheduled(query, matrices[None, None], cut, slots)[0]), answer)


@given(st.sampled_from([("samples", (30,)), ("tiles", (9, 30)), ("frames", (9, 30))]), st.integers(1, 5), schemes)
def test_a_query_is_encrypted_with_the_key_of_each_slot(kind, block_size, scheme):
    blocks, extent = kind
    cut = KeyCut(blocks, block_size)
    slots = Slots((0, 2 * cut.steps, 3 * cut.steps), 60)
    key = SeedKey.from_seed(f"{scheme}+schedule=1", block_size, cut.dims, seed=0)
    query, matrices = torch.randn(2, *extent, dtype=torch.float64), torch.from_numpy(key.matrices(slots=3))
    encrypted = encrypt_scheduled(query, matrices[None, None], cut, slots)[0]
    for slot, (start, end) in enumerate(slots.of(30)):
        part = encrypt_query(query[..., start:end], key.at(slot=slot), blocks=blocks)
        torch.testing.assert_close(encrypted[..., start : start + part.shape[-1]], part)


def test_several_keys_and_an_own_matrix_for_each_query_of_a_batch():
    cut, slots = KeyCut("samples", 3), Slots((0, 6), 12)
    query = torch.randn(4, 2, 11, dtype=torch.float64)  # of two channels
    matrices = torch.linalg.qr(torch.randn(5, 4, 2, 3, 3, dtype=torch.float64)).Q
    encrypted = encrypt_scheduled(query, matrices, cut, slots)
    assert encrypted.shape == (5, 4, 2, 12)
    for key in range(5):
        for row in range(4):
            for slot, part in enumerate((slice(0, 6), slice(6, 12))):
                expected = encrypt_query(query[row, :, part], matrices[key, row, slot], blocks="samples")
                torch.testing.assert_close(encrypted[key, row, :, part], expected)


@settings(max_examples=100, deadline=None)
@given(composed_convolutions(), st.sampled_from(COMPOSED), st.integers(2, 4), st.integers(0, 60))
def test_every_scheme_of_the_family_follows_a_schedule(case, scheme, hold, more):
    layer, block_size, query = case
    key = SeedKey.from_seed(f"{scheme}+schedule=1", block_size, seed=1)
    cut, query = key.cut("samples"), longer(query, more)
    slots = key.derived.slots(cut.steps, hold * cut.steps + 1, query.shape[-1])
    matrices = torch.from_numpy(key.matrices(slots=len(slots.starts)))
    encrypted = encrypt_scheduled_model(layer, "", cut, slots, matrices)
    answer = encrypted(encrypt_scheduled(query, matrices[None, None], cut, slots)[0])
    padded = nn.functional.pad(query, (0, -query.shape[-1] % cut.steps))
    torch.testing.assert_close(answer, layer(padded), atol=1e-8, rtol=0)


def test_wrong_keys_change_the_answer_of_their_slot_alone():
    network = nn.Sequential(nn.Conv1d(1, 4, 3, stride=3, dtype=torch.float64)).requires_grad_(False)
    cut, slots = KeyCut("samples", 3), Slots((0, 12), 24)
    key = SeedKey.from_seed("rom+schedule=1", 3, seed=0)
    matrices = torch.from_numpy(key.matrices(slots=2))
    query = torch.randn(1, 1, 24, dtype=torch.float64)
    encrypted = encrypt_scheduled_model(network, "0", cut, slots, matrices)
    swapped = torch.stack([matrices[0], matrices[0]])
    difference = encrypted(encrypt_scheduled(query, swapped[None, None], cut, slots)[0]) - network(query)
    assert difference[..., :4].abs().max() < 1e-12 and difference[..., 4:].abs().min() > 1e-6


def test_longer_queries_are_refused_and_a_shared_weight_too():
    layer = nn.Conv1d(1, 4, 3, stride=3)
    encrypted = encrypt_scheduled_model(layer, "", KeyCut("samples", 3), Slots((0, 6), 12))
    with pytest.raises(BadInput, match="for 12 samples or frames, and the query has 15"):
        encrypted(torch.zeros(1, 1, 15))
    shared = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    shared["b"].weight = shared["a"].weight
    with pytest.raises(BadInput, match=r"shared with 'b\.weight'"):
        encrypt_scheduled_model(shared, "a", KeyCut("frames", 3), Slots((0,), 3))


def test_networks_read_the_settings_of_their_first_layer():
    layer = encrypt_scheduled_model(nn.Conv1d(1, 4, 3, stride=2), "", KeyCut("samples", 4), Slots((0, 8), 16))
    assert layer.stride == (2,) and layer.kernel_size == (3,) and layer.weight.dtype == torch.float32
    copied = copy.deepcopy(layer)
    torch.testing.assert_close(copied(torch.ones(1, 1, 16)), layer(torch.ones(1, 1, 16)))
    with pytest.raises(AttributeError):
        layer.nothing  # noqa: B018
    assert Features(layer) is not None
