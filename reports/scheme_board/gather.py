"""`board.json` of the folders of a board, and of several boards under one protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast, get_args

from pydantic import ValidationError

from wrongkey import __version__
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.board_cell import PROTOCOL, Claimed, Keystream, check_protocol, check_same
from wrongkey.evaluation.run_folder.board_cell import Cell as CellRecord
from wrongkey.evaluation.run_folder.private import without_paths
from wrongkey.evaluation.run_folder.schema import first_fault, read_json
from wrongkey.keys.labels import place_of_scheme
from wrongkey.reports.board.verdict_board import CRITERIA, HAS
from wrongkey.reports.content.schema import Column
from wrongkey.reports.scheme_board.reference import reference_row
from wrongkey.reports.scheme_board.rows import row_of
from wrongkey.reports.scheme_board.schema import Cell, Row, SchemeBoard, State, Tried
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE

Shown = TypeVar("Shown", Row, SchemeBoard)
STATES = get_args(State)  # the worst first
ASKING = {one.name for one in ADVERSARIES if "answers" in one.has}
EMPTY: Mapping[str, Any] = MappingProxyType({})

FILE = "board.json"
ORDER = (
    "By the weakest adversary who breaks a scheme: first what nobody breaks here, then what takes the most demanding "
    "adversary, last what the weakest one breaks. Among equals, what takes more ciphertext to break comes first, then "
    "the scheme and the block size. Rows in which speech alone was attacked follow those with a model, in the same "
    "order: of adversaries who have a model they say nothing. The reference row stands first."
)


def gather(folder: Path) -> SchemeBoard:
    """The board of a folder that `wrongkey board` makes, with the cells that there are.

    Parameters
    ----------
    folder : Path
        With `protocol.json`.

    Raises
    ------
    BadInput
        For a folder that holds no board, and for broken files.
    """
    path = folder / PROTOCOL
    if not path.is_file():
        raise BadInput(f"{folder} holds no board (it has no {PROTOCOL}): name a folder that wrongkey board made.")
    protocol = read_json(path, cast(Any, Claimed))
    check_protocol(path, protocol, protocol["content"])
    records = [(file, _record(file, protocol)) for file in _records(folder)]
    rows = [_row(file, folder) for file, _ in records]
    made = max((str(record.get("made") or "") for _, record in records), default="")[:10]
    return _board({"name": protocol["name"], "hash": protocol["hash"]}, protocol["content"], made, rows)


def merged(boards: Sequence[tuple[Path, SchemeBoard]]) -> SchemeBoard:
    """Several boards as one.

    Parameters
    ----------
    boards : sequence of (Path, SchemeBoard)
        Each with the file that it is from; at least one.

    Raises
    ------
    BadInput
        For boards of different protocols, and where two have different results for one scheme and block size.

    Notes
    -----
    A row that has what another one has, and further parts (`wrongkey board --only strength` in the same folder, later),
    takes its place. The reference row of each board is kept.
    """
    first_path, first = boards[0]
    rows: dict[tuple[Any, ...], tuple[Path, Row]] = {}
    for path, one in boards:
        if one.protocol != first.protocol:
            raise BadInput(
                f"{path} is of the protocol {one.protocol.name} ({one.protocol.hash[:12]}) and {first_path} of "
                f"{first.protocol.name} ({first.protocol.hash[:12]}): merge boards of one protocol only."
            )
        for row in one.rows:
            # every board has a reference of its own, under other random keys
            place = (row.scheme, row.block, row.source.hash, row.model_dump_json() if row.reference else "")
            there, known = rows.setdefault(place, (path, row))
            fuller = known if known == row else _fuller(known, row)
            if fuller is row:
                rows[place] = (path, row)
            elif fuller is None:
                at = f" at M = {row.block}" if row.block else ""
                raise BadInput(f"{there} and {path} have different results of {row.scheme}{at}: leave one of them out.")
    made = max(one.made for _, one in boards)
    return _board(first.protocol.model_dump(), first.content, made, [row for _, row in rows.values()])


def _fuller(first: Row, second: Row) -> Row | None:
    """The one of two results of a cell that has more parts, the others being equal; None where neither has."""
    if not _of_one_cell(first, second):
        return None
    for more, less in ((second, first), (first, second)):
        pairs = list(zip(_measured(more), _measured(less), strict=True))
        if any(one is None for _, one in pairs) and all(one in (None, ours) for ours, one in pairs):
            return more
    return None


def _of_one_cell(first: Row, second: Row) -> bool:
    """Whether two rows may be one cell, to which parts were added: no part but attacks and strength decides who breaks.

    Random keys are swept with the attacks. What only one row has says nothing, but for strength: it can show no more
    than that who may ask a model achieves more.
    """
    same = (first.model, first.nominal_bits) == (second.model, second.nominal_bits)
    if first.attacks and second.attacks:
        same &= _attacked(first) == _attacked(second)
        if (first.strength is None) == (second.strength is None):
            same &= _states(first) == _states(second)
        else:
            with_it, without = (second, first) if first.strength is None else (first, second)
            same &= all(_at_least(more, less) for more, less in zip(with_it.cells, without.cells, strict=True))
    return same


def _at_least(more: Cell, less: Cell) -> bool:
    """Whether a cell is that of a row without strength, or says that an adversary who may ask a model achieves more."""
    if _stated(more) == _stated(less):
        return True
    return more.adversary in ASKING and STATES.index(more.state) <= STATES.index(less.state)


def _states(row: Row) -> list[Any]:
    """What each adversary achieves; sentences have the leaks as well."""
    return [row.weakest, *map(_stated, row.cells)]


def _stated(cell: Cell) -> Cell:
    return cell.model_copy(update={"sentence": ""})


def _attacked(row: Row) -> tuple[Any, ...]:
    return row.speech, row.corpus, row.recordings, row.best_key


def _measured(row: Row) -> tuple[Any, ...]:
    """What was measured of a cell, a part after another; None where it was not."""
    leaks = None if row.linkability.value is None else (row.leaks, row.linkability)
    return row.attacks or None, row.strength, leaks, row.cost


def read_board(path: Path) -> SchemeBoard:
    """A board from its file, or from the folder that holds it.

    Raises
    ------
    BadInput
        Where there is none, or it is broken.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise BadInput(f"{path} holds no {FILE}: name a folder that wrongkey board made.")
    found = SchemeBoard.model_validate(read_json(file, cast(Any, SchemeBoard)))
    check_protocol(file, found.protocol.model_dump(), found.content)
    shown = found.model_dump(exclude={"content"})
    return _shown(file, SchemeBoard, shown, SchemeBoard.REMEDY, {"content": found.content})


