"""``wrongkey attack``: what an adversary does without the key, one attack or the whole suite."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.attacks.harness.config import AMOUNT, AttackConfig
from wrongkey.errors import BadInput
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
    scheme_name,
)
from wrongkey.keys.labels import PAPER
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
    parser.add_argument(
        "name", metavar="NAME", action=_Named, help="suite, or attacks with commas between them; 'list' shows them"
    )
    groups = Groups(parser)
    what, how = groups["what is attacked"], groups[AMOUNT.title]
    add_flags(groups, AttackConfig, "what is attacked", leave_out=["scheme"])
    what.add_argument(
        "--scheme",
        type=scheme_name,
        help="one scheme, into --out itself (default: the paper's three, each into its folder below --out)",
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
    add_backend(how)
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
    add_check(how)
    parser.add_argument(
        "--out", type=Path, help="run folder, made if missing (default runs/attacks-… by model or corpus, and M)"
    )
    add_json(parser)
    add_config_file(parser)
    parser.set_defaults(run=run)


class _Named(argparse.Action):
    """The attacks, whose names are checked before any flag; ``list`` asks for no flag that an attack requires."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, values)
        if values == "list":
            for action in parser._actions:
                action.required = False
        else:
            _refuse_unknown(values.split(","))


def _refuse_unknown(names: Sequence[str]) -> None:
    """Raise BadInput for a name that no attack has; a user's own, with a colon, is opened later."""
    from wrongkey.attacks.harness.offered import REGISTRY, attack_names

    known = {"suite", *attack_names()}
    for name in (name.strip() for name in names):
        if name not in known and ":" not in name:
            from wrongkey.attacks.harness.guessing import Guessing  # imports torch

            if name != Guessing.name:
                REGISTRY.open(name)


def run(options: argparse.Namespace) -> int:
    """Run the attacks, one scheme after another, and print their verdicts; ``--fail-if`` gives exit code 1."""
    from wrongkey.reports.attacks.threats import adversaries_named, fail_words
    from wrongkey.terminal import note

    if options.name == "list":
        from wrongkey.commands.attack_list import print_list

        print_list(options.json)
        return 0
    fatal = fail_words(options.fail_if) if options.fail_if is not None else frozenset()
    whose = adversaries_named(options.adversary)
    if options.adversary is not None and options.fail_if is None:
        raise BadInput("--adversary says whose verdicts --fail-if looks at: give --fail-if as well.")
    if options.keys < 1:
        raise BadInput(f"--keys must be at least 1, not {options.keys}.")
    if options.workers is not None and options.workers < 1:
        raise BadInput(f"--workers must be at least 1, not {options.workers}.")
    from wrongkey.evaluation.processes.cluster import check_backend

    check_backend(options.backend, options.scheduler)
    settings = given(options, AttackConfig)
    configs = [AttackConfig(**{**settings, "scheme": scheme}) for scheme in _schemes(options)]
    out = options.out or default_folder(configs[0], options.scheme)
    if options.out is None:
        note(f"The run folder is {out} (choose another with --out).")
    folders = [out if options.scheme else out / config.scheme for config in configs]
    verdicts = _run_all(options, configs, folders)
    _conclude(options, folders, verdicts)
    cells = (cell for verdict in verdicts for cell in verdict.cells if cell.adversary in whose)
    return int(any(cell.word in fatal for cell in cells))


def default_folder(config: AttackConfig, scheme: str | None) -> Path:
    """Where attacks go that name no folder: what is attacked, the scheme and the block size where they are named."""
    parts = ["attacks", config.model or config.corpus, scheme, f"m{config.block}" if config.block else None]
    return Path("runs") / "-".join(file_name(part) for part in parts if part)


def _schemes(options: argparse.Namespace) -> Sequence[str]:
    return [options.scheme] if options.scheme else PAPER


