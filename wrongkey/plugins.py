"""A user's own code, ``package.module:factory``: imported where it is named, and nowhere else.

A working directory may be a stranger's, or hold a ``numbers.py`` or a folder ``reports`` of the user's: nothing is
imported from it until a factory is, and then it comes after everything that is installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput, in_one_line

SAFE_PATH = "PYTHONSAFEPATH"  # tells Python not to put the working directory first for `-m` and `-c`
OURS = "wrongkey"  # its value, where it was not the user who set it


def import_user(spec: str, what: str) -> Any:
    """The object that ``package.module:name`` names; `what` begins the sentence of an error, as ``model 'a:b'``.

    The working directory is searched last. Raises BadInput where the module cannot be imported, has no such name, or
    is not the one that lies in the working directory under its name.
    """
    module, _, name = spec.partition(":")
    _look_here()
    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # a user's own module may fail in any way
        said = in_one_line(error)
        remedy = _hidden(module) or "give an importable package.module:factory"
        raise BadInput(f"{what} cannot be imported ({said}): {remedy}") from error
    if hidden := _hidden(module):
        raise BadInput(f"{what} could be either of two modules: {hidden}")
    return found


@contextmanager
def workers_import_nothing_here() -> Iterator[None]:
    """Processes that are started meanwhile do not look for modules in the working directory first.

    joblib starts its workers by ``python -m`` and their guard by ``python -c``. Each calls `leave_environment`.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = before or OURS
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SAFE_PATH, None)
        else:
            os.environ[SAFE_PATH] = before


def leave_environment() -> None:
    """In a worker: programs that it starts in turn find their own folder, as ever."""
    if os.environ.get(SAFE_PATH) == OURS:
        del os.environ[SAFE_PATH]


def _look_here() -> None:
    try:
        here = os.getcwd()
    except FileNotFoundError:  # a working directory that was deleted
        return
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    invalidate_caches()


def _hidden(module: str) -> str | None:
    """What to do where the working directory has this module and Python finds another; None where it does not."""
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    stem, top = Path(*module.split(".")), module.partition(".")[0]
    mine = next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
    try:
        spec = find_spec(top)
    except ValueError:  # a module without a spec, such as __main__
        spec = None
    if mine is None or spec is None:
        return None
    found = [Path(place) for place in (spec.origin, *(spec.submodule_search_locations or ())) if place]
    here = [path for path in (Path(top), Path(top) / "__init__.py", Path(f"{top}.py")) if path.exists()]
    if any(place.samefile(path) for place in found if place.exists() for path in here):
        return None
    return f"{top} is {found[0] if found else 'another'}, which hides {mine} here: rename yours"
