"""``wrongkey report``: one self-contained HTML page about run folders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from keys.errors import BadInput


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("report", help="HTML page and figures of run folders")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold some")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="the page (default report.html)")
    parser.add_argument("--figures", type=Path, help="folder for PNG and SVG files (default: beside the page)")
    parser.add_argument("--table", type=Path, help="the numbers as well: FILE.csv (all), FILE.md or FILE.tex (rounded)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from reports import write_report

    folders = run_folders(options.runs)
    if options.table:
        _write_table(folders, options.table)
    page = write_report(folders, options.out, options.figures)
    print(page)
    return 0


def _write_table(folders: list[Path], path: Path) -> None:
    from reports import load_runs, numbers, score_table, summarise_all, to_csv, to_latex, to_markdown, worst_key_table

    tables = {".csv": (to_csv, [numbers]), ".md": (to_markdown, [score_table, worst_key_table])}
    tables[".tex"] = (to_latex, [score_table, worst_key_table])
    if path.suffix not in tables:
        raise BadInput(f"--table {path} has no ending that is known: give FILE.csv, FILE.md or FILE.tex")
    write, kinds = tables[path.suffix]
    results = summarise_all(load_runs(folders))
    try:
        path.write_text("\n".join(write(kind(results)) for kind in kinds), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}): choose another --table") from error


def run_folders(paths: list[Path]) -> list[Path]:
    """Each path itself, or the run folders below it where it is none."""
    from evaluation.run_folder import find_runs

    return [
        folder
        for path in paths
        for folder in ([path] if (path / "manifest.json").exists() else find_runs(path) or [path])
    ]
