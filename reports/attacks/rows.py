"""Attacks read from a run folder: what was asked, and what every attack achieved.

`attacks/suite.json` says what was attacked, `attacks/*.parquet` has a row per attack, case and trial
(`attacks/harness/results.py` writes both). What the rows mean for the scheme: `wrongkey.reports.attacks.verdicts`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.attack_rows import REPEATS, measured_numbers, read_attack
from wrongkey.evaluation.run_folder.folder import find_files
from wrongkey.evaluation.run_folder.schema import Suite, read_json, read_manifest
from wrongkey.evaluation.run_folder.scores import old_files, read_scores
from wrongkey.evaluation.run_folder.successes import decrypted, ended, numbers, recovered
from wrongkey.evaluation.run_folder.tables import Damaged, table_files
from wrongkey.evaluation.run_folder.vocabulary import PRIMARY_METRIC, error_percent
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import scheme_label
from wrongkey.printable import brief, facts_html, listed, printable
from wrongkey.reports.attacks.attacked_task import AttackedTask, error_name, task_of
from wrongkey.reports.metrics import METRICS

GUESSING = "incorrect-keys"
NULL = "random-keys"  # draws one key at random per trial: what every other attack is compared with
# Rows name a case with the plural whatever the number, and go on doing so: a run is continued by these names.
SINGULAR = {"1 known blocks": "1 known block", "1 kernels": "1 kernel", "1 queries": "1 query"}
_PLURAL_OF_ONE = re.compile(rf"(?<![\d.,])({'|'.join(SINGULAR)})\b")


@dataclass(frozen=True)
class Outcome:
    """An attack in one case: its rows, and what they show. Medians over trials; NaN where there is no key.

    given: the case in words, such as "5 s of ciphertext".
    wants_key: whether the attack is after a key; where it found none, it has the error of an unrelated one.
    asset: what it is after, "key" (and with it the speech and the use of the model), "use" or "identity".
    claims: what a claim of success says: "key", or "use" where it is only that the model works with the key.
    """

    attack: str
    family: int
    adversary: str
    needs: tuple[str, ...]
    given: str
    rows: pd.DataFrame
    wants_key: bool
    asset: str
    claims: str = "key"

    @property
    def kind(self) -> tuple[str, str, str]:
        """Attack, variant and quality; cases of one kind differ in quantities alone."""
        first = self.rows.iloc[0]
        return self.attack, str(first.get("given_variant") or ""), str(first.get("given_quality") or "")

    @property
    def quantities(self) -> tuple[float, ...]:
        """Seconds, known blocks and queries, to sort by; what is not given counts as 0."""
        first = self.rows.iloc[0]
        given = (first.get(f"given_{name}") for name in ("seconds", "known_blocks", "queries"))
        return tuple(float(value) if pd.notna(value) else 0.0 for value in given)

    @property
    def given_words(self) -> str:
        """The case, and the seconds that victims had at the median where that is clearly less."""
        given = _PLURAL_OF_ONE.sub(lambda found: SINGULAR[found[0]], self.given)
        had = self.median("had_seconds") if "had_seconds" in self.rows else float("nan")
        if np.isfinite(had) and had < 0.95 * self.quantities[0]:
            return f"{given} ({had:.0f} s at the median)"
        return given

    def median(self, column: str) -> float:
        """Over the trials that ended; NaN where the column is empty, or not there."""
        values = numbers(self.ended, column)
        return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")

    def quartiles(self, column: str) -> tuple[float, float]:
        """25 and 75 % of a column over the trials."""
        values = numbers(self.ended, column)
        if not np.isfinite(values).any():
            return float("nan"), float("nan")
        low, high = np.nanquantile(values, [0.25, 0.75])
        return float(low), float(high)

    @property
    def n(self) -> int:
        """Trials in which the attack ended: one that failed with an exception does not count."""
        return len(self.ended)

    @property
    def failed(self) -> int:
        """Trials that failed with an exception."""
        return len(self.rows) - self.n

    @cached_property
    def ended(self) -> pd.DataFrame:
        """The rows of the trials in which the attack ended."""
        return ended(self.rows)

    @cached_property
    def scored(self) -> bool:
        """Whether the harness scored something: a key, or a model that reads ciphertext."""
        return self.wants_key or bool(self.rows["error"].notna().any())

    @cached_property
    def recovered(self) -> NDArray[np.bool_]:
        """Per trial that ended: whether the key is recovered, or the speech is decrypted."""
        return recovered(self.ended) | decrypted(self.ended)

    @property
    def share(self) -> float:
        """Share of the trials that are `recovered`; NaN where none ended."""
        return float(self.recovered.mean()) if self.n else float("nan")

    @property
    def measured(self) -> dict[str, float]:
        """Medians of the attack's further numbers, by name."""
        table = pd.DataFrame([measured_numbers(text) for text in self.ended["measured"]])
        return {str(name): float(table[name].median()) for name in table} if len(table.columns) else {}


