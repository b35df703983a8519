"""``wrongkey report``: one self-contained HTML page about run folders."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.files import write_text_atomically
from wrongkey.terminal import conclude, note

if TYPE_CHECKING:
    from wrongkey.reports.attacks.rows import AttackRun
    from wrongkey.reports.runs import Run


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser("report", help="HTML page and figures of run folders")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold some")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="the page (default report.html)")
    parser.add_argument("--figures", type=Path, help="folder for PNG and SVG files (default: beside the page)")
    parser.add_argument("--table", type=Path, help="the numbers as well: FILE.csv (all), FILE.md or FILE.tex (rounded)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the page, and the table if one is asked for."""
    from wrongkey.reports import write_report
    from wrongkey.reports.analyses import find_analyses
    from wrongkey.reports.attacks.rows import find_attacks

    attacks, analyses = find_attacks(options.runs), find_analyses(options.runs)
    shown = {run.folder for run in attacks} | {analysis.folder for analysis in analyses}
    asked = [path for path in options.runs if not _holds_only(path, shown)]
    runs, left_out = read_runs(asked) if asked or not shown else ([], [])
    for reason in left_out:
        note(f"wrongkey: left out: {reason}")
    if options.table:
        _write_table(runs, attacks, options.table)
    page = write_report(runs, options.out, options.figures, attacks, analyses)
    conclude(page)
    return 0


def _holds_only(path: Path, shown: set[Path]) -> bool:
    """Whether a folder holds attacks or analyses but no sweep."""
    from wrongkey.evaluation.run_folder.folder import find_runs

    return any(folder.is_relative_to(path) for folder in shown) and not find_runs(path)


def _write_table(runs: list[Run], attacks: list[AttackRun], path: Path) -> None:
    from wrongkey.reports import (
        closeness_table,
        numbers,
        score_table,
        summarise_all,
        to_csv,
        to_markdown,
        worst_key_table,
    )
    from wrongkey.reports.paper.tables import paper_tables

    pages = [score_table, worst_key_table, closeness_table]
    tables = {".csv": (to_csv, [numbers]), ".md": (to_markdown, pages)}
    if path.suffix not in (*tables, ".tex"):
        raise BadInput(f"--table {path} has an unknown ending: give FILE.csv, FILE.md or FILE.tex.")
    results = summarise_all(runs)
    try:
        if path.suffix == ".tex":
            text = paper_tables(results, attacks)
        else:
            write, kinds = tables[path.suffix]
            text = "\n".join(write(kind(results)) for kind in kinds)
        write_text_atomically(path, text)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}): choose another --table.") from error


def read_runs(paths: list[Path]) -> tuple[list[Run], list[str]]:
    """Runs that are named by `paths` or lie below one of them, and the reasons why others there are left out.

    Raises BadInput for a run that is named itself and cannot be read, and for a folder without a readable run.
    """
    from wrongkey.evaluation.run_folder.folder import find_runs
    from wrongkey.reports import find_readable, load_runs

    given: list[Path | Run] = []
    left_out: list[str] = []
    for path in paths:
        found = [] if os.path.exists(path / "manifest.json") else find_runs(path)
        runs, reasons = find_readable(found)
        if found and not runs:
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            raise BadInput(f"{path} holds no run that can be shown: {reasons[0].rstrip('.')}{more}.")
        given += runs or [path]
        left_out += reasons
    return load_runs(given), list(dict.fromkeys(left_out))
