"""``wrongkey board``: a fixed protocol over a list of schemes and block sizes, and what breaks each of them."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.vocabulary import BOARD_PARTS, LARGEST_BLOCK
from wrongkey.flags import Groups, add_backend, add_json, add_running, scheme_names
from wrongkey.printable import brief

if TYPE_CHECKING:
    from wrongkey.attacks.board.cells import PlannedCell
    from wrongkey.attacks.board.protocol import Protocol
    from wrongkey.attacks.board.running import Speech
    from wrongkey.reports.scheme_board.schema import SchemeBoard

REFERENCE = "reference"
ONLY = (*BOARD_PARTS, REFERENCE)


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "board",
        help="a fixed protocol over a list of schemes and block sizes: what breaks each of them",
        description="Run a protocol over schemes and block sizes, and write the board of what breaks each of them "
        "(docs/board.md). The same command again continues a stopped one; further schemes are added to those that are "
        "there.",
    )
    groups = Groups(parser)
    what, how = groups["what is run"], groups["how it is run"]
    what.add_argument("--protocol", metavar="NAME", help="speech-v1, smoke, or a TOML file (docs/board.md)")
    what.add_argument("--corpus", help="the protocol's speech, as for 'wrongkey sweep'")
    what.add_argument(
        "--schemes",
        type=scheme_names,
        metavar="S,…",
        help="rom, rom+turns=4, package.module:name, … (default: the protocol's)",
    )
    what.add_argument("--blocks", metavar="M,…", help="block sizes, such as 3,5,10 (default: the protocol's)")
    what.add_argument("--only", metavar="PARTS", help=f"some of {', '.join(ONLY)} (default: all)")
    how.add_argument("--plan", action="store_true", help="list the cells and what is done of them, and run nothing")
    add_running(how, "one per core", "a trial, or a shard of incorrect keys,")
    add_backend(how)
    parser.add_argument("--out", type=Path, help="folder, made if missing (default runs/board-NAME)")
    add_json(parser)
    parser.set_defaults(run=run)
    merge = parser.add_subparsers(title="actions", metavar="ACTION").add_parser(
        "merge", help="join boards of one protocol", description="Join boards of one protocol into one."
    )
    merge.add_argument(
        "folders", type=Path, nargs="+", metavar="FOLDER", help="a folder with a board.json, or that file"
    )
    merge.add_argument("--out", type=Path, required=True, help="folder of the joined board, made if missing")
    add_json(merge)
    merge.set_defaults(run=run_merge)


def run(options: argparse.Namespace) -> int:
    """Run what is missing of the board, and write it; or list its cells."""
    from wrongkey.terminal import note

    if options.protocol is None:
        raise BadInput("board needs --protocol; see wrongkey board --help.")
    parts = _parts(options.only)
    note("Loading the protocol and its schemes …")
    from wrongkey.attacks.board.cells import planned_cells
    from wrongkey.attacks.board.entries import open_entry
    from wrongkey.attacks.board.protocol import open_protocol

    protocol = open_protocol(options.protocol)
    schemes = list(dict.fromkeys((options.schemes or ",".join(protocol.content.schemes)).split(",")))
    blocks = _blocks(options.blocks) or protocol.content.blocks
    cells = planned_cells(protocol, [open_entry(scheme) for scheme in schemes], blocks)
    for scheme in protocol.content.reference.schemes if protocol.content.reference else ():
        open_entry(scheme)  # one that does not exist is refused before anything is run
    out = options.out or Path("runs") / f"board-{protocol.name}"
    if options.plan:
        _list(options, protocol, cells, out)
        return 0
    if options.corpus is None:
        raise BadInput(f"board needs --corpus: {protocol.content.corpus.name}, for the protocol {protocol.name}.")
    if options.workers is not None and options.workers < 1:
        raise BadInput(f"--workers must be at least 1, not {options.workers}.")
    from wrongkey.evaluation.processes.cluster import check_backend

    check_backend(options.backend, options.scheduler)
    _run(options, protocol, cells, parts, out)
    return 0


def run_merge(options: argparse.Namespace) -> int:
    """Join boards of one protocol."""
    from wrongkey.reports.scheme_board.gather import FILE, merged, read_board
    from wrongkey.reports.scheme_board.write import check_free

    found = [(folder / FILE if folder.is_dir() else folder, read_board(folder)) for folder in options.folders]
    check_free(options.out, [path for path, _ in found])
    _conclude(options, merged(found), options.out)
    return 0


def _run(
    options: argparse.Namespace, protocol: Protocol, cells: Sequence[PlannedCell], parts: Collection[str], out: Path
) -> None:
    """Run the cells and the reference row; the board is written also where this is stopped."""
    from wrongkey.attacks.board.folder import BoardFolder
    from wrongkey.attacks.board.running import Speech

    folder = BoardFolder(out)
    folder.check_claim(protocol)
    speech = Speech(protocol, options.corpus, folder)  # a corpus that is not there claims no folder
    with folder.locked():
        _run_alone(options, protocol, cells, parts, speech)


def _run_alone(
    options: argparse.Namespace,
    protocol: Protocol,
    cells: Sequence[PlannedCell],
    parts: Collection[str],
    speech: Speech,
) -> None:
    from wrongkey.attacks.board.keystream import run_keystream
    from wrongkey.attacks.board.running import How, run_cell
    from wrongkey.progress import progress, stages
    from wrongkey.reports.attacks.verdict_file import write_verdicts
    from wrongkey.reports.scheme_board.gather import gather
    from wrongkey.reports.scheme_board.write import write_board
    from wrongkey.terminal import note

    folder = speech.folder
    out = folder.path
    folder.claim_board(protocol)
    speech.claim()
    how = How(
        workers=options.workers,
        backend=options.backend,
        scheduler=options.scheduler,
        timeout=options.timeout,
        command=options.command,
        progress=progress(),
        stages=stages("trial"),
        report=note,
    )
    failed: list[BadInput] = []
    try:
        if REFERENCE in parts and protocol.content.reference is not None:
            failed += run_keystream(protocol, speech, folder, how)
        for number, cell in enumerate(cells if set(parts) - {REFERENCE} else (), 1):
            note(f"Cell {number} of {len(cells)}: {cell.name}")
            failed += run_cell(protocol, speech, folder, cell, parts, how)
            write_verdicts(folder.run_folder(cell))
    except BaseException:
        with suppress(BadInput):  # what stopped it is the error to raise
            write_board(gather(out), out)
        raise
    _conclude(options, gather(out), out)
    if failed:
        raise failed[0]


def _conclude(options: argparse.Namespace, board: SchemeBoard, out: Path) -> None:
    from wrongkey.reports.scheme_board.table import label, result
    from wrongkey.reports.scheme_board.write import write_board
    from wrongkey.terminal import answer, conclude

    files = write_board(board, out)
    if options.json:
        answer({"folder": out, **board.model_dump()})
        return
    conclude(
        *(f"{label(row, board)}: {result(row)}." for row in board.rows),
        *board.cautions,
        f"The board: {files.page.resolve()}",
    )


def _list(options: argparse.Namespace, protocol: Protocol, cells: Sequence[PlannedCell], out: Path) -> None:
    """The cells, what is done of them, and what does not apply."""
    from wrongkey.attacks.board.folder import BoardFolder
    from wrongkey.terminal import answer, say

    folder = BoardFolder(out)
    folder.check_claim(protocol)
    records = {cell.name: folder.cell(cell, protocol) for cell in cells}
    states = {cell.name: {part: _state(records[cell.name], cell, part) for part in BOARD_PARTS} for cell in cells}
    if options.json:
        listed = [
            {
                "cell": cell.name,
                "scheme": cell.entry.spec,
                "block": cell.block,
                "model": cell.model,
                "parts": states[cell.name],
            }
            for cell in cells
        ]
        answer({"protocol": protocol.named, "folder": out, "cells": listed})
        return
    say(f"protocol {protocol.name}, {protocol.hash}", f"{len(cells)} cells into {out}")
    for cell in cells:
        parts = "; ".join(f"{part} {state}" for part, state in states[cell.name].items())
        say(f"{cell.name}  {cell.model or 'speech alone'}: {parts}")


def _state(record: dict[str, Any] | None, cell: PlannedCell, part: str) -> str:
    if record is not None:
        return str(record["parts"][part]["state"])
    return "does not apply" if part in cell.obstacles else "not run"


def _parts(text: str | None) -> Collection[str]:
    parts = ONLY if text is None else tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in parts if name not in ONLY]:
        raise BadInput(f"--only {unknown[0]} is no part of a board: give some of {', '.join(ONLY)}.")
    return parts


def _blocks(text: str | None) -> list[int]:
    """The block sizes of a list such as ``3,5,10``; none for None."""
    sizes = [] if text is None else text.split(",")
    if wrong := [size for size in sizes if not (size.isascii() and size.isdigit() and size.strip("0"))]:
        raise BadInput(f"--blocks must be block sizes such as 3,5,10, and {brief(wrong[0], 40)!r} is none.")
    if large := [
        size for size in sizes if len(size.lstrip("0")) > len(str(LARGEST_BLOCK)) or int(size) > LARGEST_BLOCK
    ]:
        raise BadInput(f"--blocks must be block sizes of at most {LARGEST_BLOCK:,}, and {brief(large[0], 40)} is more.")
    return sorted({int(size) for size in sizes})
