"""``wrongkey sweep``: incorrect keys through an encrypted model, into a run folder."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import RUNNING, SweepConfig
from wrongkey.flags import Groups, add_config_file, add_flags, add_running, given

A_SHARD = "a shard of keys, some ten seconds of work,"


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "sweep",
        help="thousands of incorrect keys through an encrypted model",
        description="Run incorrect keys through an encrypted model. The same command again finishes a stopped run; "
        "a larger --keys extends it.",
    )
    groups = Groups(parser)
    add_flags(groups, SweepConfig, "what is asked")
    how = groups[RUNNING.title]
    add_running(how, "one per core, or one per GPU", A_SHARD)
    how.add_argument("--backend", default="loky", choices=["loky", "dask"], help="this machine, or a Dask cluster")
    how.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask scheduler, tcp://host:8786")
    parser.add_argument("--out", type=Path, help="run folder (made if missing)")
    add_config_file(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run or continue the sweep, and print its headline."""
    from wrongkey.evaluation.sweep import sweep
    from wrongkey.progress import progress
    from wrongkey.terminal import conclude, note

    settings = {name: value for name, value in given(options, SweepConfig).items() if value is not None}
    config = SweepConfig.of(settings)
    if options.out is None:
        raise BadInput("A sweep needs --out FOLDER for its results.")
    folder = sweep(
        config,
        options.out,
        workers=options.workers,
        timeout=options.timeout,
        backend=options.backend,
        scheduler=options.scheduler,
        command=shlex.join(["wrongkey", *sys.argv[1:]]),
        progress=progress(),
        report=note,
    )
    where = f"{folder.path} is done; look at it with: wrongkey report {folder.path} --out report.html"
    conclude(_verdict(folder.path), where)
    return 0


def _verdict(folder: Path) -> str:
    """The headline of the run's report: how incorrect keys do, by the metric that speaks for the task."""
    from wrongkey.reports.runs import load_run
    from wrongkey.reports.statistics.key_statistics import summarise
    from wrongkey.reports.verdicts import headline

    return headline(summarise(load_run(folder)))