@dataclass(frozen=True, eq=False, repr=False)
class AttackRun:
    """The attacks of one run folder: suite.json as a dict, and all rows."""

    folder: Path
    suite: dict[str, Any]
    rows: pd.DataFrame
    cautions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"AttackRun({brief(self.folder.name)!r}: {brief(self.label, 80)}, {len(self.rows):,} trials)"

    def _repr_html_(self) -> str:
        tried = [str(name) for name in dict.fromkeys(self.rows["attack"]) if name not in self.null_names]
        return facts_html(
            self.folder.name,
            {
                "attacked": self.label,
                "corpus": f"{self.setting.get('corpus')} ({self.recordings} recordings)",
                "attacks": ", ".join(tried),
                "do not apply": ", ".join(self.obstacles),
                "trials": f"{len(self.rows):,} ({'complete' if self.suite.get('ended') else 'unfinished'})",
                "cautions": " ".join(self.cautions),
            },
        )

    @property
    def setting(self) -> dict[str, Any]:
        """What was attacked: scheme, blocks, corpus, model."""
        found = self.suite.get("setting")
        return found if isinstance(found, dict) else {}

    @property
    def scheme(self) -> str:
        """The key scheme, such as "rom"."""
        return str(self.setting.get("scheme"))

    @property
    def block_size(self) -> int:
        """The block size M."""
        return int(self.setting.get("block_size") or 0)

    @property
    def label(self) -> str:
        """Such as "asv-raw3, ROM, M = 3"; without a model "speech, ROM, M = 3"."""
        blocks = self.setting.get("blocks")
        how = f"M = {self.block_size}" + ("" if blocks == Blocks.SAMPLES else f" ({blocks})")
        return f"{self.setting.get('model') or 'speech'}, {scheme_label(self.scheme)}, {how}"

    @property
    def recordings(self) -> str:
        """What the corpus is made of: "real", "synthetic" or "unknown"."""
        return str(self.setting.get("recordings") or "unknown")

    @property
    def error_name(self) -> str:
        """The task's error as in text, such as "EER" or "100 - accuracy"."""
        return error_name(self.metric)

    @cached_property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest of the sweep beside the attacks; None where there is none."""
        return read_manifest(self.folder) if (self.folder / "manifest.json").exists() else None

    @cached_property
    def metric(self) -> str | None:
        """The task's primary metric, as the sweep beside the attacks says; None without a model."""
        named = str(self.manifest["config"].get("metric")) if self.manifest else ""
        return named if named in METRICS else PRIMARY_METRIC.get(str(self.setting.get("task")))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The task's errors in percent, from the sweep beside the attacks: columns condition, value, n; maybe empty."""
        found, _ = read_scores(self.folder, self.manifest)
        found = found[found["metric"] == self.metric][["condition", "value", "n"]]
        return found.assign(value=error_percent(str(self.metric), found["value"]))

    def error_under(self, condition: str) -> float:
        """Median error of a condition, `plain` or `incorrect`; NaN where there was no model."""
        values = self.scores[self.scores["condition"] == condition]["value"]
        return float(values.median()) if len(values) else float("nan")

    @cached_property
    def task(self) -> AttackedTask | None:
        """What the model's error can show; None where no model was attacked."""
        if not self.setting.get("model"):
            return None
        return task_of(self.metric, self.manifest or {}, self.scores)

    @cached_property
    def null(self) -> pd.DataFrame:
        """The trials of the null attack, which draws keys at random; empty in folders of an older wrongkey."""
        return ended(self.rows[self.rows["attack"].isin(self.null_names)])

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """Every attack in every case, by family and quantities; without the null attack."""
        found = []
        for (attack, given), rows in self.rows.groupby(["attack", "given"], sort=False):
            if attack in self.null_names:
                continue
            said = self.about(str(attack))
            needs = said.get("cases", {}).get(given, {}).get("needs", said.get("needs", ()))
            wants_key = said.get("wants_key")
            wants_key = bool(rows["key_error"].notna().any()) if wants_key is None else wants_key
            asset = said.get("asset") or self._asset(wants_key)
            family, adversary = int(rows["family"].iloc[0]), said.get("adversary", "")
            claims = said.get("claims") or "key"
            found.append(
                Outcome(str(attack), family, adversary, tuple(needs), str(given), rows, wants_key, asset, claims)
            )
        return sorted(found, key=lambda outcome: (outcome.family, outcome.quantities))

    def about(self, attack: str) -> dict[str, Any]:
        """What suite.json says about an attack; empty where it says nothing."""
        found = self.suite.get("attacks", {}).get(attack, {})
        return found if isinstance(found, dict) else {}

    def _asset(self, wants_key: bool) -> str:
        """The asset for a folder of an older wrongkey, whose attacks without a key were one on asv and one on asc."""
        if wants_key:
            return "key"
        return "use" if self.setting.get("task") == "asc" else "identity"

    @cached_property
    def null_names(self) -> frozenset[str]:
        """The names of the null attack."""
        return frozenset(name for name in self.suite.get("attacks", {}) if self.about(name).get("null")) | {NULL}

    @property
    def obstacles(self) -> dict[str, str]:
        """Attacks that do not apply, with the reason."""
        about = self.suite.get("attacks", {})
        return {name: said["obstacle"] for name, said in about.items() if said.get("obstacle")}

    @property
    def measurements(self) -> list[Outcome]:
        """Attacks that want no key and measured something."""
        return [outcome for outcome in self.outcomes if not outcome.wants_key and outcome.measured]


