"""What a kind of input file is, for `benchmarks.fuzz`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of input file.

    Attributes
    ----------
    make
        Writes a sound one into an empty folder, with what it needs beside it, and returns the file to damage.
    use
        Opens the file as a command does, and checks what can be cross-checked.
    decoded
        Bytes of what a sound file holds once it is decoded, where these are more than the file's own.
    """

    make: Callable[[Path], Path]
    use: Callable[[Path], None]
    decoded: int = 0
