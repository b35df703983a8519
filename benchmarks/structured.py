"""Attacks from ciphertext alone, one at a time over schemes, block sizes and seconds: tables of docs/attacks.md.

    python -m benchmarks.structured measure --out rows.csv --attack block-pattern --schemes rom+signs=8 rom+order=8
        --blocks 3 5 10 --seconds 5 25 --corpus kaldi:DIR/test --only LIST [--trials 12] [--model NAME]
        [--background kaldi:DIR/train --background-only LIST]
    python -m benchmarks.structured table --out rows.csv

A trial is one key and one victim, whose ciphertext the attack has for `--seconds`; victims take turns. Speech, keys and
scores are those of the suite, without its processes, and the same command has the same keys. Without `--background`
every second speaker is a background speaker; with `--model` speech goes through the front end of that model.
`measure` adds rows that are missing and goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.rows import append, read
from wrongkey.attacks.base import Case, CompleteAttack, Evidence
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import ciphertext, needs_of, trial_of
from wrongkey.attacks.harness.hearing import heard
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.salt import BYTES, Salt
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, EXACT, RECOVERED

SALT = Salt(bytes(BYTES))  # no secret: the attacks do not look for it
CELL = ("attack", "scheme", "model", "block", "seconds")
FIELDS = (*CELL, "trial", "victim", "broken", "claimed", "snr", "stoi", "key_error", "cpu")

Row = dict[str, Any]


def main() -> None:
    """Measure what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "table"])
    parser.add_argument("--out", type=Path, required=True, help="the file of rows, CSV")
    parser.add_argument("--attack", help="its name, as `wrongkey attack` takes it")
    parser.add_argument("--schemes", nargs="+", default=["rom"])
    parser.add_argument("--blocks", nargs="+", type=int, default=[10], help="M")
    parser.add_argument("--seconds", nargs="+", type=float, default=[5.0], help="of ciphertext")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--background", help="a corpus of background speakers")
    parser.add_argument("--background-only", type=Path, help="a list of its utterances")
    parser.add_argument("--model", help="whose front end the speech goes through")
    options = parser.parse_args()
    if options.what == "table":
        print(*table(rows_of(options.out)), sep="\n")
        return
    if options.attack is None:
        parser.error("measure needs --attack.")
    torch.set_num_threads(1)
    try:
        for row in measured(options):
            print(*(f"{name} {row[name]}" for name in FIELDS), sep=", ", flush=True)
    except BadInput as error:
        parser.error(str(error))


def measured(options: argparse.Namespace) -> Iterator[Row]:
    """The rows that the file lacks, each written when it is there; raises BadInput where the attack does not apply."""
    attack, there = open_attack(options.attack), rows_of(options.out)
    done = {tuple(row[name] for name in (*CELL, "trial")) for row in there}
    for block, scheme in product(options.blocks, options.schemes):
        target = Target(config(options, scheme, block), options.out.parent)
        if reason := attack.inapplicable(target.setting):
            raise BadInput(reason)
        for seconds, number in product(sorted(options.seconds), range(options.trials)):
            cell = (attack.name, scheme, options.model or "", block, seconds, number)
            if cell not in done:
                row = dict(zip((*CELL, "trial"), cell, strict=True)) | attacked(target, attack, seconds, number)
                append(options.out, row, FIELDS)
                yield row


def config(options: argparse.Namespace, scheme: str, block: int) -> AttackConfig:
    """What the suite is asked for."""
    return AttackConfig(
        corpus=options.corpus,
        model=options.model,
        scheme=scheme,
        block=block,
        only=options.only and str(options.only),
        background=options.background,
        background_only=options.background_only and str(options.background_only),
        device="cpu",
    )


def attacked(target: Target, attack: CompleteAttack, seconds: float, number: int) -> Row:
    """One key and one victim, and what the attack makes of their ciphertext."""
    case, setting = Case(seconds=seconds), target.setting
    trial = trial_of(target, SALT, attack, case, number)
    secret = ciphertext(target, trial, seconds)
    background = target.background if "other speech" in needs_of(attack, case) else None
    begin = time.process_time()
    try:
        found = attack.run(Evidence(setting, case, trial.seed, ciphertext=secret, background=background))
    except BadInput:  # too little ciphertext is a miss
        return {"victim": trial.victim, "broken": False, "claimed": False} | dict.fromkeys(FIELDS[-4:], float("nan"))
    cpu = time.process_time() - begin
    assert found.key is not None
    measures = heard(target, trial, found.key, sum(map(len, secret)))
    error = key_error(found.key, trial.key, setting.blocks)
    return {
        "victim": trial.victim,
        "broken": measures["snr"] >= DECRYPTED or error < RECOVERED,
        "claimed": "" if found.success_claimed is None else found.success_claimed,
        "snr": round(measures["snr"], 2),
        "stoi": round(measures["stoi"], 4),
        "key_error": round(error, 5),
        "cpu": round(cpu, 2),
    }


def rows_of(path: Path) -> list[Row]:
    """The rows of the file, with numbers; a claim is None where the attack says that it cannot tell."""
    kinds: dict[str, Any] = dict.fromkeys(("attack", "scheme", "model", "victim"), str)
    kinds |= {"block": int, "trial": int, "broken": "True".__eq__, "claimed": {"True": True, "False": False}.get}
    return [{name: kinds.get(name, float)(text) for name, text in row.items()} for row in read(path)]


def table(rows: Sequence[Row]) -> Iterator[str]:
    """A line of Markdown for every cell, in the order of the file."""
    yield "| scheme | M | ciphertext | broken | claimed | claimed falsely | SNR, dB | STOI | CPU s |"
    yield "|---|---|---|---|---|---|---|---|---|"
    cells: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        cells.setdefault(tuple(row[name] for name in CELL), []).append(row)
    for (_, scheme, model, block, seconds), trials in cells.items():
        of = f"`{scheme}`, {model}" if model else f"`{scheme}`"
        broken, claimed = (sum(row[name] is True for row in trials) for name in ("broken", "claimed"))
        false = sum(row["claimed"] is True and not row["broken"] for row in trials)
        counts = f"{broken} of {len(trials)} | {claimed} | {false}"
        level, clear, cpu = (median(row[name] for row in trials) for name in ("snr", "stoi", "cpu"))
        heard = "exact" if level >= EXACT else f"{level:.0f}"
        yield f"| {of} | {block} | {seconds:g} s | {counts} | {heard} | {clear:.3f} | {cpu:.1f} |"


if __name__ == "__main__":
    main()
