"""``wrongkey ls``: the runs in a folder, a line each."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wrongkey.terminal import say


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser("ls", help="list run folders")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), help="where to look (default runs)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for every run below the folder."""
    from wrongkey.errors import BadInput
    from wrongkey.evaluation.run_folder.folder import find_runs
    from wrongkey.printable import printable
    from wrongkey.reports import load_run, summarise

    folders = find_runs(options.folder)
    if not folders:
        raise BadInput(f"{options.folder} holds no run folder: make one with wrongkey sweep.")
    width = max(len(printable(folder)) for folder in folders)
    for folder in folders:
        try:
            run = load_run(folder)
            result = summarise(run)
            plain = f", plain {result.plain.value:.1f}" if result.plain else ""
            line = (
                f"{run.model:12} {run.corpus:16} {run.scheme:10} M={run.block_size:<3} {run.state:32} "
                f"median {run.metric} {result.median:.1f}{plain}"
            )
            line += f"  ({' '.join(run.cautions)})" if run.cautions else ""
        except BadInput as error:
            line = f"({error})"
        say(f"{printable(folder):{width}}  {line}")
    return 0
