"""``wrongkey attack``: what an adversary does without the key, one attack or the whole suite."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.attacks.harness.config import AMOUNT, AttackConfig
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SCHEMES
from wrongkey.flags import Groups, add_config_file, add_flags, add_running, given
from wrongkey.reports.attacks.threats import FAIL_IF

if TYPE_CHECKING:
    from wrongkey.attacks.base import Attack
    from wrongkey.reports.attacks.verdicts import AttackVerdict


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "attack",
        help="the standard suite of attacks, or one of them, on encrypted speech and models",
        description="Attack encrypted speech, and the encrypted model if one is named: each trial has a secret key and "
        "a victim of its own, and every recovered key is scored the same way. The same command again finishes a "
        "stopped run; a larger --trials extends it.",
    )
    parser.add_argument("name", metavar="NAME", help="suite, or attacks with commas between them; 'list' shows them")
    groups = Groups(parser)
    what, how = groups["what is attacked"], groups[AMOUNT.title]
    add_flags(groups, AttackConfig, "what is attacked", leave_out=["scheme"])
    what.add_argument(
        "--scheme", help="one scheme, into --out itself (default: all three, each into its folder below --out)"
    )
    how.add_argument(
        "--keys", type=int, default=100, metavar="N",
        help="random keys that every attack is compared with, and incorrect keys under which the model is asked "
        "(default 100)",
    )  # fmt: skip
    how.add_argument(
        "--salt", type=Path, metavar="FILE",
        help="take the victims' keys from an earlier run's attacks/salt.json, to get its rows again",
    )  # fmt: skip
    add_running(how, "one per core", "a trial, or a shard of incorrect keys,")
    how.add_argument(
        "--fail-if", metavar="VERDICTS",
        help="exit code 1 where an asset has one of these verdicts, or a worse one; the worst first: "
        f"{', '.join(FAIL_IF)} (docs/threat-model.md)",
    )  # fmt: skip
    how.add_argument(
        "--adversary", metavar="NAMES",
        help="whose verdicts --fail-if looks at, such as eavesdropper,provider (default: all adversaries; chosen "
        "plaintext finds every key, so that broken is then the rule)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="run folder (made if missing)")
    add_config_file(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the attacks, one scheme after another, and print their verdicts; ``--fail-if`` gives exit code 1."""
    from wrongkey.attacks.harness.guessing import Guessing
    from wrongkey.attacks.harness.offered import attack_names
    from wrongkey.attacks.harness.registry import open_attack
    from wrongkey.evaluation.processes.failures import each_to_its_end
    from wrongkey.reports.attacks.threats import adversaries_named, fail_words
    from wrongkey.terminal import conclude, say

    if options.name == "list":
        say(f"{Guessing.name:20} {Guessing.threat.adversary}")
        for name in attack_names():
            say(f"{name:20} {open_attack(name).threat.adversary}")
        return 0
    fatal = fail_words(options.fail_if) if options.fail_if is not None else frozenset()
    whose = adversaries_named(options.adversary)
    if options.adversary is not None and options.fail_if is None:
        raise BadInput("--adversary says whose verdicts --fail-if looks at: give --fail-if as well.")
    for flag in ("corpus", "out"):
        if getattr(options, flag) is None:
            raise BadInput(f"An attack needs --{flag}.")
    if options.keys < 1:
        raise BadInput(f"--keys must be at least 1, not {options.keys}.")
    if options.workers is not None and options.workers < 1:
        raise BadInput(f"--workers must be at least 1, not {options.workers}.")
    names: list[str] = []
    for name in options.name.split(","):
        names += attack_names() if name.strip() == "suite" else [name.strip()]
    if Guessing.name in names and options.model is None:
        raise BadInput(f"{Guessing.name} asks a model: name one with --model.")
    names = [name for name in dict.fromkeys(names) if name != Guessing.name]  # it runs wherever there is a model
    attacks = [open_attack(name) for name in names]  # an unknown one is refused before anything runs
    schemes = {options.scheme: options.out} if options.scheme else {s: options.out / s for s in SCHEMES}
    verdicts: list[AttackVerdict | None] = []
    with each_to_its_end() as one:
        for scheme, folder in schemes.items():
            with one(), _judged(folder.expanduser(), verdicts):
                _attack(options, attacks, scheme, folder)
    shown = " ".join(str(folder) for folder in schemes.values())
    found = [verdict for verdict in verdicts if verdict]
    conclude(
        *(f"{verdict.label}: {verdict.sentence}" for verdict in found),
        f"done; look at it with: wrongkey report {shown} --out report.html",
    )
    cells = (cell for verdict in found for cell in verdict.cells if cell.adversary in whose)
    return int(any(cell.word in fatal for cell in cells))


@contextmanager
def _judged(folder: Path, verdicts: list[AttackVerdict | None]) -> Iterator[None]:
    """Write the verdict of a folder's rows at the end, whether its attacks ended or were stopped.

    No older verdict then stands beside newer rows. Where both fail, the error of the attacks is the one to raise.
    """
    from wrongkey.reports.attacks.verdict_file import write_verdicts

    try:
        yield
    except BaseException:
        with suppress(BadInput):
            write_verdicts(folder)
        raise
    verdicts.append(write_verdicts(folder))


def _attack(options: argparse.Namespace, attacks: Sequence[Attack], scheme: str, folder: Path) -> None:
    from wrongkey.attacks.harness.config import AttackConfig
    from wrongkey.attacks.harness.suite import run_attacks
    from wrongkey.progress import progress
    from wrongkey.terminal import note

    run_attacks(
        AttackConfig(**{**given(options, AttackConfig), "scheme": scheme}),
        attacks,
        folder,
        keys=options.keys,
        workers=options.workers,
        timeout=options.timeout,
        command=shlex.join(["wrongkey", *sys.argv[1:]]),
        salt=options.salt,
        progress=progress(),
        report=lambda line: note(f"{scheme}: {line}"),
    )