def _shown(
    path: Path, schema: type[Shown], content: dict[str, Any], remedy: str, kept: Mapping[str, Any] = EMPTY
) -> Shown:
    """Texts that may be a stranger's, for a terminal and without paths; `kept` as they are."""
    try:
        return schema.model_validate(without_paths(content) | dict(kept))
    except ValidationError as error:  # such as nothing but a path where words are needed
        raise BadInput(f"{path} cannot be shown without its paths ({first_fault(error)}): {remedy}.") from None


def _row(path: Path, folder: Path) -> Row:
    """The row of a file in `cells`."""
    remedy = _schema(path).REMEDY
    try:
        row = row_of(path, folder / "runs" / path.stem) if _schema(path) is CellRecord else reference_row(path)
    except ValidationError as error:  # values that no row can hold, such as seconds below zero
        raise BadInput(f"{path} is broken ({first_fault(error)}): {remedy}.") from None
    return _shown(path, Row, row.model_dump(), remedy)


def _record(path: Path, protocol: dict[str, Any]) -> dict[str, Any]:
    """The record of a cell, or of the reference row, under this protocol."""
    found = read_json(path, cast(Any, _schema(path)))
    check_same(path, found["protocol"], protocol)
    return found


def _schema(path: Path) -> type[CellRecord] | type[Keystream]:
    """Of a file in `cells`: it is named NAME-mBLOCK, or as a cipher is."""
    return CellRecord if re.search(r"-m\d+$", path.stem) else Keystream


