"""Opens models of Hugging Face transformers, from a folder or a hub id, with one sentence for what can go wrong.

Nothing here reaches the network; transformers does, for a hub id that is not in its cache. transformers is imported
only when a model is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.checkpoints import read_state_dict, strip_prefixes


@dataclass(kw_only=True)
class WaveformModel:
    """A model of transformers that reads whole waveforms, in eval mode.

    Parameters
    ----------
    network : Module
        Waveforms ``(batch, samples)`` to what the task needs.
    normalise : bool
        Whether the front end brings a waveform to mean zero and variance one.
    first_layer, block_size, sample_rate, name, blocks, external
        As in `wrongkey.evaluation.models.protocol.Model`.
    """

    network: nn.Module
    normalise: bool
    first_layer: str
    block_size: int
    name: str
    sample_rate: int = 16_000
    blocks: str = "samples"
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        """Waveform ``(samples,)`` to query ``(samples,)``."""
        return unit_variance(waveform) if self.normalise else waveform

    def segments(self, query: Tensor) -> Tensor:
        """The whole utterance: ``(1, samples)``."""
        return query[None]


def import_transformers(prefix: str) -> Any:
    """The module transformers; BadInput where it is not installed."""
    declare_missing_operators()
    try:
        import transformers
    except ImportError as error:
        raise BadInput(f"Models {prefix}:… need transformers: run `pip install 'wrongkey[models]'`.") from error
    quiet: Any = transformers.utils.logging
    quiet.disable_progress_bar()
    quiet.set_verbosity_error()  # its table of missing weights: a sentence says it here
    return transformers


def split_options(place: str, prefix: str, known: tuple[str, ...] = ()) -> tuple[str, dict[str, str]]:
    """``folder?name=value&…`` to the folder or hub id and its options; BadInput for none and for unknown ones."""
    if place and Path(place).is_dir():
        return place, {}
    place, _, query = place.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not place:
        raise BadInput(f"No model is given: name a folder or hub id, as in {prefix}:FOLDER.")
    if unknown := [name for name in options if name not in known]:
        choice = f"possible are {' and '.join(known)}" if known else "it has none"
        raise BadInput(f"Model {prefix}:{place} has no option {unknown[0]!r}: {choice}.")
    return place, options


@contextmanager
def tensors_alone() -> Iterator[None]:
    """torch.load of a library unpickles nothing but tensors meanwhile; torch before 2.6 has to be told."""
    flag = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(flag)
    os.environ[flag] = "1"
    try:
        yield
    finally:
        os.environ.pop(flag)
        if before is not None:
            os.environ[flag] = before


def open_part(loader: Any, place: str, prefix: str, **arguments: Any) -> Any:
    """``loader.from_pretrained(place)``; BadInput where the place has no such part."""
    _check_folder(place, prefix)
    if loader.__name__.startswith("Auto"):  # else transformers asks on the terminal whether to run what a folder brings
        arguments["trust_remote_code"] = False
    try:
        return loader.from_pretrained(place, **arguments)
    except Exception as error:  # a foreign file fails in any way: OSError, ValueError, those of safetensors and pickle
        raise _unreadable(place, prefix, error) from error


def open_network(loader: Any, place: str, prefix: str, unread: tuple[str, ...] = ()) -> nn.Module:
    """A network in eval mode and float32, every weight of which comes from the checkpoint; else BadInput.

    transformers draws weights at random where a checkpoint has none (the head of a model that was never trained for
    the task): such a model would look protected by any key. ``unread`` names those that its answers do not depend on.
    transformers does not know the prefixes of ``checkpoints``, so where weights are missing its file is read again.
    """
    network, info = open_part(loader, place, prefix, output_loading_info=True)
    network = network.float()
    missing = _needed(info["missing_keys"], unread)
    if missing and (file := _weights_file(place)):
        stored = strip_prefixes(read_state_dict(file), network.state_dict(), file)
        try:
            left = network.load_state_dict(stored, strict=False).missing_keys
            missing = [name for name in missing if name in left]
        except RuntimeError as error:  # tensors of other shapes
            raise _unreadable(place, prefix, error) from error
    if missing:
        others = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise BadInput(
            f"Model {prefix}:{place} has no weights for {missing[0]}{others}: give a checkpoint trained for this task."
        )
    return network.eval().requires_grad_(False)


def _needed(missing: Iterable[str], unread: tuple[str, ...]) -> list[str]:
    return sorted(name for name in missing if not any(part in name for part in unread))


def _weights_file(place: str) -> Path | None:
    """The file that holds all weights of a folder, where there is one."""
    files = (Path(place) / name for name in ("model.safetensors", "pytorch_model.bin"))
    return next((file for file in files if file.is_file()), None)


def first_convolution(network: Any, place: str, prefix: str) -> tuple[str, int]:
    """Name of the convolution that a HuBERT, wav2vec 2.0 or relative of theirs reads waveforms with, and a block size.

    The block is the kernel, or the next multiple of the stride (10 for kernel 10, stride 5). Raises BadInput for a
    model that reads something else than waveforms.
    """
    name = f"{network.base_model_prefix}.feature_extractor.conv_layers.0.conv"
    try:
        layer: Any = network.get_submodule(name)
    except AttributeError as error:
        kind = network.config.model_type
        raise BadInput(f"Model {prefix}:{place} ({kind}) does not read waveforms by a convolution.") from error
    kernel, stride = int(layer.kernel_size[0]), int(layer.stride[0])
    return name, -(-kernel // stride) * stride


def unit_variance(waveform: Tensor) -> Tensor:
    """``(samples,)`` less its mean and over its deviation, as ``do_normalize`` of the feature extractors has it."""
    centred = waveform - waveform.mean()
    return centred / (centred.square().mean() + 1e-7).sqrt()


def _check_folder(place: str, prefix: str) -> None:
    path = Path(place)
    if path.is_dir() and not (path / "config.json").is_file():
        raise BadInput(f"{place} is not a model folder of transformers: it has no config.json.")
    if not path.is_dir() and (path.is_file() or path.is_absolute() or place.startswith((".", "~")) or " " in place):
        raise BadInput(f"Model {prefix}:{place} is not there: give a folder with a config.json, or a hub id.")


def _unreadable(place: str, prefix: str, error: Exception) -> BadInput:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = lines[0].rstrip(".:")
    if Path(place).is_dir():
        return BadInput(f"Model folder {place} cannot be read as {prefix}: {reason}.")
    return BadInput(
        f"Model {prefix}:{place} is neither a folder nor to be had from the hub ({reason}): "
        "give a folder, or a hub id while online."
    )
