"""Lists of utterances on their way to other machines.

A list is named by its hash in every call of a worker. A worker of another machine that does not have it yet says so,
and is sent it with that call again: each worker reads it once, and workers may join at any time.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from wrongkey.files import temporary_folder

LISTED = ("only", "background_only")  # settings that name a file with a list

Config = TypeVar("Config")

_known: dict[str, bytes] = {}  # of this worker: packed lists by their hashes
_lock = threading.Lock()


class Unknown(Exception):
    """A worker lacks a list that a call names."""


@dataclass(frozen=True)
class Lists:
    """The lists of a configuration: pairs of its setting and the list's hash."""

    hashes: tuple[tuple[str, str], ...] = ()

    def written(self, config: Config, folder: Path) -> Config:
        """The configuration with its lists in files of a folder of this machine; raises Unknown."""
        named = dict(self.hashes)
        with _lock:
            if any(digest not in _known for digest in named.values()):
                raise Unknown
            packed = {setting: _known[digest] for setting, digest in named.items()}
        files = {setting: folder / f"{setting}.txt" for setting in packed}
        for setting, file in files.items():
            file.write_bytes(zlib.decompress(packed[setting]))
        return replace(config, **{setting: str(file) for setting, file in files.items()})  # type: ignore[type-var]

    @contextmanager
    def in_files(self, config: Config) -> Iterator[Config]:
        """The configuration with its lists in files while the block lasts; raises Unknown.

        Makes no folder where there are no lists, as for workers of this machine: they may be killed at any time, and
        would leave it.
        """
        if not self.hashes:
            yield config
            return
        with TemporaryDirectory(prefix="wrongkey-", dir=temporary_folder()) as folder:
            yield self.written(config, Path(folder))


def lists_of(config: Any) -> tuple[Lists, dict[str, bytes]]:
    """The lists that the files of a configuration hold: by hash in each call, and packed for a worker that lacks them.

    Raises OSError where a file cannot be read.
    """
    named = {setting: getattr(config, setting, None) for setting in LISTED}
    contents = {setting: Path(file).expanduser().read_bytes() for setting, file in named.items() if file}
    hashes = {setting: sha256(content).hexdigest() for setting, content in contents.items()}
    packed = {hashes[setting]: zlib.compress(content) for setting, content in contents.items()}
    return Lists(tuple(hashes.items())), packed


def with_lists(packed: Mapping[str, bytes], function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a worker that lacked lists and keeps them from now on."""
    with _lock:
        _known.update(packed)
    return function(*arguments)
