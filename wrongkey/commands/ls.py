"""``wrongkey ls``: the runs in a folder, a line each: sweeps, attacks, analyses and strengths."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.flags import add_json
from wrongkey.reports.attacks.threats import ASSETS
from wrongkey.terminal import answer, say

if TYPE_CHECKING:
    from wrongkey.reports.attacks.rows import AttackRun

ABOUT = ("model", "corpus", "scheme", "blocks", "block_size", "task")  # of what was attacked or analysed
COLUMNS = ("folder", "kind", "date", "model", "corpus", "setting", "size", "state", "result")


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "ls",
        help="list run folders",
        description="List the sweeps, attacks, analyses and strengths in and below a folder, with what came of them.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), help="where to look (default runs)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for every sweep, every suite of attacks, every analysis and every strength below the folder."""
    from wrongkey.errors import BadInput

    place = options.folder
    found = [*_sweeps(place), *_attacks(place), *_analyses(place), *_strengths(place)]
    if not found:
        raise BadInput(f"{options.folder} holds no run folder: make one with wrongkey sweep.")
    found.sort(key=lambda one: one["folder"])
    if options.json:
        answer(found)
    else:
        say(*_aligned([_row(one) for one in found]))
    return 0


def _sweeps(place: Path) -> Iterator[dict[str, Any]]:
    from wrongkey.errors import BadInput
    from wrongkey.evaluation.run_folder.folder import find_runs
    from wrongkey.reports.runs import load_run
    from wrongkey.reports.strength.runs import strength_alone
    from wrongkey.run_summary import facts, result

    for folder in find_runs(place):
        if strength_alone(folder):
            continue
        try:
            run = load_run(folder)
            yield {**facts(run), "result": _with_cautions(result(run), run.cautions)}
        except BadInput as error:
            yield {"folder": str(folder), "kind": "sweep", "state": "unreadable", "result": str(error)}


def _attacks(place: Path) -> Iterator[dict[str, Any]]:
    from wrongkey.errors import BadInput
    from wrongkey.evaluation.run_folder.folder import find_files
    from wrongkey.reports.attacks.rows import load_attacks

    for path in find_files(place, "suite.json"):
        if path.parent.name != "attacks":
            continue
        folder = path.parent.parent
        try:
            run = load_attacks(folder)
            if run is not None:
                yield _attacked(run)
        except BadInput as error:
            yield {"folder": str(folder), "kind": "attacks", "state": "unreadable", "result": str(error)}


def _attacked(run: AttackRun) -> dict[str, Any]:
    from wrongkey.reports.attacks.verdicts import verdict

    suite, found = run.suite, verdict(run)
    return {
        "folder": str(run.folder),
        "kind": "attacks",
        "state": "complete" if suite.get("ended") else "unfinished",
        "date": suite.get("ended") or (suite.get("sessions") or [{}])[-1].get("started"),
        **{name: run.setting.get(name) for name in ABOUT},
        "trials": suite.get("config", {}).get("trials"),
        "attacks": [name for name, about in suite.get("attacks", {}).items() if not about.get("obstacle")],
        "verdicts": {asset: found.worst(asset).word.value for asset in ASSETS},
        "result": _with_cautions(found.sentence.partition(". ")[0] + ".", run.cautions),
    }


def _analyses(place: Path) -> Iterator[dict[str, Any]]:
    from wrongkey.analysis_summary import sentences
    from wrongkey.errors import BadInput
    from wrongkey.evaluation.run_folder.folder import find_files
    from wrongkey.evaluation.run_folder.vocabulary import ANALYSIS_COLUMNS
    from wrongkey.reports.analyses import read_analysis

    paths = [path for name in ANALYSIS_COLUMNS for path in find_files(place, f"{name}.json")]
    for path in paths:
        if path.parent.name != "analyses":
            continue
        about = {"folder": str(path.parent.parent), "kind": f"analysis of {path.stem}"}
        try:
            analysis = read_analysis(path)
            yield {
                **about,
                **{name: analysis.setting.get(name) for name in ABOUT},
                "date": analysis.about.get("made"),
                "state": "complete",
                "result": _with_cautions(" ".join(sentences(analysis)[:1]), analysis.cautions),
            }
        except BadInput as error:
            yield {**about, "state": "unreadable", "result": str(error)}


def _strengths(place: Path) -> Iterator[dict[str, Any]]:
    from wrongkey.errors import BadInput
    from wrongkey.evaluation.run_folder.folder import find_files
    from wrongkey.reports.strength.runs import load_strength
    from wrongkey.reports.strength.words import short_words

    for path in find_files(place, "strength.json"):
        if path.parent.name != "strength":
            continue
        about = {"folder": str(path.parent.parent), "kind": "strength"}
        try:
            if run := load_strength(path.parent.parent):
                yield {
                    **about,
                    **{name: getattr(run.found, name) for name in ABOUT},
                    "date": run.manifest.get("ended") or run.manifest.get("started"),
                    "state": run.found.state,
                    "keys": run.found.evaluations,
                    "result": short_words(run),
                }
        except BadInput as error:
            yield {**about, "state": "unreadable", "result": str(error)}


def _with_cautions(result: str, cautions: Sequence[str]) -> str:
    """What came of a run, and in brackets what a reader must know beside it."""
    return f"{result} ({' '.join(cautions)})" if cautions else result


def _row(one: dict[str, Any]) -> list[str]:
    """The columns of a line, as text."""
    from wrongkey.keys.labels import scheme_label

    scheme, block_size = str(one.get("scheme") or ""), one.get("block_size")
    setting = " ".join(filter(None, (scheme_label(scheme), f"M={block_size}" if block_size else "")))
    size = f"{one['keys']:,} keys" if "keys" in one else f"{one['trials']} trials" if one.get("trials") else ""
    words = {**one, "setting": setting, "size": size, "date": str(one.get("date") or "")[:16].replace("T", " ")}
    return [str(words.get(name) or "-") for name in COLUMNS]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of aligned columns."""
    from wrongkey.printable import printable

    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
