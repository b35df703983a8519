"""Attacks made again from their `suite.json`, and whether their rows are the same.

The victims' keys follow from the salt of the run. Where it was kept, attacks meet the same keys again; else keys are
drawn anew, and no row can be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.attacks.analyses.trust import (
    code_risk,
    corpus_risk,
    model_risk,
    refuse_devices,
    refuse_risks,
    scheme_risk,
)
from wrongkey.attacks.harness.attack_settings import changed_setting, settings_of
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.offered import REGISTRY
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.results import AttackFolder, identity_of
from wrongkey.attacks.harness.salt import read_salt
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.evaluation.rerun.manifest import changes, check_same, check_unedited
from wrongkey.evaluation.run_folder.successes import broken

ROW = ["attack", "given", "trial"]
TIMED = ("seconds",)  # columns that no two runs have alike


@dataclass(frozen=True)
class Asked:
    """What a run of attacks asked for.

    Attributes
    ----------
    config : AttackConfig
        Its settings.
    names : list of str
        The attacks, without those that the harness adds.
    keys : int
        Incorrect keys of the model; without one, random keys.
    baseline : int
        Random keys that were scored as attacks are.
    salt : Path or None
        Where the salt of the victims' keys is; None where it was not kept.
    amounts : list of tuple of float
        Seconds of ciphertext that its sessions asked for; an empty tuple for the attacks' own.
    """

    config: AttackConfig
    names: list[str]
    keys: int
    baseline: int
    salt: Path | None
    amounts: list[tuple[float, ...]]


@dataclass(frozen=True)
class ComparedAttacks:
    """Rows of attacks beside those of the same attacks made again.

    Attributes
    ----------
    rows : int
        How many were compared.
    drawn_anew : int
        Rows under keys whose salt is gone.
    changed : list of str
        What rounding depends on and was another; where it is empty, only equal bits will do.
    differing : list of str
        Rows that are not equal bit for bit, by attack, case and trial.
    decided_otherwise : list of str
        Those of them where one run recovered the key or claimed it, and the other not.
    """

    rows: int
    drawn_anew: int
    changed: list[str]
    differing: list[str]
    decided_otherwise: list[str]

    @property
    def equal(self) -> bool | None:
        """Whether the runs agree: bit for bit, or where rounding may differ, in every outcome; None if unknown."""
        if not self.rows:
            return None
        return not (self.decided_otherwise if self.changed else self.differing)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a document."""
        return {
            "equal": self.equal,
            "exact": bool(self.rows) and not self.differing,
            "rows": self.rows,
            "drawn_anew": self.drawn_anew,
            "changed": self.changed,
            "differing": self.differing,
            "decided_otherwise": self.decided_otherwise,
        }


def attacks_of(run: Path) -> Asked | None:
    """What the attacks in a run folder asked for; None where it holds none.

    Raises BadInput for a `suite.json` that was edited, and for a folder without rows.
    """
    folder = AttackFolder(run)
    suite = folder.suite()
    if suite is None:
        return None
    path, settings = folder.suite_path, suite["config"]
    check_unedited(path, settings, suite.get("identity") or {}, path.parent, "attack")
    unknown = [name for name in settings if name not in AttackConfig.__dataclass_fields__]
    if unknown or not settings.get("corpus"):
        raise BadInput(f"{path} has settings of another wrongkey ({', '.join(unknown) or 'no corpus'}): attack again.")
    null = [name for name, about in suite["attacks"].items() if about.get("null")]
    names = [name for name in suite["attacks"] if name not in (*null, Guessing.name)]
    baseline = max((len(folder.rows(name)) for name in null), default=0)
    keys = int((folder.manifest() or {}).get("config", {}).get("keys") or baseline)
    if not baseline:
        raise BadInput(f"{run} has no rows of attacks: finish it with its own command first.")
    salt = path.with_name("salt.json")
    seconds = tuple(settings.get("seconds") or ())
    config = AttackConfig(**{**settings, "seconds": seconds})
    of_sessions = [session.get("seconds") for session in suite.get("sessions", [])]
    amounts = {seconds if one is None else tuple(one): None for one in of_sessions}  # older ones do not say it
    return Asked(config, names, keys, baseline, salt if salt.exists() else None, list(amounts) or [seconds])


