"""``wrongkey strength``: how probably a random key unlocks a model, in bits."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wrongkey.commands.sweep import finished_before, folder_of
from wrongkey.evaluation.config import RUNNING, SweepConfig
from wrongkey.evaluation.strength.config import StrengthConfig
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

A_SHARD = "a shard of keys, a 32nd of a level,"


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "strength",
        help="how strong a key is, in bits",
        description="Measure by multilevel splitting how probably a random key unlocks a model, and so the effective "
        "strength of a key in bits (docs/strength.md). The same command again continues a stopped run; more "
        "--repetitions are added to those that are there.",
    )
    groups = Groups(parser)
    add_flags(groups, SweepConfig, "what is asked", leave_out=("keys", "media"))
    add_flags(groups, StrengthConfig, "how it is measured")
    how = groups[RUNNING.title]
    add_running(how, "one per core, or one per GPU", A_SHARD)
    add_backend(how)
    add_check(how)
    parser.add_argument(
        "--out", type=Path, help="run folder, made if missing (default that of a sweep: runs/MODEL-SCHEME)"
    )
    add_json(parser)
    add_config_file(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure or continue, and print a sentence for each goal."""
    from wrongkey.evaluation.run_folder.folder import RunFolder
    from wrongkey.evaluation.strength.finished import measured_strength
    from wrongkey.strength_summary import sentences
    from wrongkey.terminal import answer, conclude, note

    settings = {name: value for name, value in given(options, SweepConfig).items() if value is not None}
    config = SweepConfig.of({**settings, "keys": 1})
    how = StrengthConfig(**given(options, StrengthConfig))
    out = folder_of(options, config)
    content = None if options.check else measured_strength(config, how, out)
    if content is not None:
        RunFolder(out).tidy()
        note(finished_before(out))
    else:
        content = _measure(options, config, how, out)
    if options.json:
        answer({"folder": str(out), **{name: value for name, value in content.items() if name != "history"}})
    else:
        conclude(*sentences(content), f"{out} is done; look at it with: {report_hint([out])}")
    return 0


def _measure(options: argparse.Namespace, config: SweepConfig, how: StrengthConfig, out: Path) -> dict[str, Any]:
    from wrongkey.terminal import note

    note(f"Loading {config.model} …")
    with importing():
        from wrongkey.evaluation.strength.run import strength

    return strength(
        config,
        how,
        out,
        workers=options.workers,
        backend=options.backend,
        scheduler=options.scheduler,
        timeout=options.timeout,
        command=options.command,
        report=note,
    )
