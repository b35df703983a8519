"""Blocks against slices taken one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import cut, from_blocks, to_blocks

tails = st.sampled_from(["pad", "drop"])


@given(st.integers(1, 6), st.integers(1, 30), st.sampled_from([(), (2,), (2, 3)]), tails)
def test_a_waveform_is_cut_into_consecutive_samples(block_size, samples, lead, tail) -> None:
    speech = torch.randn(*lead, samples)
    if tail == "drop" and samples < block_size:
        with pytest.raises(BadInput, match="shorter than one block"):
            to_blocks(speech, block_size, 1, tail)
        return
    blocks = to_blocks(speech, block_size, 1, tail)
    whole = samples // block_size
    assert blocks.shape == (*lead, -(-samples // block_size) if tail == "pad" else whole, block_size)
    for j in range(whole):
        assert torch.equal(blocks[..., j, :], speech[..., j * block_size : (j + 1) * block_size])
    if blocks.shape[-2] > whole:
        rest = samples - whole * block_size
        assert torch.equal(blocks[..., -1, :rest], speech[..., whole * block_size :])
        assert not blocks[..., -1, rest:].any()


@given(st.integers(1, 4), st.integers(1, 13), st.integers(1, 13), st.sampled_from([(), (2,), (2, 3)]))
def test_a_spectrogram_is_cut_into_tiles_flattened_row_by_row(block_size, bins, frames, lead) -> None:
    speech = torch.randn(*lead, bins, frames)
    tiles = to_blocks(speech, block_size, 2)
    assert tiles.shape[-3:] == (-(-bins // block_size), -(-frames // block_size), block_size**2)
    for i in range(bins):
        for j in range(frames):
            element = i % block_size * block_size + j % block_size
            value = tiles[..., i // block_size, j // block_size, element]
            assert torch.equal(value, speech[..., i, j])
    assert tiles.count_nonzero() == speech.numel()


@given(st.integers(1, 5), st.integers(1, 13), st.integers(1, 6), st.sampled_from([(), (2,), (2, 3)]), tails)
def test_frames_are_cut_into_consecutive_bins(block_size, bins, frames, lead, tail) -> None:
    speech = torch.randn(*lead, bins, frames)
    if tail == "drop" and bins < block_size:
        with pytest.raises(BadInput, match="shorter than one block"):
            to_blocks(speech, block_size, "frames", tail)
        return
    blocks = to_blocks(speech, block_size, "frames", tail)
    for j in range(frames):
        assert torch.equal(blocks[..., j, :, :], to_blocks(speech[..., j], block_size, "samples", tail))
    kept = bins if tail == "pad" else bins - bins % block_size
    assert torch.equal(from_blocks(blocks, block_size, "frames", (kept, frames)), speech[..., :kept, :])


def test_blocks_have_names() -> None:
    assert [Blocks.named(blocks).dims for blocks in ("samples", "tiles", "frames")] == [1, 2, 1]
    for word in ("words", ""):
        with pytest.raises(BadInput, match="samples, tiles or frames, not into"):
            Blocks.named(word)


@given(st.integers(1, 4), st.integers(1, 13), st.integers(1, 13), st.sampled_from([(), (2, 3)]), tails)
def test_blocks_are_joined_again(block_size, bins, frames, lead, tail) -> None:
    for dims, extent in ((1, (frames,)), (2, (bins, frames))):
        speech = torch.randn(*lead, *extent)
        if tail == "drop" and min(extent) < block_size:
            continue
        blocks = to_blocks(speech, block_size, dims, tail)
        if tail == "pad":
            assert torch.equal(from_blocks(blocks, block_size, dims, extent), speech)
        else:
            kept = tuple(length - length % block_size for length in extent)
            assert torch.equal(from_blocks(blocks, block_size, dims), cut(speech, dims, kept))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int16])
def test_any_dtype_and_memory_layout_is_kept(dtype: torch.dtype) -> None:
    speech = torch.arange(35).reshape(5, 7).to(dtype).T
    blocks = to_blocks(speech, 3, 2)
    assert blocks.dtype == dtype
    assert torch.equal(from_blocks(blocks, 3, 2, (7, 5)), speech)


def test_gradients_pass_through() -> None:
    speech = torch.randn(2, 7, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: from_blocks(to_blocks(x, 3, 2) ** 2, 3, 2), speech)


def test_input_that_has_no_blocks_is_refused() -> None:
    for speech, dims in [
        (torch.zeros(0), 1),
        (torch.zeros(3), 2),
        (torch.zeros(3, 0), 2),
        (torch.tensor(1.0), 1),
    ]:
        for tail in ("pad", "drop"):
            with pytest.raises(BadInput, match="holds nothing"):
                to_blocks(speech, 2, dims, tail)
    with pytest.raises(BadInput, match="'wrap'"):
        to_blocks(torch.zeros(4), 2, 1, "wrap")  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        to_blocks(torch.zeros(4), 0, 1)
    for extent in [(5,), (0,), (2, 2), ()]:
        with pytest.raises(BadInput, match="cannot be cut"):
            from_blocks(torch.zeros(2, 2), 2, 1, extent)
    assert np.array_equal(from_blocks(torch.ones(2, 2), 2, 1, (3,)), np.ones(3))
