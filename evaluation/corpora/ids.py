"""Names of utterances: how they are written, and how lists from other systems and tools are matched with them."""

import os
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from wrongkey.evaluation.corpora.formats import without_suffix


def composed(name: str) -> str:
    """A name in Unicode's form NFC: macOS writes `é` as two characters, most other systems as one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def as_text(name: str) -> str:
    r"""A file name as text: its bytes that are not UTF-8 are written `\xe9`. Others stay as they are."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def id_of(path: Path, folder: Path) -> str:
    """The path below `folder`, without its ending: the id of a recording that no list names."""
    place = path.relative_to(folder)
    return as_text((place.parent / place.stem).as_posix())


def in_one_form(names: Iterable[str]) -> dict[str, str]:
    """Every name with the first of those that differ from it in their Unicode form only."""
    first: dict[str, str] = {}
    return {name: first.setdefault(composed(name), name) for name in names}


def is_writable(name: str) -> bool:
    """Whether a line of a UTF-8 text file can hold the name: no line breaks, tabs, other controls, half characters."""
    return name.isprintable() or not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


class Names:
    r"""Finds utterances by the names that one list gives them.

    An id is found as it is written. Else by a name that differs in its Unicode form, in an audio ending that is there
    or missing, in `\` for `/`, or in a `./` in front; else by one that has more folders in front (`wav/`, an absolute
    path), or that lacks those of the id. What could be two utterances is none, and so is a second name for the same
    utterance that lies in another folder; `why` says so.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids
        self._exact = {id: position for position, id in enumerate(ids)}
        self._found: dict[str, int | None] = {}
        self._reasons: dict[str, str] = {}
        self._named: dict[int, str] = {}

    def find(self, name: str) -> int | None:
        """Position of the utterance in the ids, or None."""
        if name not in self._found:
            self._found[name] = self._once(self._search(name), name)
        return self._found[name]

    def exactly(self, name: str) -> int | None:
        """As `find`, but with all its folders and no more."""
        if name in self._exact:
            return self._exact[name]
        return self._only(self._plain.get(_plain(name), []), name)

    def why(self, name: str) -> str:
        """Why a name was not found, for the end of a sentence: what is ambiguous, or what the ids look like."""
        if name in self._reasons:
            return self._reasons[name]
        folded = _plain(name).casefold()
        cased = next((id for id in self._ids if _plain(id).casefold() == folded), None)
        if cased is not None:
            return f" (only upper and lower case differ from {cased})"
        return f" (ids there look like {self._ids[0]})"

    def _search(self, name: str) -> int | None:
        if name in self._exact:
            return self._exact[name]
        parts = _plain(name).split("/")
        for first in range(len(parts)):
            if found := self._plain.get("/".join(parts[first:])):
                return self._only(found, name)
        return self._only(self._endings.get("/".join(parts), []), name)

    def _only(self, found: list[int], name: str) -> int | None:
        """The one that is meant; of several those whose ending is the same, too."""
        if len(found) > 1:
            tidy = _tidy(name)
            same = [i for i in found if f"/{tidy}".endswith(f"/{_tidy(self._ids[i])}")]
            found = same if len(same) == 1 else found
        if len(found) > 1:
            self._reasons[name] = f" ({name} could be {self._ids[found[0]]} or {self._ids[found[1]]})"
        return found[0] if len(found) == 1 else None

    def _once(self, found: int | None, name: str) -> int | None:
        """The same, unless the list has called it otherwise, as a/u0 and b/u0 where the id is u0."""
        if found is None:
            return None
        plain = _plain(name)
        before = self._named.setdefault(found, plain)
        shorter, longer = sorted((before, plain), key=len)
        if not f"/{longer}".endswith(f"/{shorter}"):
            self._reasons[name] = f" ({before} and {plain} would both be {self._ids[found]})"
            return None
        self._named[found] = longer
        return found

    @cached_property
    def _plain(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for position, id in enumerate(self._ids):
            found.setdefault(_plain(id), []).append(position)
        return found

    @cached_property
    def _endings(self) -> dict[str, list[int]]:
        """Positions of ids by their path without the first folder, the first two, and so on."""
        found: dict[str, list[int]] = {}
        for plain, positions in self._plain.items():
            parts = plain.split("/")
            for first in range(1, len(parts)):
                found.setdefault("/".join(parts[first:]), []).extend(positions)
        return found


def _tidy(name: str) -> str:
    """A name in composed characters, with `/` between its folders, and without `./`."""
    return "/".join(part for part in composed(name.strip()).replace("\\", "/").split("/") if part not in ("", "."))


def _plain(name: str) -> str:
    return without_suffix(_tidy(name))
