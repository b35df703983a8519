"""``wrongkey compare A B``: does B protect at least as well as A? Exit code 1 if not."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wrongkey.terminal import conclude


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare", help="does run B protect at least as well as run A? (exit code 1: no)"
    )
    parser.add_argument("a", type=Path, help="run folder to compare with")
    parser.add_argument("b", type=Path, help="run folder in question")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from reports import compare, load_run

    comparison = compare(load_run(options.a), load_run(options.b))
    conclude(*str(comparison).splitlines())  # the exit code is the answer, whether or not anybody reads it
    return 1 if comparison.negative else 0
