"""Opens models of Hugging Face transformers, from a folder or a hub id, with one sentence for what can go wrong.

Nothing here reaches the network; transformers does, for a hub id that is not in its cache. transformers is imported
only when a model is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from torch import nn

from evaluation.models.torchvision_ops import declare_missing_operators
from keys.errors import BadInput


def import_transformers(prefix: str) -> Any:
    """The module transformers; BadInput where it is not installed."""
    declare_missing_operators()
    try:
        import transformers
    except ImportError as error:
        raise BadInput(f"models {prefix}:… need transformers: run `pip install 'wrongkey[models]'`") from error
    transformers.utils.logging.disable_progress_bar()
    return transformers


def split_options(place: str, prefix: str, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """``folder?name=value&…`` to the folder or hub id and its options; BadInput for none and for unknown ones."""
    if Path(place).is_dir():
        return place, {}
    place, _, query = place.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not place:
        raise BadInput(f"no model is given: name a folder or hub id, as in {prefix}:FOLDER")
    if unknown := [name for name in options if name not in known]:
        choice = ", ".join(known) if known else "none"
        raise BadInput(f"model {prefix}:{place} has no option {unknown[0]!r}: possible are {choice}")
    return place, options


def open_part(loader: Any, place: str, prefix: str, **arguments: Any) -> Any:
    """``loader.from_pretrained(place)``; BadInput where the place has no such part."""
    _check_folder(place, prefix)
    try:
        return loader.from_pretrained(place, **arguments)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise _unreadable(place, prefix, error) from error


def open_network(loader: Any, place: str, prefix: str) -> nn.Module:
    """A network in eval mode and float32, every weight of which comes from the checkpoint; else BadInput.

    transformers draws weights at random where a checkpoint has none (the head of a model that was never trained for
    the task): such a model would look protected by any key.
    """
    network, info = open_part(loader, place, prefix, output_loading_info=True)
    if missing := sorted(info["missing_keys"]):
        raise BadInput(
            f"model {prefix}:{place} has no weights for {missing[0]}"
            f"{f' and {len(missing) - 1} more' if missing[1:] else ''}: give a checkpoint trained for this task"
        )
    opened: nn.Module = network.float().eval().requires_grad_(False)
    return opened


def _check_folder(place: str, prefix: str) -> None:
    path = Path(place)
    if path.is_dir() and not (path / "config.json").is_file():
        raise BadInput(f"{place} is no model folder of transformers: it has no config.json")
    if not path.is_dir() and (path.is_file() or path.is_absolute() or place.startswith((".", "~")) or " " in place):
        raise BadInput(f"model {prefix}:{place} is not there: give a folder with a config.json, or a hub id")


def _unreadable(place: str, prefix: str, error: Exception) -> BadInput:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if Path(place).is_dir():
        return BadInput(f"model folder {place} cannot be read as {prefix}: {lines[0]}")
    return BadInput(
        f"model {prefix}:{place} is neither a folder nor to be had from the hub ({lines[0]}): "
        "give a folder, or a hub id while online"
    )
