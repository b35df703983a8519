"""RawNeXt: published speaker verification on raw waveforms, whose first layer reads blocks of three samples.

Kim, Heo, Yu, ICASSP 2022 (`rawnext_network`): its front end, its protocol of ten segments, and its checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.rawnext_folded import FoldedRawNeXt
from wrongkey.evaluation.models.adapters.rawnext_network import RawNeXt
from wrongkey.evaluation.models.checkpoints import read_state_dict, strip_prefixes

SAMPLE_RATE = 16_000
PRE_EMPHASIS = 0.97
SEGMENT = 59_049  # samples: 3.69 s, 3 to the power of 10
SEGMENTS = 10
SAMPLES_PER_FRAME = 3**7  # first layer and six poolings; the trees' blocks need every length to be divisible by three
# tensors of RawNeXt in every size, by which a prefix before all names is known
ANY_SIZE = ("base_layer.0.weight", "level1.0.weight", "bn_agg.weight", "fc.weight", "fc.bias", "bn_code.weight")


@dataclass
class RawNeXtModel:
    """RawNeXt in eval mode with its evaluation protocol; `first_layer` names the layer that absorbs a key."""

    network: nn.Module
    name: str = "rawnext"
    first_layer: str = "base_layer.0"
    sample_rate: int = SAMPLE_RATE
    blocks: str = "samples"
    block_size: int | None = None  # the first layer's kernel
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        """What the user computes before encryption: pre-emphasis `x[n] - 0.97 x[n-1]`, `(samples,)`."""
        query = waveform.clone()
        query[1:] -= PRE_EMPHASIS * waveform[:-1]
        return query

    def segments(self, query: Tensor) -> Tensor:
        """The published protocol: ten evenly spaced segments of 3.69 s, `(10, 59049)`, encrypted one by one.

        The query's first sample, which pre-emphasis had nothing to subtract from, is left out. A query of at
        most one segment is repeated until it fills one: `(1, 59049)`, since ten equal segments have the mean
        of one.

        Raises BadInput for a query of fewer than two samples.
        """
        query = query[1:]
        if not len(query):
            raise BadInput("An utterance of fewer than two samples has no embedding; leave it out of the corpus.")
        if len(query) <= SEGMENT:
            return query.repeat(-(-SEGMENT // len(query)))[None, :SEGMENT]
        starts = np.linspace(0, len(query) - SEGMENT, SEGMENTS).astype(int)
        return torch.stack([query[start : start + SEGMENT] for start in starts.tolist()])

    def embed(self, queries: Tensor) -> Tensor:
        """Embeddings `(batch, code_dim)` of segments `(batch, samples)`, samples divisible by 2,187."""
        if queries.shape[-1] % SAMPLES_PER_FRAME or not queries.shape[-1]:
            raise BadInput(
                f"RawNeXt embeds multiples of {SAMPLES_PER_FRAME} samples, not {queries.shape[-1]}: cut the "
                "query with `segments`."
            )
        return self.network(queries)


def load_rawnext(path: str | Path, *, folded: bool = True) -> RawNeXtModel:
    """RawNeXt from a PyTorch, safetensors or `.npz` checkpoint; its size is read from the tensors.

    `checkpoints` says what may stand around its tensors and before their names. The published one is at
    github.com/wngh1187/RawNeXt. folded: batch norms and consecutive linear layers are merged (`rawnext_folded`:
    faster, the same function); False keeps the checkpoint's names.

    Raises BadInput for a file that cannot be read and for the checkpoint of another architecture.
    """
    if not str(path):
        raise BadInput("No RawNeXt checkpoint is given: name its file, as in rawnext:FILE.")
    path = Path(path)
    weights = strip_prefixes(read_state_dict(path), ANY_SIZE, path)
    levels, channels, code_dim = _size(weights, path)
    with torch.device("meta"):
        network = RawNeXt(levels, channels, code_dim)
    expected = network.state_dict()
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):  # read in training only, and absent from some files
            weights[name] = torch.zeros((), dtype=torch.int64)
        if (found := _tensor(weights, name, path)).shape != tensor.shape:
            raise BadInput(
                f"{path} is not a RawNeXt checkpoint: its tensor {name} has the shape {tuple(found.shape)} and "
                f"should have {tuple(tensor.shape)}."
            )
        weights[name] = found.to(tensor.dtype)
    if unknown := [name for name in weights if name not in expected]:
        raise BadInput(f"{path} is not a RawNeXt checkpoint: its tensor {unknown[0]} has no place in the network.")
    network.load_state_dict(weights, assign=True)
    network.eval().requires_grad_(False)
    return RawNeXtModel(FoldedRawNeXt(network).eval().requires_grad_(False) if folded else network)


def _size(weights: Mapping[str, Tensor], path: Path) -> tuple[list[int], list[int], int]:
    """Levels, channels and embedding dimension that the tensors' names and shapes speak of."""
    levels, channels = [], []
    for stage, first in ((0, "base_layer.0.weight"), (1, "level1.0.weight")):
        weighted = re.compile(rf"level{stage}\.\d+\.weight")  # a convolution and its batch norm
        levels.append(sum(bool(weighted.fullmatch(name)) for name in weights) // 2)
        channels.append(_outputs(weights, first, path))
    for stage in (2, 3, 4, 5):
        root = re.compile(rf"level{stage}\.(tree2\.)*root\.conv\.weight")
        names = [name for name in weights if root.fullmatch(name)]
        deepest = max(names, key=len, default=f"level{stage}.root.conv.weight")
        levels.append(1 + deepest.count("tree2."))
        channels.append(_outputs(weights, deepest, path))
        if 2 ** levels[-1] > len(weights):
            raise BadInput(f"{path} is not a RawNeXt checkpoint: it lacks the blocks below its tensor {deepest}.")
    return levels, channels, _outputs(weights, "fc.weight", path)


def _outputs(weights: Mapping[str, Tensor], name: str, path: Path) -> int:
    if not (tensor := _tensor(weights, name, path)).ndim:
        raise BadInput(f"{path} is not a RawNeXt checkpoint: its tensor {name} is a single number.")
    return len(tensor)


def _tensor(weights: Mapping[str, Tensor], name: str, path: Path) -> Tensor:
    if name not in weights:
        raise BadInput(f"{path} is not a RawNeXt checkpoint: the tensor {name} is missing.")
    return weights[name]
