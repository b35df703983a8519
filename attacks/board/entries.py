"""The schemes of a board: the family's, those that packages register, and a user's own, with the hash of their code."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import wrongkey.keys
from wrongkey.errors import BadInput, in_one_line
from wrongkey.files import explained_errors
from wrongkey.keys.family import REGISTRY, get_scheme
from wrongkey.keys.schemes import Scheme
from wrongkey.keys.spec import BASES, parse


@dataclass(frozen=True)
class Entry:
    """A scheme that takes part.

    Attributes
    ----------
    spec : str
        As the user names it.
    scheme : Scheme
        What that opens.
    source : mapping
        `hash`, the SHA-256 of the files that define it, and `files`, their names.
    """

    spec: str
    scheme: Scheme
    source: Mapping[str, Any]


@contextmanager
def explained_scheme(spec: str) -> Iterator[None]:
    """Turn what the code of a user's scheme raises into one sentence; wrongkey's own schemes keep their traceback.

    Raises
    ------
    BadInput
        In place of any exception while a user's scheme is used.
    """
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        if parse(spec).base in BASES:
            raise
        raise BadInput(f"The scheme {spec} failed ({in_one_line(error)}): mend its code.") from error


def open_entry(spec: str) -> Entry:
    """Open a scheme and hash its code.

    Raises
    ------
    BadInput
        For a scheme that cannot be loaded, and for one whose code lies in no file.

    Examples
    --------
    >>> open_entry("rom+turns=2").scheme.span
    2
    """
    scheme = get_scheme(spec)
    base = parse(spec).base
    files = sorted(_folder(wrongkey.keys).glob("*.py")) if base in BASES else _files(_module(base))
    if not files:
        raise BadInput(f"The code of the scheme {spec} lies in no file that could be hashed: put it into a module.")
    return Entry(spec, scheme, source_of(files))


def source_of(files: Iterable[Path]) -> dict[str, Any]:
    """The SHA-256 (hexadecimal) over names and contents of some files, and their names in alphabetical order."""
    contents = {}
    for path in files:
        with explained_errors(path, "check its permissions", action="read"):
            contents[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = "".join(f"{name} {contents[name]}\n" for name in sorted(contents))
    return {"hash": hashlib.sha256(lines.encode()).hexdigest(), "files": sorted(contents)}


def _module(base: str) -> str:
    """The module that a user's scheme is named in, or registered from."""
    entry = next((one for one in entry_points(group=REGISTRY.group) if one.name == base), None)
    return base.partition(":")[0] if entry is None else entry.module


def _files(module: str) -> list[Path]:
    """The file of a module; where it belongs to a package, those of all of its modules that were imported."""
    found = sys.modules[module]
    top = module.partition(".")[0]
    alone = "." not in module and not hasattr(found, "__path__")
    named = (
        [found] if alone else [one for name, one in sys.modules.items() if name == top or name.startswith(f"{top}.")]
    )
    paths = (Path(file) for one in named if (file := getattr(one, "__file__", None)))
    return sorted({path for path in paths if path.suffix == ".py"})


def _folder(package: ModuleType) -> Path:
    assert package.__file__ is not None
    return Path(package.__file__).parent
