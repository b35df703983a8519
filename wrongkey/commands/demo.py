"""``wrongkey demo``: sweeps of the bundled models, attacks on the bundled voices, and a report, in minutes."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from wrongkey.commands.sweep import A_SHARD
from wrongkey.flags import add_running, command_line
from wrongkey.imports import importing
from wrongkey.terminal import conclude, note

SWEEPS = (
    ("asv-raw3", "rom"),
    ("asv-raw5", "rom"),
    ("asv-raw10", "rom"),
    ("asv-raw10", "shuffling"),
    ("asv-raw10", "flipping"),
    ("asr-words", "rom"),
    ("asr-words", "shuffling"),
)
# task -> corpus, flags, and keys of each scheme as a share of --keys, so that a demo takes minutes
ASKED: dict[str, tuple[str, dict[str, Any], dict[str, float]]] = {
    "asv": ("bundled", {"trials": "corpus"}, {"rom": 1.0, "shuffling": 0.3, "flipping": 0.3}),
    "asr": ("bundled-words", {}, {"rom": 0.2, "shuffling": 0.2}),
}

# scheme -> the attack that needs nothing but ciphertext, and of ROM those of adversaries who have more
ATTACKS = {
    "rom": ("polyphase", "public-model", "known-plaintext", "chosen-plaintext"),
    "shuffling": ("sample-order",),
    "flipping": ("sign-chain",),
}
ATTACKED_MODEL, ATTACKED_SECONDS, ATTACKED_KEYS, RANDOM_KEYS = "asv-raw10", 5.0, 5, 40
ANALYSED = "asv-raw3-rom"


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo", help="sweep the bundled models over the bundled voices, attack one of them, and write the report"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the runs (default runs/demo)")
    parser.add_argument(
        "--keys",
        type=int,
        default=1000,
        help="incorrect ROM keys per speaker-verification sweep, fewer in the others (default 1000)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default)")
    add_running(parser, "one per GPU; one per core where the keys are worth it", A_SHARD)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the sweeps, the attacks and an analysis, and write the report."""
    note(f"The demo's folder is {options.out}; loading …")
    from wrongkey.evaluation.processes.pool import started

    with started(options.workers):
        folders = _sweeps(options)
    _attacks(options)
    _analysis(options)
    conclude(*_report(options.out, folders))
    return 0


def _sweeps(options: argparse.Namespace) -> list[Path]:
    """Sweep each model under each scheme; the run folders."""
    with importing():
        from wrongkey.evaluation.config import SweepConfig
        from wrongkey.evaluation.models.offered import BUNDLED
        from wrongkey.evaluation.sweep import sweep
        from wrongkey.progress import progress

    folders = []
    for number, (model, scheme) in enumerate(SWEEPS, 1):
        note(f"Sweep {number} of {len(SWEEPS)}: {model}, {scheme}")
        task = BUNDLED[model][0]
        corpus, flags, share = ASKED[task]
        config = SweepConfig(
            model=model,
            corpus=corpus,
            task=task,
            scheme=scheme,
            keys=math.ceil(options.keys * share[scheme]),
            device=options.device,
            **flags,
        )
        folders.append(options.out / f"{model}-{scheme}")
        sweep(
            config,
            folders[-1],
            workers=options.workers,
            timeout=options.timeout,
            command=command_line("sweep", config, folders[-1]),
            progress=progress(),
            report=note,
        )
    return folders


def _attacks(options: argparse.Namespace) -> None:
    """Attack one model and its speech under each scheme."""
    from wrongkey.attacks.harness.config import AttackConfig
    from wrongkey.attacks.harness.suite import run_attacks
    from wrongkey.progress import stages

    for scheme, names in ATTACKS.items():
        attacked = AttackConfig(
            "bundled",
            model=ATTACKED_MODEL,
            scheme=scheme,
            trials=ATTACKED_KEYS,
            seconds=(ATTACKED_SECONDS,),
            device=options.device,
        )
        folder = options.out / f"{ATTACKED_MODEL}-{scheme}-attacked"
        run_attacks(
            attacked,
            names,
            folder,
            keys=RANDOM_KEYS,
            workers=1,  # starting more takes longer than they save
            command=command_line(f"attack {','.join(names)} --keys {RANDOM_KEYS}", attacked, folder),
            stages=stages("trial"),
            report=note,
        )


def _analysis(options: argparse.Namespace) -> None:
    """Look for what makes a key weak, where there are keys enough to tell."""
    from wrongkey.attacks.analyses.folder import analyse
    from wrongkey.attacks.analyses.weak_keys import FEWEST, WeakKeys
    from wrongkey.progress import progress

    if options.keys >= FEWEST:
        note(f"What makes a key of {ANALYSED} weak:")
        folder = options.out / ANALYSED
        analyse(WeakKeys(), folder, command=f"wrongkey analyse keys {folder}", progress=progress("key"))


def _report(out: Path, folders: list[Path]) -> list[str]:
    """Write the report, and return what the demo ends with."""
    from wrongkey.reports import find_analyses, find_attacks, load_run, write_report
    from wrongkey.reports.attacks.verdict_file import write_verdicts
    from wrongkey.run_summary import sentences

    note("Writing the report …")
    attacks = find_attacks([out])
    judged = [found for run in attacks if (found := write_verdicts(run.folder))]
    page = write_report(folders, out / "report.html", attacks=attacks, analyses=find_analyses([out]))
    lines = [line for folder in folders for line in sentences(load_run(folder))[:1]]
    lines += [f"{found.label}: {found.sentence}" for found in judged]
    return [*lines, f"The report: {page.resolve()}"]
