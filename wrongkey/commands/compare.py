"""``wrongkey compare A B``: does B protect at least as well as A? Exit code 0 shown, 1 worse, 3 undecided."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.terminal import conclude

EXIT_CODES = {"shown": 0, "worse": 1, "undecided": 3}


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare", help="does run B protect at least as well as run A? (exit code 0: shown, 1: worse, 3: undecided)"
    )
    parser.add_argument("a", type=Path, help="run folder to compare with")
    parser.add_argument("b", type=Path, help="run folder in question")
    parser.add_argument(
        "--margin", type=float, metavar="X",
        help="by how much B's mean over keys may be worse, in the metric's unit (default 1 point; of a minDCF 0.01)",
    )  # fmt: skip
    parser.add_argument(
        "--tail-margin", type=float, default=3.0, metavar="PERCENT",
        help="by how much more of B's keys may come within the same distance of plain (default 3)",
    )  # fmt: skip
    parser.add_argument(
        "--attack-margin", type=float, default=10.0, metavar="PERCENT",
        help="in how much more of the trials an attack on B may succeed (default 10: where none succeeds, showing that "
        "takes wrongkey attack --trials 29; its default of 10 trials leaves it undecided)",
    )  # fmt: skip
    parser.add_argument(
        "--other-speakers", action="store_true",
        help="an answer about speakers in general, where both runs have the same (it takes hundreds of them)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the comparison; its verdict is the exit code."""
    from wrongkey.reports import compare, load_run
    from wrongkey.reports.comparison.gate import Margins
    from wrongkey.reports.metrics import get_metric

    for name, most in (("margin", math.inf), ("tail_margin", 100), ("attack_margin", 100)):
        value = getattr(options, name)
        if value is not None and not (0 <= value <= most and math.isfinite(value)):
            flag, limit = f"--{name.replace('_', '-')}", f" to {most}" if math.isfinite(most) else " up"
            raise BadInput(f"{flag} must be a number from 0{limit}, not {value:g}.")
    a, b = load_run(options.a), load_run(options.b)
    margin = get_metric(a.metric).distances[0] if options.margin is None else options.margin
    margins = Margins(margin, options.tail_margin / 100, options.attack_margin / 100)
    comparison = compare(a, b, margins, options.other_speakers)
    conclude(*str(comparison).splitlines())  # the exit code is the answer even if nobody reads this
    return EXIT_CODES[comparison.verdict]
