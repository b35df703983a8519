"""The trials or utterances whose kept answers differ the most between two runs of one experiment."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nlargest
from pathlib import Path

import numpy as np
import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.evaluation.rerun.difference import Difference
from wrongkey.evaluation.run_folder.tables import Damaged, key_range, read_table, table_files
from wrongkey.files import explained_errors

MOST = 20  # differences that are listed
Keys = tuple[int, int]  # from, to before
ROW = ["condition", "key_index", "utterance"]
HEARD = ("hypothesis", "prediction")  # the column of what a recogniser or a classifier answered


def differing_outputs(there: Path, here: Path) -> list[Difference]:
    """List trials or utterances whose outputs differ, at most `MOST`, the largest difference first.

    Parameters
    ----------
    there, here
        The run folders, both with outputs.

    Raises
    ------
    BadInput
        For outputs that are damaged, and for a list of trials that cannot be read.
    """
    pieces = table_files(here / "outputs")
    trials = _trials(there)
    differing = (
        one
        for path in table_files(there / "outputs")
        for one in _of_file(_read(path), _same_keys(path, pieces), trials)
    )
    return nlargest(MOST, differing, key=lambda one: one.size)


def _same_keys(path: Path, pieces: list[Path]) -> pd.DataFrame:
    """The outputs of the other run for the keys of a file."""
    keys = key_range(path.stem)
    found = [_read(piece) for piece in pieces if piece.name == path.name or _overlap(keys, key_range(piece.stem))]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["key_index"])


def _overlap(one: Keys | None, other: Keys | None) -> bool:
    return one is not None and other is not None and one[0] < other[1] and other[0] < one[1]


def _of_file(old: pd.DataFrame, new: pd.DataFrame, trials: list[str]) -> Iterator[Difference]:
    old, new = (table if "condition" in table else table.assign(condition="incorrect") for table in (old, new))
    return _of_trials(old, new, trials) if "scores" in old else _of_utterances(old, new)


def _of_trials(old: pd.DataFrame, new: pd.DataFrame, trials: list[str]) -> Iterator[Difference]:
    """Trial scores, of which each key has one list."""
    found = {(row.condition, row.key_index): np.asarray(row.scores) for row in new.itertuples(index=False)}
    for row in old.itertuples(index=False):
        before, key = np.asarray(row.scores), int(row.key_index)
        now = found.get((row.condition, key))
        if now is None or len(now) != len(before):
            yield Difference(row.condition, key, "all trials", None, None)
            continue
        for number in np.flatnonzero(before != now):
            name = trials[number] if number < len(trials) else f"trial {number}"
            yield Difference(row.condition, key, name, float(before[number]), float(now[number]))


def _of_utterances(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[Difference]:
    """Texts or classes, of which each key and utterance has one."""
    heard = next(name for name in HEARD if name in old)
    found = {tuple(one): answer for *one, answer in new.reindex(columns=[*ROW, heard]).itertuples(index=False)}
    for *one, answer in old[[*ROW, heard]].itertuples(index=False):
        now = found.get(tuple(one))
        if answer != now:
            condition, key, utterance = one
            yield Difference(str(condition), int(key), str(utterance), answer, now)


def _trials(run: Path) -> list[str]:
    """The trials of a run by name; none where it has no list."""
    path = run / "trials.txt"
    if not path.is_file():
        return []
    with explained_errors(path, "check its permissions", action="read"):
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [" ".join(line.split()[1:]) for line in lines]


def _read(path: Path) -> pd.DataFrame:
    try:
        return read_table(path, None, "outputs", sealed=False).table
    except Damaged as error:
        raise BadInput(f"{path} is broken ({error}): the same wrongkey sweep command makes it again.") from None