def _run_all(
    options: argparse.Namespace, configs: Sequence[AttackConfig], folders: Sequence[Path]
) -> list[AttackVerdict]:
    """The verdicts of all schemes: finished runs answer by themselves, the others are run."""
    from wrongkey.evaluation.run_folder.folder import RunFolder
    from wrongkey.reports.attacks.verdict_file import write_verdicts
    from wrongkey.terminal import note

    found: dict[Path, AttackVerdict | None] = {}
    missing: list[tuple[AttackConfig, Path]] = []
    for config, folder in zip(configs, folders, strict=True):
        if _finished(options, config, folder):
            RunFolder(folder).tidy()
            note(f"{folder} was finished before; speech and model were not read again (--check reads and checks them).")
            found[folder] = write_verdicts(folder)
        else:
            missing.append((config, folder))
    if missing:
        note("Loading the attacks …")
        from wrongkey.evaluation.processes.failures import each_to_its_end

        attacks = _named(options)  # an unknown one is refused before anything runs
        with each_to_its_end() as one:
            for config, folder in missing:
                with one(), _judged(folder, found):
                    _attack(options, attacks, config, folder)
    return [verdict for folder in folders if (verdict := found[folder])]


def _named(options: argparse.Namespace) -> list[Attack]:
    """The attacks that are asked for, each once; guessing runs wherever there is a model."""
    from wrongkey.attacks.harness.guessing import Guessing
    from wrongkey.attacks.harness.offered import attack_names
    from wrongkey.attacks.harness.registry import open_attack

    names: list[str] = []
    for name in options.name.split(","):
        names += attack_names() if name.strip() == "suite" else [name.strip()]
    if Guessing.name in names and options.model is None:
        raise BadInput(f"{Guessing.name} asks a model: name one with --model.")
    return [open_attack(name) for name in dict.fromkeys(names) if name != Guessing.name]


def _finished(options: argparse.Namespace, config: AttackConfig, folder: Path) -> bool:
    """Whether the last command that attacked into a folder was this very one, with the same settings, and ended."""
    from wrongkey.evaluation.run_folder.schema import Suite, read_json
    from wrongkey.reports.attacks.rows import load_attacks

    path = folder / "attacks" / "suite.json"
    if options.check or not path.is_file():
        return False
    with suppress(BadInput):  # the attacks mend what is broken, or say what is wrong
        suite = read_json(path, Suite)
        last = suite.get("sessions") or [{}]
        asked = json.loads(json.dumps(asdict(config)))
        if suite.get("ended") and last[-1].get("command") == options.command and suite.get("config") == asked:
            run = load_attacks(folder)
            return run is not None and len(run.null) >= options.keys
    return False


@contextmanager
def _judged(folder: Path, found: dict[Path, AttackVerdict | None]) -> Iterator[None]:
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
    found[folder] = write_verdicts(folder)


def _attack(options: argparse.Namespace, attacks: Sequence[Attack], config: AttackConfig, folder: Path) -> None:
    from wrongkey.attacks.harness.suite import run_attacks
    from wrongkey.progress import progress, stages
    from wrongkey.terminal import note

    show = stages("trial")
    run_attacks(
        config,
        attacks,
        folder,
        keys=options.keys,
        workers=options.workers,
        backend=options.backend,
        scheduler=options.scheduler,
        timeout=options.timeout,
        command=options.command,
        salt=options.salt,
        progress=progress(),
        stages=lambda stage, done, trials: show(f"{config.scheme}: {stage}", done, trials),
        report=lambda line: note(f"{config.scheme}: {line}"),
    )


def _conclude(options: argparse.Namespace, folders: Sequence[Path], verdicts: Sequence[AttackVerdict]) -> None:
    from wrongkey.terminal import answer, conclude

    if options.json:
        from wrongkey.evaluation.run_folder.schema import Verdicts, read_json

        files = (folder / "attacks" / "verdicts.json" for folder in folders)
        answer([{"folder": file.parent.parent, **read_json(file, Verdicts)} for file in files if file.is_file()])
        return
    conclude(
        *(f"{verdict.label}: {verdict.sentence}" for verdict in verdicts),
        f"The attacks are done; look at them with: {report_hint(folders)}",
    )
