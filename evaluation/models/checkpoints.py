"""Reads the weights of a checkpoint, however the training wrapped them, and executes nothing in it.

PyTorch files are read with ``weights_only``, NumPy archives without pickle. A state dict is found where training
scripts put it (``state_dict``, ``model``, …, also one inside the other), and what DataParallel (``module.``),
``torch.compile`` (``_orig_mod.``), Lightning (``model.``, ``network.``) or others put before every name is taken off.
For one's own model:

    load_weights(network, "epoch=12.ckpt")
"""

from __future__ import annotations

import argparse
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.unreadable import UNREADABLE

CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net")
WRAPPERS = re.compile(r"((module|_orig_mod|model|network|net)\.|weight/)*")
LARGEST, SPARE = 20, 2**26  # a file may unpack to LARGEST times its size and SPARE bytes more
REFUSED = re.compile(r"GLOBAL (\S+)")  # in what torch says of an object that it does not load


def load_weights(network: nn.Module, path: str | Path) -> nn.Module:
    """Fill ``network`` from a checkpoint and return it in eval mode.

    Raises BadInput naming the first tensor that is missing, has another shape or has no place in it.
    """
    path, expected = Path(path), network.state_dict()
    stored = strip_prefixes(read_state_dict(path), expected, path)
    for name, value in expected.items():
        if name not in stored:
            if name.endswith("num_batches_tracked"):  # read in training only, and absent from some files
                continue
            raise BadInput(f"{path} has no tensor {name}, which the network has: is it another network's?")
        if stored[name].shape != value.shape:
            raise BadInput(
                f"{path} has {name} of shape {tuple(stored[name].shape)}, and the network has it of "
                f"{tuple(value.shape)}: is it another network's?"
            )
    if strange := [name for name in stored if name not in expected]:
        raise BadInput(f"{path} has a tensor {strange[0]}, which the network does not have: is it another network's?")
    network.load_state_dict(expected | stored)
    return network.eval()


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Return the named tensors of a ``.safetensors``, ``.npz`` or PyTorch file, on the CPU, names as they are stored.

    Raises BadInput for a file that is missing, holds no tensors by name, holds other objects than tensors and plain
    values (they would be code), or would unpack to more than some twenty times its size.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise BadInput(f"There is no checkpoint {path}: give the path of a file.")
    tensors = _tensors(_content(path), path)
    _check_size(sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()), path)
    return tensors


def strip_prefixes(tensors: Mapping[str, Tensor], expected: Iterable[str], path: str | Path) -> dict[str, Tensor]:
    """Tensors under the names that a network ``expected``, which all stand behind one prefix of their names.

    The prefix is taken off, and what does not have it (a loss beside a Lightning model) is left out. Where the names
    fit without one, or more of them do, nothing is changed: a network may well have a part called ``model``. Raises
    BadInput where a file, ``path``, holds the network under two prefixes and neither is a usual one.
    """
    wanted = {name for name in expected if not name.endswith("num_batches_tracked")}
    fitting = Counter(name[:start] for name in tensors for start in (0, *_parts(name)) if name[start:] in wanted)
    most = max(fitting.values(), default=0)
    best = sorted((prefix for prefix, count in fitting.items() if count == most), key=lambda p: (len(p), p))
    if not best or best[0] == "":
        return dict(tensors)
    usual = [prefix for prefix in best if WRAPPERS.fullmatch(prefix)]
    if len(best) > 1 and not usual:
        raise BadInput(f"{path} holds the network more than once, under {' and '.join(best)}: save one of them alone.")
    prefix = (usual or best)[0]
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _parts(name: str) -> list[int]:
    """Where the parts of a dotted name begin, the first one aside."""
    return [at + 1 for at, sign in enumerate(name) if sign in "./"]


def _content(path: Path) -> Any:
    _check_archive(path)
    try:
        match path.suffix.lower():
            case ".safetensors":
                return load_file(path)
            case ".npz":
                with np.load(path, allow_pickle=False) as archive:
                    return {name: torch.from_numpy(archive[name]) for name in archive.files}
        torch.serialization.add_safe_globals([argparse.Namespace])  # a script's options, which are plain values
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of a foreign file, the sentence below says
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch runs a foreign file's bytes as pickle opcodes, which fail in any way
        if refused := REFUSED.search(str(error)):
            raise BadInput(
                f"{path} holds objects of {refused[1]} beside its tensors, and nothing in a checkpoint is executed: "
                "save the network's state_dict() alone."
            ) from error
        raise BadInput(f"{path} cannot be read as tensors: give a PyTorch, safetensors or npz checkpoint.") from error


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds; other things beside its tensors (a version, an epoch) are left out."""
    while isinstance(content, Mapping):
        inner = next((content[name] for name in CONTAINERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    if isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors and not any(tensor.is_meta or tensor.layout != torch.strided for tensor in tensors.values()):
            return tensors
    raise BadInput(f"{path} holds no table of named tensors: save the network's state_dict() there.")


def _check_archive(path: Path) -> None:
    if path.suffix.lower() == ".safetensors" or not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except UNREADABLE:
        return  # reading it fails, with a sentence
    _check_size(unpacked, path)


def _check_size(needed: int, path: Path) -> None:
    size = path.stat().st_size
    if needed > LARGEST * size + SPARE:
        raise BadInput(
            f"{path} has {size:,} bytes and would unpack to {needed:,}: it is damaged, or not what it seems."
        )
