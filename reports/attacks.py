"""Attacks of a run folder, read and judged: what broke the keys, at what price.

`attacks/suite.json` says what was attacked, `attacks/*.parquet` has a row per attack, amount and trial
(`attacks/results.py` writes both). A scheme counts as broken by an attack that recovers the key, decrypts the speech or
unlocks the model in at least half of its trials; `BROKEN_SHARE` and the limits below are what the report says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.attack_rows import measured_numbers, read_attack
from evaluation.run_folder import find_files
from evaluation.schema import Suite, read_json, read_manifest
from evaluation.scores import old_files, read_scores
from evaluation.tables import Damaged, table_files
from keys.errors import BadInput
from reports.metrics import METRICS, PRIMARY
from reports.runs import SCHEME_NAMES

KEY_ERROR = 0.1  # relative, below which a key is recovered
DECRYPTED = 20.0  # dB of SNR from which on speech is decrypted
GUESSING = "incorrect-keys"
LOCKED = 3.0  # points by which incorrect keys must lie above plain for a model to be locked at all
FEW_TRIALS = 10  # below which a verdict says how many there were
UNLOCKED = 1.0  # points of the task's error within which the model is as good as plain
BROKEN_SHARE = 0.5  # of the trials
# What an adversary needs, from the least to the most: a verdict names the least that breaks.
NEEDS = (
    *("ciphertext", "other speech", "answers", "encrypted model", "public model"),
    *("labelled ciphertext", "known plaintext", "chosen plaintext"),
)


@dataclass(frozen=True)
class Outcome:
    """An attack on one amount: its rows, and what they say. Medians over trials; NaN where there is no key."""

    attack: str
    family: int
    adversary: str
    needs: tuple[str, ...]
    given: str
    rows: pd.DataFrame
    plain: float

    @property
    def case(self) -> tuple[str, str, str]:
        """Attack, variant and quality: what differs otherwise is the amount."""
        first = self.rows.iloc[0]
        return self.attack, str(first.get("given_variant") or ""), str(first.get("given_quality") or "")

    @property
    def amount(self) -> tuple[float, ...]:
        """Seconds, known blocks and queries, for order; what is not given counts as nothing."""
        first = self.rows.iloc[0]
        given = (first.get(f"given_{name}") for name in ("seconds", "known_blocks", "queries"))
        return tuple(float(value) if pd.notna(value) else 0.0 for value in given)

    @property
    def given_words(self) -> str:
        """The amount, and the seconds that victims had at the median where that is clearly less."""
        had = self.median("had_seconds") if "had_seconds" in self.rows else float("nan")
        if np.isfinite(had) and had < 0.95 * self.amount[0]:
            return f"{self.given} ({had:.0f} s at the median)"
        return self.given

    @property
    def n(self) -> int:
        return len(self.rows)

    def median(self, column: str) -> float:
        values = self.rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
        return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")

    def quartiles(self, column: str) -> tuple[float, float]:
        """25 and 75 % of a column over the trials."""
        values = self.rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isfinite(values).any():
            return float("nan"), float("nan")
        low, high = np.nanquantile(values, [0.25, 0.75])
        return float(low), float(high)

    @cached_property
    def wants_key(self) -> bool:
        """Whether the attack is after a key; one that wanted it and failed has the error of an unrelated one."""
        return bool(self.rows["key_error"].notna().any())

    @cached_property
    def scored(self) -> bool:
        """Whether the harness scored something: a key, or a model that reads ciphertext."""
        return self.wants_key or bool(self.rows["error"].notna().any())

    @cached_property
    def recovered(self) -> NDArray[np.bool_]:
        """Per trial: the key is recovered, or the speech is decrypted."""
        hit = (self.rows["key_error"] < KEY_ERROR) | (self.rows["snr"] >= DECRYPTED)
        return np.asarray(hit, dtype=bool)

    @cached_property
    def unlocked(self) -> NDArray[np.bool_]:
        """Per trial: the model answers as well as plain, within `UNLOCKED` points; none where `plain` is NaN."""
        return np.asarray(self.rows["error"] <= self.plain + UNLOCKED, dtype=bool)

    @property
    def breaks(self) -> bool:
        """Whether it breaks the key in enough trials. Guesses are judged with the incorrect keys, not here."""
        if not self.wants_key or self.attack == GUESSING:
            return False
        return bool(max(self.recovered.mean(), self.unlocked.mean()) >= BROKEN_SHARE)

    @property
    def measured(self) -> dict[str, float]:
        """Medians of the attack's further numbers, by name."""
        table = pd.DataFrame([measured_numbers(text) for text in self.rows["measured"]])
        return {str(name): float(table[name].median()) for name in table} if len(table.columns) else {}


