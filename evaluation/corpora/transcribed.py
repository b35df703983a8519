"""Readers of transcribed speech that one file lists: tables (Common Voice) and JSON lines (NeMo manifests).

Kaldi folders and LibriSpeech, which have transcripts too, are read in `wrongkey.evaluation.corpora.layouts`.
"""

import json
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.corpus import Corpus, Utterance, gender_of
from wrongkey.evaluation.corpora.files import listed_id, located, read_rows
from wrongkey.evaluation.corpora.formats import without_suffix
from wrongkey.evaluation.corpora.ids import as_text
from wrongkey.evaluation.corpora.text_files import read_lines

TEXT_COLUMNS = ("text", "sentence")
SPEAKER_COLUMNS = ("speaker", "client_id")
READ = ("audio_filepath", "path", "text", "offset", "duration", "id", "speaker", "gender", "session")  # of JSON


def read_tsv(file: Path) -> Corpus:
    """A tab-separated list with a header, as Common Voice has it: `path`, and `text` or `sentence`.

    `id` (else the path without its ending), `speaker` or `client_id`, `gender` and `session` (of the recording) are
    read where they are there, other columns are not. Paths start at the list's folder, else at `clips/` beside it:
    the first of them where any listed file exists.
    """
    optional = (*TEXT_COLUMNS, *SPEAKER_COLUMNS, "id", "gender", "session")
    rows = read_rows(file, needed=["path"], also=optional, filled=["path"])
    text = next((name for name in TEXT_COLUMNS if name in rows[0]), None)
    if text is None:
        raise BadInput(f"{file} has no column text or sentence in its first line: give a list with transcripts.")
    speaker = next((name for name in SPEAKER_COLUMNS if name in rows[0]), "")
    _, paths = located([row["path"] for row in rows], (file.parent, file.parent / "clips"))
    utterances = tuple(
        Utterance(
            row.get("id") or without_suffix(listed_id(row["path"], path)),
            row.get(speaker, ""),
            path,
            gender_of(row.get("gender")),
            row[text],
            session=row.get("session") or None,
        )
        for row, path in zip(rows, paths, strict=True)
    )
    return Corpus(_name(file), utterances, file.parent)


def read_jsonl(file: Path) -> Corpus:
    """One JSON object a line, as NeMo's manifests have it: `audio_filepath` or `path`, and `text`.

    `offset` and `duration` (seconds) cut a piece of the file; `id` (else the path without its ending, with
    `@offset` where there is one), `speaker`, `gender` and `session` are read where they are there; ids, speakers and
    sessions may be numbers. Paths start at the list's folder.
    """
    entries = []
    for number, line in enumerate(read_lines(file), start=1):
        if line.strip():
            try:
                entries.append(_entry(json.loads(line, object_pairs_hook=_without_repeats)))
            except (ValueError, TypeError, OverflowError, RecursionError) as error:  # also JSONDecodeError
                raise BadInput(f"{file} has a malformed line {number} ({error}): write a JSON object there.") from error
    if not entries:
        raise BadInput(f"{file} is empty: it must list one recording a line.")
    _, paths = located([place for place, _ in entries], (file.parent,))
    utterances = tuple(make(path) for (_, make), path in zip(entries, paths, strict=True))
    return Corpus(_name(file), utterances, file.parent)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for key, value in pairs:
        if key in READ and key in entry:
            raise ValueError(f"{key} twice")
        entry[key] = value
    return entry


def _entry(entry: dict[str, Any]) -> tuple[str, Callable[[Path], Utterance]]:
    """The path as listed, and what makes the utterance once the file is found.

    Raises ValueError or TypeError where the entry is not as `read_jsonl` says.
    """
    if not isinstance(entry, dict):
        raise TypeError("not an object")
    place = entry.get("audio_filepath") or entry.get("path")
    if not isinstance(place, str):
        raise ValueError("neither audio_filepath nor path")
    text, offset = entry.get("text"), entry.get("offset")
    if not isinstance(text, str | None):
        raise TypeError("text that is not a string")
    (text or "").encode()  # half a surrogate pair is a UnicodeEncodeError, a ValueError
    start = None if offset is None else _seconds("offset", offset, least=0)
    end = None
    if entry.get("duration") is not None:
        start = start or 0.0
        end = start + _seconds("duration", entry["duration"], least=1e-9)
    id, speaker, gender = _name_in(entry, "id"), _name_in(entry, "speaker"), gender_of(_name_in(entry, "gender"))
    session = _name_in(entry, "session") or None

    def make(path: Path) -> Utterance:
        cut = without_suffix(listed_id(place, path)) + (f"@{start:.10g}" if offset else "")
        return Utterance(id or cut, speaker, path, gender, text, start, end, session=session)

    return place, make


def _name_in(entry: dict[str, Any], key: str) -> str:
    """A string, or a number as one (0 is a name); nothing for null and a missing key."""
    value = entry.get(key)
    if isinstance(value, bool | list | dict) or (isinstance(value, float) and not isfinite(value)):
        raise TypeError(f"{key} {json.dumps(value)}, which is not a string or a number")
    return "" if value is None else str(value)


def _seconds(name: str, value: Any, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < least:
        raise ValueError(f"{name} {value!r}")
    return float(value)


def _name(file: Path) -> str:
    return as_text(f"{file.resolve().parent.name}-{file.stem}")
