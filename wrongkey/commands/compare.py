"""``wrongkey compare A B``: does B protect at least as well as A? Exit code 0 shown, 1 worse, 3 undecided.

``--json`` prints one document, "wrongkey-comparison/1", which `wrongkey.reports.comparison.document` describes; the
exit code is the same.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.terminal import conclude, note

if TYPE_CHECKING:
    from wrongkey.reports.attacks.rows import AttackRun
    from wrongkey.reports.comparison.compare import Comparison
    from wrongkey.reports.comparison.compare_attacks import AttackComparison

EXIT_CODES = {"shown": 0, "worse": 1, "undecided": 3}
DESCRIPTION = """\
Test whether the keys of run B protect at least as well as those of run A: the mean score of incorrect keys, the share
of weak keys, and every attack that was run on both, each up to a margin. Folders of attacks alone are compared by their
attacks. Where `wrongkey analyse keys` was run on both, its predictions stand beside each other and decide nothing.

Exit code 0: shown; 1: B is worse; 3: undecided, as with too few keys or trials, or with an attack on one side alone."""


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare",
        help="does run B protect at least as well as run A? (exit code 0: shown, 1: worse, 3: undecided)",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    parser.add_argument("--out", type=Path, metavar="PAGE.html", help="a page with figures and tables as well")
    parser.add_argument("--json", action="store_true", help="the result as one JSON document on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the comparison; its verdict is the exit code."""
    for name, most in (("margin", math.inf), ("tail_margin", 100), ("attack_margin", 100)):
        value = getattr(options, name)
        if value is not None and not (0 <= value <= most and math.isfinite(value)):
            flag, limit = f"--{name.replace('_', '-')}", f" to {most}" if math.isfinite(most) else " up"
            raise BadInput(f"{flag} must be a number from 0{limit}, not {value:g}.")
    if options.out and options.out.suffix.lower() not in (".html", ".htm"):
        example = options.out.with_name(f"{options.out.stem or 'comparison'}.html")
        raise BadInput(f"--out {options.out} is no HTML file: name one, for example {example}.")
    if any(_only_attacks(folder) for folder in (options.a, options.b)):
        comparison: Comparison | AttackComparison = _compare_attacks(options)
    else:
        comparison = _compare_sweeps(options)
    if options.out:
        from wrongkey.reports.page.compare import write_comparison

        note(f"wrote {write_comparison(comparison, options.out)}")
    if options.json:
        from wrongkey.reports.comparison.document import to_document

        conclude(*json.dumps(to_document(comparison), indent=2, allow_nan=False).splitlines())
    else:
        conclude(*str(comparison).splitlines())  # the exit code is the answer even if nobody reads this
    return EXIT_CODES[comparison.verdict]


def _compare_sweeps(options: argparse.Namespace) -> Comparison:
    from wrongkey.reports import compare, load_run
    from wrongkey.reports.comparison.gate import Margins
    from wrongkey.reports.metrics import get_metric

    a, b = load_run(options.a), load_run(options.b)
    margin = get_metric(a.metric).distances[0] if options.margin is None else options.margin
    margins = Margins(margin, options.tail_margin / 100, options.attack_margin / 100)
    return compare(a, b, margins, options.other_speakers)


def _compare_attacks(options: argparse.Namespace) -> AttackComparison:
    from wrongkey.reports.comparison.compare_attacks import compare_attacks
    from wrongkey.reports.comparison.gate import Margins
    from wrongkey.reports.metrics import METRICS

    a, b = _attacks(options.a, options.b), _attacks(options.b, options.a)
    margin = METRICS[b.metric or "eer"].distances[0] if options.margin is None else options.margin
    return compare_attacks(a, b, Margins(margin, attack=options.attack_margin / 100))


def _attacks(folder: Path, other: Path) -> AttackRun:
    """The attacks of a folder. Raises BadInput where it has none, so that it cannot be compared with the other."""
    from wrongkey.reports.attacks.rows import load_attacks

    found = load_attacks(folder)
    if found is None:
        raise BadInput(
            f"{folder} has no attacks and {other} has no sweep, so that nothing can be compared: "
            f"run wrongkey attack on {folder}, or wrongkey sweep on {other}."
        )
    return found


def _only_attacks(folder: Path) -> bool:
    """Whether a folder holds attacks and no sweep."""
    return (folder / "attacks" / "suite.json").is_file() and not (folder / "manifest.json").exists()