def _records(folder: Path) -> list[Path]:
    return sorted((folder / "cells").glob("*.json"))


def _board(protocol: dict[str, str], content: dict[str, Any], made: str, rows: Iterable[Row]) -> SchemeBoard:
    rows = in_order(rows)
    return SchemeBoard.model_validate(
        {
            "wrongkey": __version__,
            "protocol": protocol,
            "content": content,
            "made": made,
            "order": ORDER,
            "criteria": CRITERIA.replace("Held here", "Not shown to break").replace("Unclear", "Undecided"),
            "cautions": _cautions(rows),
            "columns": [column_of(one.name) for one in ADVERSARIES],
            "rows": [row.model_dump() for row in rows],
        }
    )


def column_of(name: str) -> dict[str, str]:
    """An adversary with what they have, as JSON."""
    return Column(name=name, has=HAS[name]).model_dump()


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows in the order that `ORDER` says."""
    return sorted(rows, key=_place)


def _place(row: Row) -> tuple[Any, ...]:
    """Sort key of `ORDER`; a row that was not attacked stands last."""
    names = [one.name for one in ADVERSARIES]
    breaker = names.index(row.weakest) if row.weakest else len(names)
    tried = any(cell.state not in ("not run", "does not apply") for cell in row.cells)
    amount = seconds_to_break(row)
    scheme = place_of_scheme(row.scheme)
    return (
        not row.reference,
        not tried,
        not row.model,
        -breaker,
        -(inf if amount is None else round(amount, 1)),  # whole blocks of 2 s are 1.999875 s at M = 3
        scheme,
        row.block or 0,
    )


def on_ciphertext_alone(row: Row) -> list[Tried]:
    """Every case of an attack that needs ciphertext alone and is not after who speaks."""
    alone = {"ciphertext", "other speech", "ciphertext of many"}
    return [
        one for one in row.attacks if one.seconds is not None and set(one.needs) <= alone and one.asset != "identity"
    ]


def on_ciphertext(row: Row) -> list[tuple[float, str]]:
    """Seconds and verdict of these cases."""
    return [(one.seconds, one.verdict) for one in on_ciphertext_alone(row) if one.seconds is not None]


def seconds_to_break(row: Row) -> float | None:
    """The fewest seconds of ciphertext with which an attack on ciphertext alone breaks; None where none does."""
    return min((seconds for seconds, verdict in on_ciphertext(row) if verdict == "broken"), default=None)


def _cautions(rows: Sequence[Row]) -> list[str]:
    kinds = sorted({row.recordings for row in rows if row.attacks} - {"real"})
    found = [EVIDENCE.get(kind, UNKNOWN_EVIDENCE) for kind in kinds]
    if len({json.dumps(row.speech, sort_keys=True) for row in rows if row.speech}) > 1:
        found.append("The rows are not all of the same recordings: see “speech” in board.json.")
    standing = [row for row in rows if row.reference]
    if any(one.successes or one.claimed for row in standing for one in row.attacks):
        found.append("The reference row does not stand: an attack claims or breaks what nobody can, so trust no row.")
    if not standing:
        found.append("The reference row was not run: nothing shows that attacks which fail say so.")
    versions = {(one.get("wrongkey"), one.get("torch"), one.get("numpy")) for row in rows for one in row.versions}
    if len(versions) > 1:
        found.append("The rows were made with several versions of wrongkey, torch or numpy: see “versions”.")
    return found
