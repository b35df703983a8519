"""What lies on disk: folders, audio files and lists of text, as readers of corpora need them."""

from collections.abc import Sequence
from pathlib import Path

from evaluation.corpora.corpus import first_three, read_lines
from keys.errors import BadInput

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus")


def folder_named(place: str) -> Path:
    folder = Path(place).expanduser()
    if not folder.is_dir():
        raise BadInput(f"{place or 'the corpus'} is not a folder: name the one that holds the corpus")
    return folder


def file_named(place: str) -> Path:
    file = Path(place).expanduser()
    if not file.is_file():
        raise BadInput(f"{place or 'the list'} is not a file: name the list that describes the corpus")
    return file


def audio_in(folder: Path, pattern: str) -> list[Path]:
    """Audio files that a glob pattern finds, sorted; never another system's leftovers (`._utterance.wav`)."""
    return sorted(p for p in folder.glob(pattern) if p.suffix.lower() in AUDIO_SUFFIXES and p.name[0] != ".")


def first_root(places: Sequence[str], bases: Sequence[Path]) -> Path:
    """The first of `bases` where any of the listed files exists, else the first of all."""
    return next((base for base in bases if any((base / place).is_file() for place in places)), bases[0])


def without_suffix(place: str) -> str:
    """'clips/a.wav' as the id 'clips/a'; other endings than those of audio belong to the name."""
    stem, dot, suffix = place.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in (*AUDIO_SUFFIXES, ".mp3") else place


def read_rows(path: Path, needed: Sequence[str], delimiter: str = "\t") -> list[dict[str, str]]:
    """Rows of a list whose first line names its columns, quotes being ordinary characters.

    Raises `BadInput` for a list without rows or without a needed column, and a row of another length than the header.
    """
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    header = [name.strip() for name in lines[0][1].split(delimiter)] if lines else []
    lacking = [name for name in needed if name not in header]
    if lacking:
        raise BadInput(
            f"{path} has no column {' and no '.join(lacking)} in its first line "
            f"({first_three(header) or 'it is empty'}): name its columns there"
        )
    rows = []
    for number, line in lines[1:]:
        values = [value.strip() for value in line.split(delimiter)]
        if len(values) != len(header):
            raise BadInput(f"{path} has {len(values)} columns in line {number}, not {len(header)} as its first line")
        rows.append(dict(zip(header, values, strict=True)))
    if not rows:
        raise BadInput(f"{path} is empty below its first line: it must list one recording a line")
    return rows
