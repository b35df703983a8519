"""What lies on disk: folders, audio files and lists of text, as readers of corpora need them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.corpus import first_three
from wrongkey.evaluation.corpora.formats import READABLE, UNREADABLE
from wrongkey.evaluation.corpora.ids import as_text, composed
from wrongkey.evaluation.corpora.text_files import read_lines

ANY_DEPTH = 1000
# Folders that systems leave beside people's files; so do all whose names begin with a dot.
LEFTOVERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}


def expanded(place: str | Path) -> Path:
    """A path with `~` or `~user` in front replaced by the home directory, where there is one."""
    return Path(os.path.expanduser(place))


def folder_named(place: str) -> Path:
    """Return the folder that a user names; raises BadInput where there is none."""
    folder = expanded(place)
    if not os.path.isdir(folder):
        raise BadInput(f"{place or 'the corpus'} is not a folder: name the one that holds the corpus.")
    return folder


def file_named(place: str) -> Path:
    """Return the file that a user names; raises BadInput where there is none."""
    file = expanded(place)
    if not os.path.isfile(file):
        raise BadInput(f"{place or 'the list'} is not a file: name the list that describes the corpus.")
    return file


# files of a folder


def is_leftover(name: str) -> bool:
    """Whether a system left a file or folder of this name there (`._utterance.wav`, `__MACOSX`), or hides it."""
    return name.startswith(".") or name in LEFTOVERS


def files_below(folder: Path, depth: int = ANY_DEPTH) -> list[Path]:
    """Files in a folder and up to `depth` folders further down, sorted; links are followed, leftovers are not listed.

    A link back to a folder that it lies in is not followed. Raises `BadInput` for a folder that cannot be read.
    """
    return sorted(_visit(folder, frozenset(), depth))


def folders_in(folder: Path) -> list[Path]:
    """Folders, or links to some, that lie directly in a folder, sorted; leftovers are not listed."""
    return sorted(folder / entry.name for entry in _entries(folder) if _is_folder(entry))


def _visit(folder: Path, above: frozenset[str], depth: int) -> Iterator[Path]:
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in _entries(folder):
        if not _is_folder(entry):
            yield folder / entry.name
        elif depth > 0:
            yield from _visit(folder / entry.name, above | {here}, depth - 1)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_leftover(entry.name)]
    except OSError as error:
        raise BadInput(f"{folder} cannot be read ({error.strerror}): check its rights.") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


@dataclass(frozen=True)
class AudioFiles:
    """The audio among some files, in their order.

    `kept` has one file for each recording, `copies` the same recordings in other formats, `unreadable` recordings
    that are there in no format that libsndfile reads.
    """

    folder: Path
    kept: list[Path]
    copies: list[Path]
    unreadable: list[Path]

    @classmethod
    def among(cls, files: Sequence[Path], folder: Path, preferred: str = READABLE[0]) -> "AudioFiles":
        """`preferred` is the ending that is kept where a recording is there in several formats."""
        order = [preferred, *(suffix for suffix in READABLE if suffix != preferred)]
        readable = [path for path in files if path.suffix.lower() in READABLE]
        best: dict[Path, Path] = {}
        for path in sorted(readable, key=lambda path: order.index(path.suffix.lower())):  # stable
            best.setdefault(path.with_suffix(""), path)
        kept = [path for path in readable if best[path.with_suffix("")] == path]
        copies = [path for path in readable if best[path.with_suffix("")] != path]
        unreadable = [p for p in files if p.suffix.lower() in UNREADABLE and p.with_suffix("") not in best]
        return cls(folder, kept, copies, unreadable)

    def cautions(self) -> tuple[str, ...]:
        """What of the audio is left out, in sentences."""
        return (
            *left_out(self.folder, self.copies, "their recordings are read from files in another format"),
            *left_out(self.folder, self.unreadable, "libsndfile does not read their formats: convert them to FLAC"),
        )

    def refuse_lost(self, kind: str) -> None:
        """Raises `BadInput` where all recordings of a folder (a speaker's, a class') would be left out."""
        found = {path.relative_to(self.folder).parts[0] for path in self.kept}
        lost = [path for path in self.unreadable if path.relative_to(self.folder).parts[0] not in found]
        lost = [path for path in lost if path.parent != self.folder]
        if lost:
            names = dict.fromkeys(path.relative_to(self.folder).parts[0] for path in lost)
            raise BadInput(
                f"{self.folder} has no recording of {kind} {first_three(list(names))} in a format that libsndfile "
                f"reads ({len(lost)} files, {lost[0].relative_to(self.folder)} first): convert them to FLAC or WAV."
            )


def left_out(folder: Path, paths: Sequence[Path], reason: str) -> tuple[str, ...]:
    """A caution that names how many files or folders are left out, the first of them, and why; none for no paths."""
    if not paths:
        return ()
    count = "1 is" if len(paths) == 1 else f"{len(paths)} are"
    first = paths[0].relative_to(folder).as_posix()
    return (as_text(f"{folder}: {count} left out, {first}{' first' if len(paths) > 1 else ''}: {reason}"),)


def audio_by_folder(folder: Path, kind: str) -> tuple[list[Path], tuple[str, ...]]:
    """Recordings at any depth in the folders of a folder, one for each `kind` (speaker, class), with what is left out.

    Raises `BadInput` where there is none, or where all recordings of such a folder are in unreadable formats.
    """
    found = AudioFiles.among(files_below(folder), folder)
    found.refuse_lost(kind)
    kept = [path for path in found.kept if path.parent != folder]
    if not kept:
        raise BadInput(
            f"{folder} has no {kind}/recording.wav (or .flac, .mp3 and other audio): "
            f"give the folder that holds a folder for each {kind}."
        )
    stray = [path for path in found.kept if path.parent == folder]
    used = {path.relative_to(folder).parts[0] for path in kept}
    empty = [place for place in folders_in(folder) if place.name not in used]
    cautions = [
        *found.cautions(),
        *left_out(folder, stray, f"what lies beside the {kind} folders belongs to no {kind}"),
        *left_out(folder, empty, "no recording lies in there"),
    ]
    return kept, tuple(cautions)


# files that lists name


def located(places: Sequence[str], bases: Sequence[Path]) -> tuple[Path, list[Path]]:
    r"""The folder at which the paths of a list start, and the paths: the first of `bases` where any of them exists.

    A file is found as it is written (`~` is the home directory), else with `/` for `\`, else where only the Unicode
    forms of names differ. Where no file exists, the first of the bases and the paths as they are written.
    """
    disk = _Disk()
    for find in (disk.as_written, disk.alike):
        for base in bases:
            if any(find(base, place) for place in places):
                return base, [disk.alike(base, place) or base / expanded(place) for place in places]
    return bases[0], [bases[0] / expanded(place) for place in places]


def listed_id(place: str, path: Path) -> str:
    r"""The place as a part of an id: with `/` where the list of another system has `\`."""
    return place if "\\" not in place or "\\" in path.name else place.replace("\\", "/")


class _Disk:
    """Files by names that may differ in their form from those on disk."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, str]] = {}

    def as_written(self, base: Path, place: str) -> Path | None:
        path = base / expanded(place)
        return path if os.path.isfile(path) else None

    def alike(self, base: Path, place: str) -> Path | None:
        for written in dict.fromkeys((place, place.replace("\\", "/"))):
            path = self._in_any_form(base / expanded(written))
            if os.path.isfile(path):
                return path
        return None

    def _in_any_form(self, path: Path) -> Path:
        if os.path.lexists(path) or path == path.parent:
            return path
        parent = self._in_any_form(path.parent)
        if parent not in self._folders:
            self._folders[parent] = _names_in(parent)
        return parent / self._folders[parent].get(composed(path.name), path.name)


def _names_in(folder: Path) -> dict[str, str]:
    try:
        return {composed(name): name for name in os.listdir(folder)}
    except (OSError, ValueError):
        return {}


# tables


def read_rows(
    path: Path, needed: Sequence[str], delimiter: str = "\t", also: Sequence[str] = (), filled: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Rows of a list whose first line names its columns, quotes being ordinary characters.

    Raises `BadInput` for a list without rows or without a needed column, for two columns of the same name among those
    that are read (`needed` and `also`), for a row of another length than the header, and for nothing in a column of
    `filled`.
    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    header = [name.strip() for name in lines[0][1].split(delimiter)] if lines else []
    lacking = [name for name in needed if name not in header]
    if lacking:
        raise BadInput(
            f"{path} lacks the column {' and the column '.join(lacking)} in its first line "
            f"({first_three(header) or 'it is empty'}): name its columns there."
        )
    twice = [name for name in (*needed, *also) if header.count(name) > 1]
    if twice:
        raise BadInput(f"{path} has {header.count(twice[0])} columns {twice[0]}: leave one of them.")
    rows = []
    for number, line in lines[1:]:
        values = [value.strip() for value in line.split(delimiter)]
        if len(values) != len(header):
            raise BadInput(f"{path} has {len(values)} columns in line {number}, not {len(header)} as its first line.")
        row = dict(zip(header, values, strict=True))
        if empty := [name for name in filled if not row[name]]:
            raise BadInput(f"{path} has nothing in column {empty[0]} of line {number}: fill it, or remove the line.")
        rows.append(row)
    if not rows:
        raise BadInput(f"{path} is empty below its first line: it must list one recording a line.")
    return rows
