"""``wrongkey sweep``: incorrect keys through an encrypted model, into a run folder."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import RUNNING, SweepConfig
from wrongkey.files import file_name
from wrongkey.flags import (
    Groups,
    add_backend,
    add_check,
    add_config_file,
    add_flags,
    add_json,
    add_running,
    given,
    report_hint,
)
from wrongkey.imports import importing

if TYPE_CHECKING:
    from wrongkey.reports.runs import Run

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
    add_running(how, "one per GPU; one per core where the keys are worth it", A_SHARD)
    add_backend(how)
    add_check(how)
    how.add_argument(
        "--plan",
        action="store_true",
        help="say what time, memory and disk the sweep would take, after a short calibration, and run nothing",
    )
    parser.add_argument(
        "--out", type=Path, help="run folder, made if missing (default runs/MODEL-SCHEME, or runs/MODEL-SCHEME-mM)"
    )
    add_json(parser)
    add_config_file(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run or continue the sweep, and print its result."""
    from wrongkey.evaluation.finished import is_finished
    from wrongkey.terminal import answer, conclude, note

    settings = {name: value for name, value in given(options, SweepConfig).items() if value is not None}
    config = SweepConfig.of(settings)
    out = folder_of(options, config)
    if options.plan:
        _plan(options, config, out)
        return 0
    run = None if options.check or not is_finished(config, out) else _finished(out)
    if run is not None:
        note(finished_before(out))
    else:
        run = _sweep(options, config, out)
    if options.json:
        from wrongkey.run_summary import facts

        answer(facts(run))
    else:
        from wrongkey.run_summary import sentences

        conclude(*sentences(run), f"{out} is done; look at it with: {report_hint([out])}")
    return 0


def _plan(options: argparse.Namespace, config: SweepConfig, out: Path) -> None:
    """Print what the sweep would take."""
    from wrongkey.evaluation.processes.cluster import check_backend
    from wrongkey.evaluation.processes.dispatch import check_timeout
    from wrongkey.terminal import answer, conclude, note

    check_backend(options.backend, options.scheduler)
    check_timeout(options.timeout)
    if options.backend != "loky":
        raise BadInput("--plan measures this machine, not those of a cluster: leave --backend out.")
    note(f"Loading {config.model} …")
    from wrongkey.evaluation.planning.plan import plan_sweep

    plan = plan_sweep(config, out, options.workers, report=note)
    if options.json:
        answer(plan.to_json())
    else:
        from wrongkey.plan_summary import sentences

        conclude(*sentences(plan))


def folder_of(options: argparse.Namespace, config: SweepConfig) -> Path:
    """The run folder of ``--out``, or the default one, which is then named."""
    from wrongkey.terminal import note

    if options.out is not None:
        return Path(options.out)
    out = default_folder(config)
    note(f"The run folder is {out} (choose another with --out).")
    return out


def finished_before(out: Path) -> str:
    """The sentence that says why nothing is computed."""
    return f"{out} was finished before; model and speech were not read again (--check reads and checks them)."


def default_folder(config: SweepConfig) -> Path:
    """Where a sweep goes that names no folder: its model and scheme, and the block size where it is named."""
    names = [config.model, config.scheme, *([f"m{config.block}"] if config.block else [])]
    return Path("runs") / "-".join(map(file_name, names))


def _finished(out: Path) -> Run | None:
    """The finished run; None where its files say otherwise, which the sweep then mends."""
    from wrongkey.evaluation.run_folder.folder import RunFolder
    from wrongkey.reports.runs import load_run

    RunFolder(out).tidy()
    with suppress(BadInput):
        run = load_run(out)
        return run if run.finished else None
    return None


def _started(options: argparse.Namespace, config: SweepConfig) -> AbstractContextManager[None]:
    """Processes that import while this one does; none for a cluster, or where code of the user's changes the path."""
    from wrongkey.evaluation.processes.pool import started

    if options.backend != "loky" or ":" in config.model + config.scheme:
        return nullcontext()
    return started(options.workers)


def _sweep(options: argparse.Namespace, config: SweepConfig, out: Path) -> Run:
    from wrongkey.progress import progress
    from wrongkey.terminal import note

    note(f"Loading {config.model} …")
    from wrongkey.evaluation.processes.cluster import check_backend

    check_backend(options.backend, options.scheduler)
    with _started(options, config):
        with importing():
            import wrongkey.run_summary  # noqa: F401 (what is printed in the end)
            from wrongkey.evaluation.sweep import sweep
            from wrongkey.reports.runs import load_run

        folder = sweep(
            config,
            out,
            workers=options.workers,
            timeout=options.timeout,
            backend=options.backend,
            scheduler=options.scheduler,
            command=options.command,
            progress=progress(),
            report=note,
        )
        return load_run(folder.path)