@dataclass(frozen=True, eq=False)
class AttackRun:
    """The attacks of one run folder: suite.json as a dict, and all rows."""

    folder: Path
    suite: dict[str, Any]
    rows: pd.DataFrame
    cautions: tuple[str, ...] = ()

    @property
    def setting(self) -> dict[str, Any]:
        found = self.suite.get("setting")
        return found if isinstance(found, dict) else {}

    @property
    def scheme(self) -> str:
        return str(self.setting.get("scheme"))

    @property
    def block_size(self) -> int:
        return int(self.setting.get("block_size") or 0)

    @property
    def label(self) -> str:
        """ "asv-raw3, ROM, M = 3"; without a model "speech, ROM, M = 3"."""
        blocks = self.setting.get("blocks")
        how = f"M = {self.block_size}" + ("" if blocks == "samples" else f" ({blocks})")
        return f"{self.setting.get('model') or 'speech'}, {SCHEME_NAMES.get(self.scheme, self.scheme)}, {how}"

    @property
    def recordings(self) -> str:
        return str(self.setting.get("recordings") or "unknown")

    @property
    def error_name(self) -> str:
        if self.metric == "accuracy":
            return "100 - accuracy"
        return METRICS[self.metric].label if self.metric in METRICS else "error"

    @cached_property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest of the sweep beside the attacks; None where there is none."""
        return read_manifest(self.folder) if (self.folder / "manifest.json").exists() else None

    @cached_property
    def metric(self) -> str | None:
        """The metric that speaks for the task, as the sweep beside the attacks says; None without a model."""
        named = str(self.manifest["config"].get("metric")) if self.manifest else ""
        return named if named in METRICS else PRIMARY.get(str(self.setting.get("task")))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The task's errors in percent of the sweep beside the attacks: columns condition, value; maybe empty."""
        metric = self.metric
        found, _ = read_scores(self.folder, self.manifest)
        found = found[found["metric"] == metric][["condition", "value"]]
        return found.assign(value=100 - found["value"]) if metric == "accuracy" else found

    def error_under(self, condition: str) -> float:
        """Median error of a condition, `plain` or `incorrect`; NaN where there was no model."""
        values = self.scores[self.scores["condition"] == condition]["value"]
        return float(values.median()) if len(values) else float("nan")

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """Every attack and amount, in the order in which they ran."""
        plain, about = self.error_under("plain"), self.suite.get("attacks", {})
        if not self.error_under("incorrect") > plain + LOCKED:
            plain = float("nan")  # nothing to unlock: incorrect keys do as well
        found = []
        for (attack, given), rows in self.rows.groupby(["attack", "given"], sort=False):
            said = about.get(attack, {})
            family = int(rows["family"].iloc[0])
            needs = tuple(said.get("needs", ()))
            found.append(Outcome(str(attack), family, said.get("adversary", ""), needs, str(given), rows, plain))
        return sorted(found, key=lambda outcome: (outcome.family, outcome.amount))

    @property
    def obstacles(self) -> dict[str, str]:
        """Attacks that do not apply, with the reason."""
        about = self.suite.get("attacks", {})
        return {name: said["obstacle"] for name, said in about.items() if said.get("obstacle")}

    @property
    def best(self) -> list[Outcome]:
        """One outcome per attack and case (variant, quality): the first amount that breaks, or that got furthest."""
        cases: dict[tuple[str, str, str], list[Outcome]] = {}
        for outcome in self.outcomes:
            if outcome.scored:
                cases.setdefault(outcome.case, []).append(outcome)
        return [next((o for o in amounts if o.breaks), max(amounts, key=_success)) for amounts in cases.values()]

    @property
    def measurements(self) -> list[Outcome]:
        """Attacks that want no key and measured something."""
        return [outcome for outcome in self.outcomes if not outcome.wants_key and outcome.measured]


@dataclass(frozen=True)
class AttackVerdict:
    """One run's sentence: `broken` by the attack that needs least, or not by this suite."""

    label: str
    broken: bool
    sentence: str


def load_attacks(folder: Path) -> AttackRun | None:
    """The attacks of a run folder; None where there are none. Raises BadInput for broken files."""
    path = folder / "attacks" / "suite.json"
    if not path.is_file():
        return None
    suite = read_json(path, Suite)
    found = []
    for file in table_files(path.parent):
        try:
            found.append(read_attack(file, suite))
        except Damaged as error:
            raise BadInput(f"{file} is broken ({error}): the same wrongkey attack command makes it again.") from None
    if not found:
        return None
    rows = pd.concat([one.table for one in found], ignore_index=True)
    return AttackRun(folder, suite, rows, tuple(old_files(found, "attacks")))


