"""``wrongkey report``: one self-contained HTML page about run folders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("report", help="HTML page and figures of run folders")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that hold some")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="the page (default report.html)")
    parser.add_argument("--figures", type=Path, help="folder for PNG and SVG files (default: beside the page)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from reports import write_report

    page = write_report(run_folders(options.runs), options.out, options.figures)
    print(page)
    return 0


def run_folders(paths: list[Path]) -> list[Path]:
    """Each path itself, or the run folders below it where it is none."""
    from evaluation.run_folder import find_runs

    return [
        folder
        for path in paths
        for folder in ([path] if (path / "manifest.json").exists() else find_runs(path) or [path])
    ]