def check_again(asked: Asked, run: Path, trusted: Collection[str] = ()) -> None:
    """Refuse attacks that cannot be made again.

    Parameters
    ----------
    asked
        What the run asked for.
    run
        Its folder.
    trusted
        As in `wrongkey.attacks.analyses.trust`.

    Raises
    ------
    BadInput
        Where `suite.json` names code that is not trusted, and where speech, model or the settings of an attack are no
        longer those of the run.
    """
    folder = AttackFolder(run)
    suite, path, config = folder.suite() or {}, folder.suite_path, asked.config
    models = {"model": config.model, "recogniser": config.recogniser}
    corpora = {"corpus": config.corpus, "background corpus": config.background}
    risks = [(what, spec, model_risk(spec)) for what, spec in models.items() if spec]
    risks += [(what, spec, corpus_risk(spec)) for what, spec in corpora.items() if spec]
    risks += [("scheme", config.scheme, scheme_risk(config.scheme))]
    risks += [("attack", name, code_risk(name, REGISTRY)) for name in asked.names]
    refuse_risks(risks, path, trusted)
    refuse_devices((*models.values(), *corpora.values(), config.only, config.background_only), path)
    for name in asked.names:
        changed = changed_setting(suite["attacks"][name].get("settings", {}), settings_of(open_attack(name)))
        if changed:
            raise BadInput(f"{name} in {run} was run with another setting {changed}: run it again as it was run then.")
    check_same(path, suite["identity"], identity_of(config, Target(config, run)))


def compare_attacks(asked: Asked, there: Path, here: Path) -> ComparedAttacks:
    """Compare the rows of all attacks of a run with those of the run that was made again.

    Raises BadInput for a table that is damaged.
    """
    before, now = AttackFolder(there), AttackFolder(here)
    old, new = before.suite() or {}, now.suite() or {}
    salt = read_salt(asked.salt).fingerprint if asked.salt else None
    pairs, anew = [], 0
    for name in old["attacks"]:
        rows = before.rows(name)
        if rows.empty:
            continue
        same_keys = rows[rows["salt"] == salt] if "salt" in rows else rows[:0]
        anew += len(rows) - len(same_keys)
        pairs += list(_pairs(same_keys, now.rows(name)))
    differing = [_name(row) for row, other in pairs if not _equal(row, other)]
    otherwise = [_name(row) for row, other in pairs if other is None or _outcome(row) != _outcome(other)]
    return ComparedAttacks(len(pairs), anew, changes(old, new), differing, otherwise)


def _pairs(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each row of the old run, and the new run's row of the same case and trial."""
    found = {tuple(row[name] for name in ROW): row for row in new.to_dict("records")}
    for row in old.to_dict("records"):
        yield row, found.get(tuple(row[name] for name in ROW))


def _equal(row: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Whether two rows hold the same but for the time they took; NaN is NaN."""
    if other is None:
        return False
    return all(
        value == other.get(name) or (pd.isna(value) and pd.isna(other.get(name)))
        for name, value in row.items()
        if name not in TIMED
    )


def _outcome(row: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Whether the key or the speech was recovered, whether the attack claimed it, and whether it broke down."""
    return bool(broken(pd.DataFrame([row])).item()), bool(row["believed"]), bool(row["failed"])


def _name(row: Mapping[str, Any]) -> str:
    return (
        f"{row['attack']}, {row['given']}, trial {row['trial']}"
        if row["given"]
        else f"{row['attack']}, trial {row['trial']}"
    )
