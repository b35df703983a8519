"""How a key cuts a layer: whether a layer reads whole blocks, against what its outputs depend on."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

BLOCKS = 6  # of a query, along each axis
SETTINGS: list[dict[str, Any]] = [
    {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    for kernel, stride, padding, dilation in product((1, 2, 3), (1, 2, 3), (0, 1, "same"), (1, 2))
    if padding != "same" or stride == 1
]


def read(layer: nn.Module, query: Tensor) -> list[Tensor]:
    """For every output of channel 0, the positions of the query that it depends on."""
    query = query.requires_grad_()
    outputs = layer(query)[0, 0].flatten()
    gradients = [torch.autograd.grad(output, query, retain_graph=True)[0] for output in outputs]
    return [gradient[0].ne(0).any(0) for gradient in gradients]


def blocks_of(shape: tuple[int, ...], block_size: int) -> list[Tensor]:
    """The positions of every block of a query, in the order of a layer's outputs."""
    places = torch.meshgrid(*(torch.arange(length) // block_size for length in shape), indexing="ij")
    cells = product(*(range(length // block_size) for length in shape))
    return [torch.stack([p == c for p, c in zip(places, cell, strict=True)]).all(0) for cell in cells]


def reads_whole_blocks(layer: nn.Module, query: Tensor, block_size: int) -> bool:
    """Whether the layer has one output for each block, which depends on that block, all of it and nothing else."""
    found, wanted = read(layer, query), blocks_of(tuple(query.shape[2:]), block_size)
    return len(found) == len(wanted) and all(map(torch.equal, found, wanted))


@pytest.mark.parametrize("block_size", [1, 2, 3])
def test_a_conv1d_reads_whole_blocks_of_samples_where_its_outputs_say_so(block_size: int) -> None:
    torch.manual_seed(0)
    answers = set()
    for channels, settings in product((1, 2), SETTINGS):
        layer = nn.Conv1d(channels, 2, **settings)
        wanted = reads_whole_blocks(layer, torch.randn(1, channels, BLOCKS * block_size), block_size)
        assert KeyCut(Blocks.SAMPLES, block_size).reads_whole(layer) is wanted, layer
        answers.add(wanted)
    assert answers == {True, False}


@pytest.mark.parametrize("block_size", [1, 2])
def test_a_conv2d_reads_whole_tiles_where_its_outputs_say_so(block_size: int) -> None:
    torch.manual_seed(0)
    answers = set()
    sides = [(1, 1), (1, 2), (2, 1), (2, 2)]
    paddings: list[str | int | tuple[int, int]] = [0, (0, 1), "same"]
    dilations: list[int | tuple[int, int]] = [1, (1, 2)]
    for kernel, stride, padding, dilation in product(sides, sides, paddings, dilations):
        if padding == "same" and stride != (1, 1):
            continue
        layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation)
        wanted = reads_whole_blocks(layer, torch.randn(1, 1, *[BLOCKS * block_size] * 2), block_size)
        assert KeyCut(Blocks.TILES, block_size).reads_whole(layer) is wanted, layer
        answers.add(wanted)
    assert answers == {True, False}


@pytest.mark.parametrize(
    ("layer", "blocks"),
    [
        (nn.Conv1d(3, 2, 3, 3), Blocks.TILES),
        (nn.Conv1d(3, 2, 1), Blocks.FRAMES),
        (nn.Conv2d(1, 2, 3, 3), Blocks.SAMPLES),
        (nn.Conv2d(1, 2, 3, 3), Blocks.FRAMES),
        (nn.Linear(3, 2), Blocks.FRAMES),
        (nn.GRU(3, 2), Blocks.FRAMES),
    ],
)
def test_other_layers_and_blocks_are_lifted(layer: nn.Module, blocks: Blocks) -> None:
    assert not KeyCut(blocks, 3).reads_whole(layer)
