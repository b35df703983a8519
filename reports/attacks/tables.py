"""Tables of attacks: what each had, what it achieved and at what cost; and what was measured beside keys."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.successes import numbers
from wrongkey.reports.attacks.cases import Judged
from wrongkey.reports.attacks.decisions import share_interval
from wrongkey.reports.attacks.rows import GUESSING, AttackRun, Outcome
from wrongkey.reports.attacks.threats import ASSETS
from wrongkey.reports.attacks.verdicts import AttackVerdict, best_cases
from wrongkey.reports.rounding import decibels, rounded

# Columns of medians: of the rows, header, format. Those without a value in the whole run are left out.
MEASURED = (
    ("key_error", "key error", ".2g"),
    ("snr", "SNR, dB", ".0f"),
    ("below_correct", "below the correct key, dB", ".0f"),
    ("snr_unseen", "SNR of unseen speech, dB", ".0f"),
    ("stoi", "STOI", ".2f"),
    ("wer", "WER, %", ".0f"),
)
RATIOS = ("snr", "snr_unseen")
CLEAN = 100.0  # dB of SNR from which the correct key gives the speech itself, so that nothing is compared with it


def verdict_table(found: AttackVerdict) -> pd.DataFrame:
    """Assets by adversaries: the words."""
    return pd.DataFrame(
        [
            {"Asset": name, **{one.name: found.cell(asset, one.name).word for one in ADVERSARIES}}
            for asset, name in ASSETS.items()
        ]
    )


def attack_table(run: AttackRun, cases: Sequence[Judged]) -> pd.DataFrame:
    """One row per attack and variant, in its strongest case: what it had, what it achieved, what it cost."""
    best = [(judged[0].outcome, {case.asset: case for case in judged}) for judged in best_cases(cases)]
    best = [(outcome, {}) for outcome in run.outcomes if outcome.attack == GUESSING] + best
    columns = [one for one in MEASURED if any(np.isfinite(_values(outcome, one[0])).any() for outcome, _ in best)]
    rows = []
    for outcome, judged in best:
        row = {"attack": outcome.attack, "needs": ", ".join(outcome.needs), "given": outcome.given_words}
        row["verdict"] = _words(judged)
        row["key or speech"] = _share(outcome) if outcome.wants_key and outcome.attack != GUESSING else "–"
        row |= {header: _middle(_values(outcome, name), form, name in RATIOS) for name, header, form in columns}
        if run.task and np.isfinite(run.task.plain):
            row[f"{run.error_name}, %"] = _middle(_values(outcome, "error"), ".1f")
        queries = outcome.median("queries")
        row["queries"] = f"{int(queries):,}" if np.isfinite(queries) else "–"
        row["CPU s"] = "–" if outcome.attack == GUESSING or not outcome.n else f"{outcome.median('seconds'):.2g}"
        rows.append(row)
    return pd.DataFrame(rows)


def _words(judged: Mapping[str, Judged]) -> str:
    """One word where all assets have the same, else a word for each: "key undecided; speech broken"."""
    words = {str(case.word) for case in judged.values()}
    if len(words) < 2:
        return words.pop() if words else "–"
    return "; ".join(f"{asset} {case.word}" for asset, case in judged.items())


def measurement_table(run: AttackRun) -> pd.DataFrame:
    """One row per number of the attacks that are not after a key."""
    return pd.DataFrame(
        [
            {
                "attack": one.attack,
                "given": one.given_words,
                "measured": name,
                "median": rounded(value, ".3g"),
                "n": one.n,
            }
            for one in run.measurements
            for name, value in one.measured.items()
        ]
    )


def _values(outcome: Outcome, name: str) -> np.ndarray:
    """A column over the trials that ended; `below_correct`: by how much the SNR lies below the correct key's."""
    if name != "below_correct":
        return numbers(outcome.ended, name)
    correct = numbers(outcome.ended, "snr_correct")
    return np.where(correct < CLEAN, correct - numbers(outcome.ended, "snr"), np.nan)


def _share(outcome: Outcome) -> str:
    """Such as "14 of 30 [30, 64 %], 2 of 32 failed"."""
    failed = f", {outcome.failed} of {len(outcome.rows)} failed" if outcome.failed else ""
    hits = int(outcome.recovered.sum())
    low, high = share_interval(hits, outcome.n)
    return f"{hits} of {outcome.n} [{100 * low:.0f}, {100 * high:.0f} %]{failed}"


def _middle(values: np.ndarray, form: str, ratio: bool = False) -> str:
    """Median and quartiles over the trials, or a dash. ratio: of signal to noise."""
    if not np.isfinite(values).any():
        return "–"
    write = decibels if ratio else rounded
    low, middle, high = (write(value, form) for value in np.nanquantile(values, [0.25, 0.5, 0.75]))
    return middle if low == middle == high == "exact" else f"{middle} [{low}, {high}]"