def load_attacks(folder: Path) -> AttackRun | None:
    """The attacks of a run folder; None where there are none.

    Raises
    ------
    BadInput
        If a file is broken.
    """
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
    repeats = [f"{REPEATS[:1].upper()}{REPEATS[1:]}."] if suite.get("repeats") else []
    return AttackRun(folder, suite, rows, (*old_files(found, "attacks"), *repeats, *_of_failed(suite)))


def _of_failed(suite: Mapping[str, Any]) -> list[str]:
    """A sentence about the trials that have no row."""
    failed = suite.get("failed_trials", [])
    if not failed:
        return []
    first, names = failed[0], listed(sorted({one["attack"] for one in failed}))
    have = "trial has" if len(failed) == 1 else "trials have"
    return [
        printable(
            f"{len(failed):,} {have} no result, since harness, model or time limit failed there ({names}; "
            f"{first['attack']}, trial {first['trial']} first: {first['reason']}): all numbers are of the others."
        )
    ]


def find_attacks(folders: Iterable[Path]) -> list[AttackRun]:
    """The attacks of these folders and of those below them, each once, sorted by name."""
    files = (file for folder in folders for file in find_files(folder, "suite.json"))
    places = {file.parent.parent for file in files if file.parent.name == "attacks"}
    found = (load_attacks(place) for place in sorted(places))
    return [run for run in found if run is not None]