def find_attacks(folders: Iterable[Path]) -> list[AttackRun]:
    """The attacks of these folders and of those below them, each once, sorted by name."""
    files = (file for folder in folders for file in find_files(folder, "suite.json"))
    places = {file.parent.parent for file in files if file.parent.name == "attacks"}
    found = (load_attacks(place) for place in sorted(places))
    return [run for run in found if run is not None]


def verdict(run: AttackRun) -> AttackVerdict:
    """Broken by which attack and at what price, or not broken by this suite; for the owner of the scheme to read."""
    breaking = [outcome for outcome in run.best if outcome.breaks]
    if not breaking:
        tried = ", ".join(outcome.attack for outcome in run.best)
        return AttackVerdict(
            run.label, False, f"not broken by this suite ({tried}). That is no proof of safety.{unfinished(run)}"
        )
    least = min(breaking, key=lambda outcome: (price(outcome.needs), outcome.case[1] != "", outcome.median("seconds")))
    hits = max(int(least.recovered.sum()), int(least.unlocked.sum()))
    others = [outcome.attack for outcome in breaking if outcome.attack != least.attack]
    sentence = f"broken by {least.attack} ({least.given}): {hits} of {least.n} keys, "
    if np.isfinite(least.median("snr")):
        sentence += f"median SNR {least.median('snr'):.0f} dB, "
    if np.isfinite(least.median("error")):
        sentence += f"{run.error_name} {least.median('error'):.1f} % (plain {run.error_under('plain'):.1f} %), "
    sentence += f"{least.median('seconds'):.2g} s of CPU a key."
    others = list(dict.fromkeys(others))
    if others:
        sentence += f" Also by {', '.join(others)}."
    if least.n < FEW_TRIALS:
        sentence += f" Few trials: {least.n}."
    return AttackVerdict(run.label, True, sentence + unfinished(run))


def unfinished(run: AttackRun) -> str:
    """A warning for a run that was stopped; empty for a whole one."""
    return "" if run.suite.get("ended") else " These attacks are unfinished."


def price(needs: Sequence[str]) -> tuple[int, ...]:
    """What an attack needs as a sort key: the most demanding need first."""
    return tuple(sorted((NEEDS.index(need) if need in NEEDS else len(NEEDS) for need in needs), reverse=True))


def attack_table(run: AttackRun) -> pd.DataFrame:
    """One row per attack that wants a key (`AttackRun.best`): what it had, what it got, what it cost."""
    with_model = np.isfinite(run.error_under("plain"))
    rows = []
    for outcome in run.best:
        hits = int(outcome.recovered.sum())
        row = {
            "attack": outcome.attack,
            "needs": ", ".join(outcome.needs),
            "given": outcome.given_words,
            "keys recovered": f"{hits} of {outcome.n} [{_wilson(hits, outcome.n)}]" if outcome.wants_key else "–",
            "key error": _middle(outcome, "key_error", ".2g"),
            "SNR, dB": _middle(outcome, "snr", ".0f"),
            "STOI": _middle(outcome, "stoi", ".2f"),
        }
        if with_model:
            row[f"{run.error_name}, %"] = _middle(outcome, "error", ".1f")
        row["queries"] = f"{int(outcome.median('queries')):,}"
        row["CPU s"] = "–" if outcome.attack == GUESSING else f"{outcome.median('seconds'):.2g}"
        rows.append(row)
    return pd.DataFrame(rows)


def measurement_table(run: AttackRun) -> pd.DataFrame:
    """One row per number of the attacks that want no key."""
    return pd.DataFrame(
        [
            {"attack": one.attack, "given": one.given_words, "measured": name, "median": f"{value:.3g}", "n": one.n}
            for one in run.measurements
            for name, value in one.measured.items()
        ]
    )


def _success(outcome: Outcome) -> tuple[float, ...]:
    level, error = outcome.median("snr"), outcome.median("error")
    shares = float(outcome.recovered.mean()), float(outcome.unlocked.mean())
    return *shares, level if np.isfinite(level) else -np.inf, -error if np.isfinite(error) else -np.inf


def _middle(outcome: Outcome, column: str, form: str) -> str:
    """Median and quartiles over the trials, or a dash."""
    middle = outcome.median(column)
    if not np.isfinite(middle):
        return "–"
    low, high = outcome.quartiles(column)
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def _wilson(hits: int, n: int, z: float = 1.96) -> str:
    """95 % interval of a share in percent (Wilson 1927)."""
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return f"{100 * max(centre - half, 0):.0f}, {100 * min(centre + half, 1):.0f} %"
