"""``wrongkey demo``: the bundled models and voices, five sweeps and a report, in minutes and without a download."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

SWEEPS = (
    ("asv-raw3", "rom"),
    ("asv-raw5", "rom"),
    ("asv-raw10", "rom"),
    ("asv-raw10", "shuffling"),
    ("asv-raw10", "flipping"),
)


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo", help="sweep the bundled models over the bundled voices and write the report"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the runs (default runs/demo)")
    parser.add_argument(
        "--keys",
        type=int,
        default=1000,
        help="incorrect ROM keys per sweep, half as many of other schemes (default 1000)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    parser.add_argument("--workers", type=int, help="processes (default: one per core, or one per GPU)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from evaluation.config import SweepConfig
    from evaluation.sweep import sweep
    from reports import write_report
    from wrongkey.progress import progress

    folders = []
    for model, scheme in SWEEPS:
        keys = options.keys if scheme == "rom" else -(-options.keys // 2)  # five sweeps in five minutes
        config = SweepConfig(
            model=model, corpus="bundled", scheme=scheme, trials="corpus", keys=keys, device=options.device
        )
        folders.append(options.out / f"{model}-{scheme}")
        sweep(
            config,
            folders[-1],
            workers=options.workers,
            command=f"wrongkey sweep --model {model} --corpus bundled --scheme {scheme} --trials corpus "
            f"--keys {keys} --out {folders[-1]}",
            progress=progress(),
            report=lambda line: print(line, file=sys.stderr, flush=True),
        )
    page = write_report(folders, options.out / "report.html")
    print(f"The report: {page.resolve()}")
    return 0
