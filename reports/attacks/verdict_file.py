"""`attacks/verdicts.json`: the verdict of a run folder for programs to read (schema: `Verdicts`)."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from wrongkey.evaluation.run_folder.schema import Verdicts
from wrongkey.evaluation.run_folder.successes import NEAR_CORRECT_SNR, NEAR_CORRECT_STOI, UNLOCKED
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.files import atomic_write, explained_errors
from wrongkey.reports.attacks.attacked_task import MARGIN, NEAR_CHANCE
from wrongkey.reports.attacks.cases import GRADED, NEARER, Judged
from wrongkey.reports.attacks.decisions import ALPHA, ALWAYS, ENOUGH_TRIALS, FEWEST_TRIALS, LEAST_SHARE, OVERWHELMING
from wrongkey.reports.attacks.guessing import EXCLUDED, MOST_GUESSES
from wrongkey.reports.attacks.rows import AttackRun, load_attacks
from wrongkey.reports.attacks.verdicts import AttackVerdict, verdict

LIMITS = {
    "key error": RECOVERED,
    "SNR, dB": DECRYPTED,
    "SNR below the correct key, dB": NEAR_CORRECT_SNR,
    "STOI below the correct key": NEAR_CORRECT_STOI,
    "points from plain": UNLOCKED,
    "as good as plain, share of the way to chance": MARGIN,
    "near chance, share of the way to a perfect model": NEAR_CHANCE,
    "least share of keys, lower bound": LEAST_SHARE,
    "trials": ENOUGH_TRIALS,
    "trials, overwhelming evidence": FEWEST_TRIALS,
    "p, overwhelming evidence": OVERWHELMING,
    "share of random keys that needs no attack": ALWAYS,
    "material, share of the way from random keys to plain": NEARER,
    "guesses on average that break": MOST_GUESSES,
    "share of keys near plain that is excluded": EXCLUDED,
    **{f"{one.column}, material": one.material for values in GRADED.values() for one in values},
}


def write_verdicts(folder: Path) -> AttackVerdict | None:
    """Judge the attacks of a run folder, write `attacks/verdicts.json` and return the verdict.

    None where none of the requested attacks applies, so that nothing was measured.

    Raises
    ------
    BadInput
        For broken files, and for a folder that cannot be written.
    """
    run = load_attacks(folder)
    if run is None:
        return None
    found = verdict(run)
    text = json.dumps(content(run, found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path = folder / "attacks" / "verdicts.json"
    with explained_errors(path, "free space or change its permissions"), atomic_write(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return found


def content(run: AttackRun, found: AttackVerdict) -> dict[str, Any]:
    """The verdict as the file holds it."""
    return {
        "format": Verdicts.FORMAT,
        "label": found.label,
        "headline": found.sentence,
        "alpha": ALPHA,
        "limits": LIMITS,
        "null_trials": len(run.null),
        "unfinished": not run.suite.get("ended"),
        "cells": [
            {
                "asset": cell.asset,
                "adversary": cell.adversary,
                "verdict": cell.word.value,
                "sentence": cell.sentence,
                "case": None if cell.case is None else _case(cell.case),
            }
            for cell in found.cells
        ],
        "cases": [_case(case) for case in found.cases],
    }


def _case(case: Judged) -> dict[str, Any]:
    outcome = case.outcome
    low, high = case.interval
    numbers = {
        "share": case.share,
        "share_low": low,
        "share_high": high,
        "p": case.p,
        "p_holm": case.p_holm,
        "ciphertext_seconds": _seconds(case),
        "cpu_seconds": outcome.median("seconds"),
        **{
            name: outcome.median(name)
            for name in ("key_error", "snr", "stoi", "error", "error_low", "error_high", "wer")
        },
    }
    return {
        "attack": outcome.attack,
        "given": outcome.given,
        "asset": case.asset,
        "verdict": case.word.value,
        "reason": case.reason,
        "needs": list(outcome.needs),
        "hits": case.hits,
        "trials": case.trials,
        "null_hits": case.null_hits if case.null_n else None,
        "null_trials": case.null_n if case.hits is not None else None,
        "failed": outcome.failed,
        **{name: float(value) if np.isfinite(value) else None for name, value in numbers.items()},
        "effects": [
            {
                "column": effect.column,
                "median": effect.median,
                "null_median": effect.null,
                "material": effect.material,
                "p": effect.p,
                "p_holm": effect.p_holm,
            }
            for effect in case.effects
        ],
    }


def _seconds(case: Judged) -> float:
    """Seconds of ciphertext that a victim had at the median; NaN where the attack has none."""
    had = case.outcome.median("had_seconds")
    return had if np.isfinite(had) else case.outcome.median("given_seconds")
