"""``wrongkey rerun``: a run made again from its manifest, and whether the scores are the same."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.flags import add_json, add_running

if TYPE_CHECKING:
    from wrongkey.attacks.harness.again import Asked, ComparedAttacks
    from wrongkey.evaluation.rerun.compare import Compared

DESCRIPTION = """\
Make a sweep again from its manifest, and attacks from their suite.json, into a new folder, and compare the scores. On
the same machine with the same versions they must be equal bit for bit; elsewhere within a tolerance, which follows from
that of the self-checks (docs/reliability.md). Attacks meet the same keys again where the run kept its salt.

Exit code 0: equal; 1: not equal; 2: a manifest that was edited, or model or speech that have changed since; 3: attacks
whose keys were drawn anew, so that no row can be compared."""
EXIT_CODES = {True: 0, False: 1, None: 3}


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "rerun",
        help="a run made again from its manifest: are the scores the same?",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="run folder of a sweep or of attacks")
    parser.add_argument(
        "--trust", action="store_true", help="run the code that RUN names as its model, corpus, scheme or attack"
    )
    parser.add_argument("--device", help="cpu, cuda (or cuda:1) or auto (default: what RUN was given)")
    add_running(parser, "as many threads for each as RUN had", "a shard of keys or a trial")
    parser.add_argument("--out", type=Path, help="run folder, made if missing (default RUN-rerun)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the run again, print whether it is the same, and say so with the exit code."""
    from wrongkey.terminal import note

    there = options.folder
    here = options.out or there.with_name(f"{there.resolve().name}-rerun")
    if here.resolve() == there.resolve():
        raise BadInput(f"--out {here} is the run itself: name another folder for the run that is made again.")
    if options.out is None:
        note(f"The run folder is {here} (choose another with --out).")
    note(f"Reading {there} …")
    from wrongkey.attacks.harness.again import attacks_of

    asked = attacks_of(there)
    swept = (there / "manifest.json").exists() or asked is None  # the sweep says what is wrong with a folder of neither
    scores = _sweep(options, there, here) if swept else None
    attacks = _attack(options, asked, there, here) if asked else None
    return _conclude(options, here, scores, attacks)


def _sweep(options: argparse.Namespace, there: Path, here: Path) -> Compared:
    """Make a sweep again, unless model or speech have changed, and compare it."""
    from wrongkey.attacks.analyses.folder import sweep_config
    from wrongkey.attacks.analyses.trust import refuse_code
    from wrongkey.evaluation.experiment import Experiment
    from wrongkey.evaluation.models.asking import model_at_fault
    from wrongkey.evaluation.processes.failures import SomeFailed
    from wrongkey.evaluation.rerun.compare import compare_runs
    from wrongkey.evaluation.rerun.manifest import check_same, check_unedited, threads_of, with_keys_of
    from wrongkey.evaluation.run_folder.folder import RunFolder
    from wrongkey.evaluation.run_folder.schema import read_manifest
    from wrongkey.evaluation.run_folder.scores import read_scores
    from wrongkey.evaluation.sweep import sweep
    from wrongkey.flags import command_line
    from wrongkey.progress import progress
    from wrongkey.terminal import note

    manifest, folder = read_manifest(there), RunFolder(there)
    settings = manifest["config"]
    settings = {**settings, "scheme": settings.get("scheme_spec") or settings["scheme"]}
    check_unedited(folder.manifest_path, settings, manifest.get("identity") or {}, there / "scores", "scores")
    config = with_keys_of(sweep_config(settings), read_scores(there, manifest)[0], there)
    config = replace(config, device=options.device or config.device)
    refuse_code(config, folder.manifest_path, _trusted(options))
    note(f"Loading {config.model} …")
    with model_at_fault(config.model):
        experiment = Experiment(config)
        check_same(folder.manifest_path, manifest.get("identity") or {}, experiment.identity())
    _check_unfinished(here)
    with suppress(SomeFailed):  # keys that failed in the run fail again, and others show as missing
        sweep(
            config,
            here,
            workers=_workers(threads_of(manifest)) if options.workers is None else options.workers,
            timeout=options.timeout,
            command=command_line("sweep", config, here),
            prepared=experiment,
            again=folder,
            progress=progress(),
            report=note,
        )
    return compare_runs(there, here)


def _check_unfinished(here: Path) -> None:
    """Refuse a folder whose scores an earlier rerun made: nothing would be made again."""
    from wrongkey.evaluation.run_folder.schema import read_manifest

    if (here / "manifest.json").exists() and read_manifest(here).get("ended"):
        raise BadInput(f"{here} holds an earlier rerun: delete it, or name another folder with --out.")


def _attack(options: argparse.Namespace, asked: Asked, there: Path, here: Path) -> ComparedAttacks:
    """Make attacks again, unless model or speech have changed, and compare their rows."""
    from wrongkey.attacks.harness.again import check_again, compare_attacks
    from wrongkey.attacks.harness.results import AttackFolder
    from wrongkey.attacks.harness.suite import run_attacks
    from wrongkey.evaluation.rerun.manifest import threads_of
    from wrongkey.progress import progress, stages
    from wrongkey.terminal import note

    folder = AttackFolder(there)
    check_again(asked, there, _trusted(options))
    workers = _workers(threads_of(folder.suite() or {})) if options.workers is None else options.workers
    config = replace(asked.config, device=options.device or asked.config.device)
    for seconds in asked.amounts:
        run_attacks(
            replace(config, seconds=seconds),
            asked.names,
            here,
            keys=asked.keys,
            baseline=asked.baseline,
            workers=workers,
            timeout=options.timeout,
            command=options.command,
            salt=asked.salt,
            progress=progress(),
            stages=stages("trial"),
            report=note,
        )
    return compare_attacks(asked, there, here)


def _workers(threads: int | None) -> int | None:
    """Processes of that many threads each; None, which takes one per core, where a run does not say its threads."""
    from wrongkey.evaluation.hardware import available_cores

    return max(available_cores() // threads, 1) if threads else None


def _trusted(options: argparse.Namespace) -> list[str]:
    from wrongkey.attacks.analyses.trust import EVERYTHING

    return [EVERYTHING] if options.trust else []


def _conclude(options: argparse.Namespace, here: Path, scores: Compared | None, attacks: ComparedAttacks | None) -> int:
    """Print whether both are equal, and return the exit code."""
    from wrongkey.rerun_summary import of_attacks, of_scores
    from wrongkey.terminal import answer, conclude

    verdicts = [one.equal for one in (scores, attacks) if one is not None]
    if options.json:
        documents = {"scores": scores and scores.to_json(), "attacks": attacks and attacks.to_json()}
        answer({"run": options.folder, "again": here, "equal": _together(verdicts), **documents})
    else:
        conclude(*(of_scores(scores) if scores else ()), *(of_attacks(attacks) if attacks else ()))
    return EXIT_CODES[_together(verdicts)]


def _together(verdicts: Sequence[bool | None]) -> bool | None:
    """Whether all are equal: False where one is not, None where one is unknown."""
    if False in verdicts:
        return False
    return None if None in verdicts else True
