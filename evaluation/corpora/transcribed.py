"""Readers of transcribed speech that one file lists: tables (Common Voice) and JSON lines (NeMo manifests).

Kaldi folders and LibriSpeech, which have transcripts too, are read in `evaluation.corpora.layouts`.
"""

import json
from math import isfinite
from pathlib import Path
from typing import Any

from evaluation.corpora.corpus import Corpus, Utterance, gender_of, read_lines
from evaluation.corpora.files import first_root, read_rows, without_suffix
from keys.errors import BadInput

TEXT_COLUMNS = ("text", "sentence")
SPEAKER_COLUMNS = ("speaker", "client_id")


def read_tsv(file: Path) -> Corpus:
    """A tab-separated list with a header, as Common Voice has it: `path`, and `text` or `sentence`.

    `id` (else the path without its ending), `speaker` or `client_id`, and `gender` are read where they are
    there, other columns are not. Paths start at the list's folder, else at `clips/` beside it: the first of
    them where any listed file exists.
    """
    rows = read_rows(file, needed=["path"])
    text = next((name for name in TEXT_COLUMNS if name in rows[0]), None)
    if text is None:
        raise BadInput(f"{file} has no column text or sentence in its first line: give a list with transcripts")
    speaker = next((name for name in SPEAKER_COLUMNS if name in rows[0]), "")
    root = first_root([row["path"] for row in rows], (file.parent, file.parent / "clips"))
    utterances = tuple(
        Utterance(
            row.get("id") or without_suffix(row["path"]),
            row.get(speaker, ""),
            root / row["path"],
            gender_of(row.get("gender")),
            row[text],
        )
        for row in rows
    )
    return Corpus(_name(file), utterances, file.parent)


def read_jsonl(file: Path) -> Corpus:
    """One JSON object a line, as NeMo's manifests have it: `audio_filepath` or `path`, and `text`.

    `offset` and `duration` (seconds) cut a piece of the file; `id` (else the path without its ending, with
    `@offset` where there is one), `speaker` and `gender` are read where they are there. Paths start at the
    list's folder.
    """
    utterances = []
    for number, line in enumerate(read_lines(file), start=1):
        if line.strip():
            try:
                utterances.append(_utterance(json.loads(line), file.parent))
            except (ValueError, TypeError) as error:  # json.JSONDecodeError is a ValueError
                raise BadInput(f"{file} has a malformed line {number} ({error}): write a JSON object there") from error
    return Corpus(_name(file), tuple(utterances), file.parent)


def _utterance(entry: dict[str, Any], folder: Path) -> Utterance:
    """Raises ValueError or TypeError where the entry is not as `read_jsonl` says."""
    if not isinstance(entry, dict):
        raise TypeError("not an object")
    place = entry.get("audio_filepath") or entry.get("path")
    if not isinstance(place, str):
        raise ValueError("no audio_filepath and no path")
    text, offset = entry.get("text"), entry.get("offset")
    if not isinstance(text, str | None):
        raise TypeError("text that is not a string")
    start = None if offset is None else _seconds("offset", offset, least=0)
    end = None
    if entry.get("duration") is not None:
        start = start or 0.0
        end = start + _seconds("duration", entry["duration"], least=1e-9)
    id = entry.get("id") or without_suffix(place) + (f"@{start:.10g}" if offset else "")
    path = folder / Path(place).expanduser()
    return Utterance(str(id), str(entry.get("speaker") or ""), path, gender_of(entry.get("gender")), text, start, end)


def _seconds(name: str, value: Any, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < least:
        raise ValueError(f"{name} {value!r}")
    return float(value)


def _name(file: Path) -> str:
    return f"{file.resolve().parent.name}-{file.stem}"
