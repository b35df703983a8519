"""What a user may name: things that are built in, those of installed packages, and a user's own Python code.

A user's own code, ``package.module:name``, is imported where it is named, and nowhere else. A working directory may be
a stranger's, or hold a ``numbers.py`` or a folder ``reports`` of the user's: nothing is imported from it until code in
it is named, and then it is searched after everything that is installed.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput, in_one_line

SAFE_PATH = "PYTHONSAFEPATH"  # tells Python not to put the working directory first for `-m` and `-c`
OURS = "wrongkey"  # its value, where it was not the user who set it


@dataclass(frozen=True)
class Registry:
    """Everything of one kind that a user can name: models, corpora, schemes or attacks.

    A name is a built-in one, or one that an installed package registers as an entry point, or ``package.module:name``.
    The last two stand for the thing itself, or for a function or class that makes one when called without arguments.

    Parameters
    ----------
    kind : str
        What a thing is called in sentences, such as ``model``.
    group : str
        The entry-point group of this kind, such as ``wrongkey.models``.
    builtin : Mapping[str, Any]
        The built-in things, or functions that make them, by name and in the order in which they are listed.
    is_one : Callable[[Any], bool]
        Whether an object is of this kind itself; any other object is called to make one.
    wanted : str
        What a user's name has to stand for: the end of the sentence that refuses anything else.
    forms : tuple of str
        Other ways to name a thing of this kind, listed where a name is unknown.
    hints : Mapping[str, str]
        What else a user may do about an error, by a word that the error's text contains.
    """

    kind: str
    group: str
    builtin: Mapping[str, Any]
    is_one: Callable[[Any], bool]
    wanted: str
    forms: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the built-in names in their order, then the registered ones."""
        return [*self.builtin, *self.registered()]

    def registered(self) -> list[str]:
        """Return the names that installed packages register, sorted."""
        return registered_in(self.group)

    def open(self, spec: str, **options: Any) -> Any:
        """Return the thing that `spec` names.

        Parameters
        ----------
        spec : str
            A built-in or registered name, or ``package.module:name``.
        **options
            Keyword arguments for the function that makes a built-in thing; a user's function gets none.

        Raises
        ------
        BadInput
            Where the name is unknown, cannot be imported, or does not stand for a thing of this kind.
        """
        if spec in self.builtin:
            return self._made(self.builtin[spec], spec, options)
        return self._made(self._users(spec), spec, {})

    @contextmanager
    def making(self, spec: str, remedy: str = "mend its factory", failing: str = "cannot be made") -> Iterator[None]:
        """Turn any error inside the block, where the thing named `spec` is made or asked, into `BadInput`."""
        try:
            yield
        except (BadInput, MemoryError):
            raise
        except SystemExit as error:  # it would end the work in silence
            raise BadInput(f"{self._subject(spec)} ended the program (exit {error.code}): {remedy}.") from error
        except Exception as error:  # a user's own code, or a foreign file, may fail in any way
            hints = [hint for word, hint in self.hints.items() if word in str(error)]
            said = "; ".join([remedy, *hints])
            raise BadInput(f"{self._subject(spec)} {failing} ({in_one_line(error)}): {said}.") from error

    def _subject(self, spec: str) -> str:
        return f"{self.kind.capitalize()} {spec!r}"

    def _users(self, spec: str) -> Any:
        """The object that a user's name stands for: the thing itself, or what makes it."""
        for entry in entry_points(group=self.group):
            if entry.name == spec:
                with self.making(spec, "check the package that registers it"):
                    return entry.load()
        if ":" not in spec:
            known = ", ".join([*self.names(), *self.forms])
            raise BadInput(f"There is no {self.kind} {spec!r}: give {known} or package.module:name.")
        return import_user(spec, self._subject(spec))

    def _made(self, found: Any, spec: str, options: Mapping[str, Any]) -> Any:
        if self.is_one(found):
            return found
        if not callable(found):
            raise BadInput(f"{self._subject(spec)} is of type {type(found).__name__}: {self.wanted}.")
        if not _can_be_called(found, options):
            raise BadInput(f"{self._subject(spec)} cannot be called without arguments: {self.wanted}.")
        with self.making(spec):
            made = found(**options)
        if not self.is_one(made):
            raise BadInput(f"{self._subject(spec)} returned an object of type {type(made).__name__}: {self.wanted}.")
        return made


def registered_in(group: str) -> list[str]:
    """Return the names that installed packages register in an entry-point group, sorted."""
    return sorted({entry.name for entry in entry_points(group=group)})


def import_user(spec: str, what: str) -> Any:
    """Return the object that ``package.module:name`` names, searching the working directory last.

    Parameters
    ----------
    spec : str
        Module and name, with a colon between them.
    what : str
        The beginning of an error's sentence, such as ``Model 'a:b'``.

    Raises
    ------
    BadInput
        Where the module cannot be imported, has no such name, or is another one than the module of that name in the
        working directory.
    """
    module, _, name = spec.partition(":")
    _look_here()
    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # a user's own module may fail in any way
        said = in_one_line(error)
        remedy = _hidden(module) or "give an importable package.module:name"
        raise BadInput(f"{what} cannot be imported ({said}): {remedy}.") from error
    if hidden := _hidden(module):
        raise BadInput(f"{what} could be either of two modules: {hidden}.")
    return found


@contextmanager
def workers_import_nothing_here() -> Iterator[None]:
    """Start processes, inside the block, that do not look for modules in the working directory first.

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
    """Undo, in a worker, what `workers_import_nothing_here` set, so that programs it starts find their own folder."""
    if os.environ.get(SAFE_PATH) == OURS:
        del os.environ[SAFE_PATH]


def _can_be_called(function: Callable[..., Any], options: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(**options)
    except TypeError:
        return False
    except ValueError:  # a function written in C that does not tell its arguments
        return True
    return True


def _look_here() -> None:
    """Append the working directory to the places where modules are searched."""
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
    places = [Path(place) for place in (spec.origin, *(spec.submodule_search_locations or ())) if place]
    here = [path for path in (Path(top), Path(top) / "__init__.py", Path(f"{top}.py")) if path.exists()]
    if any(place.samefile(path) for place in places if place.exists() for path in here):
        return None
    return f"{top} is {places[0] if places else 'another'}, which hides {mine} here: rename yours"
