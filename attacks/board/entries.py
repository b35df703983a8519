"""The schemes of a board: the family's, those that packages register, and a user's own, with the hash of their code."""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import NamespaceLoader, PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import wrongkey.keys
from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation import preparation, windows
from wrongkey.evaluation.preparation import Preparation
from wrongkey.evaluation.windows import sends_windows
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
    with explained_scheme(spec):
        files = _keys() if base in BASES else _files(_module(base))
    if not files:
        raise BadInput(f"The code of the scheme {spec} lies in no file that could be hashed: put it into a module.")
    return Entry(spec, scheme, source_of(files | _of_options(spec)))


def source_of(files: Mapping[str, Path]) -> dict[str, Any]:
    """The SHA-256 (hexadecimal) over names and contents of some files, and their names in alphabetical order."""
    contents = {}
    for name, path in files.items():
        with explained_errors(path, "check its permissions", action="read"):
            contents[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = "".join(f"{name} {contents[name]}\n" for name in sorted(contents))
    return {"hash": hashlib.sha256(lines.encode()).hexdigest(), "files": sorted(contents)}


def _module(base: str) -> str:
    """The module that a user's scheme is named in, or registered from."""
    entry = next((one for one in entry_points(group=REGISTRY.group) if one.name == base), None)
    return base.partition(":")[0] if entry is None else entry.module


def _keys() -> dict[str, Path]:
    """The files of the family."""
    return {f"keys/{path.name}": path for path in _folder(wrongkey.keys).glob("*.py")}


def _of_options(spec: str) -> dict[str, Path]:
    """The files of options that change speech before it is encrypted, or how it is cut."""
    used = {preparation: bool(Preparation.of(spec)), windows: sends_windows(spec)}
    files = [Path(str(module.__file__)) for module, needed in used.items() if needed]
    return {f"evaluation/{path.name}": path for path in files}


def _files(module: str) -> dict[str, Path]:
    """The file of a module and those beside it that it imports; of a package all files, imported or not.

    What happens to be imported in this process counts for nothing, so that the same code has the same hash.
    """
    top = sys.modules[module.partition(".")[0]]
    if hasattr(top, "__path__"):
        return {name: path for folder in top.__path__ for name, path in _below(Path(folder)).items()}
    return _imported(Path(top.__file__)) if top.__file__ and top.__file__.endswith(".py") else {}


def _below(package: Path) -> dict[str, Path]:
    """The files of a package, by their paths from the folder that it lies in; none of hidden folders, such as `.venv`.

    No import finds what lies in a hidden folder, and editors keep copies there.
    """
    files = [path for path in package.rglob("*.py") if path.is_file()]
    seen = [path for path in files if not any(part.startswith(".") for part in path.relative_to(package).parts[:-1])]
    return {path.relative_to(package.parent).as_posix(): path for path in seen}


def _imported(module: Path) -> dict[str, Path]:
    """A module and the modules and packages of its folder that it imports, directly or through others of them."""
    found: dict[str, Path] = {}
    left = {module.name: module}
    while left:
        name, path = left.popitem()
        found[name] = path
        if path.parent == module.parent or not _installed(module):  # else it would go on to all that is installed
            for imported in _imports(path):
                beside = _beside(module.parent, imported)
                left |= {name: path for name, path in beside.items() if name not in found}
    return found


def _beside(folder: Path, name: str) -> dict[str, Path]:
    """The files of a module or package of a folder, which an import of its name finds; empty where it has none.

    As Python looks for it: a package, a module, and last a folder without ``__init__.py``.
    """
    package, module = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return _below(package)
    if module.is_file():
        return {module.name: module}
    return _below(package) if _found_last(package) else {}


def _found_last(folder: Path) -> bool:
    """Whether an import finds a folder without ``__init__.py``: only where no module or package has its name."""
    if folder.name in sys.stdlib_module_names or not folder.is_dir():
        return False
    spec = PathFinder.find_spec(folder.name)
    if spec is None:  # of a module that was found by other means than this path
        return True
    if not (spec.loader is None or isinstance(spec.loader, NamespaceLoader)):
        return False
    return folder.resolve() in {Path(one).resolve() for one in spec.submodule_search_locations or ()}


def _installed(module: Path) -> bool:
    """Whether a module lies where packages are installed."""
    return module.parent in {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}


def _imports(path: Path) -> Iterator[str]:
    """The first names of all modules that a file imports, wherever in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # such as a template in a package, which nothing imports
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _folder(package: ModuleType) -> Path:
    assert package.__file__ is not None
    return Path(package.__file__).parent
