"""What the manifest of a run asks for, and whether model and speech are still those that it describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.run_folder.folder import same
from wrongkey.evaluation.run_folder.tables import Damaged, identity_digest, read_table, table_files
from wrongkey.printable import listed

VICTIMS = "attacks/victims.txt"  # the list that attacks write for the sweep beside them
# What a hash or a magnitude in an identity stands for.
STANDS_FOR = {
    "weights": "the model's weights",
    "corpus": "the speech",
    "speech of the victims": "the victims' speech",
    "speech of others": "the background speakers' speech",
    "trials": "the trials",
    "segments": "the segments that the model's front end makes",
    "plain answers": "the model's answers to plain speech",
    "classes": "the model's classes",
}
HASHED = frozenset(STANDS_FOR) - {"classes"}  # what no setting states


def check_unedited(manifest: Path, settings: Mapping[str, Any], identity: Mapping[str, Any], seals: Path) -> None:
    """Refuse a manifest that no longer says what its scores were made with.

    Parameters
    ----------
    manifest
        The file, for the sentence.
    settings, identity
        What was asked, and what the scores depend on, as it has them.
    seals
        The folder of tables that were sealed with the identity.

    Raises
    ------
    BadInput
        Where settings and identity disagree, or the identity is not that of the tables.
    """
    disagree = [name for name, value in identity.items() if name not in HASHED and settings.get(name, value) != value]
    if disagree:
        name = disagree[0]
        raise BadInput(
            f"{manifest} was edited: its settings say {name} {settings[name]}, and its identity {identity[name]}. "
            "Put it back as it was."
        )
    for path in table_files(seals):
        try:
            seal = read_table(path, None, path.parent.name == "scores" and "scores" or "attack", sealed=False).seal
        except Damaged:
            continue  # whoever reads the scores says so
        if seal is not None and seal.run != identity_digest(identity):
            raise BadInput(
                f"{manifest} was edited, or {path} is of another run: the identity in the one is not that of the other. "
                "Put both back as they were."
            )


def check_same(manifest: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise BadInput where model or speech are no longer those of an identity; the sentence says which."""
    changed = [name for name, value in before.items() if not same(value, now.get(name))]
    if changed:
        names = listed([STANDS_FOR.get(name, name) for name in changed])
        raise BadInput(
            f"What {manifest} describes is not what is found now; changed since: {names}. Put the files back, or sweep "
            "again into a new folder."
        )


def same_keys(config: SweepConfig, scores: pd.DataFrame, run: Path) -> SweepConfig:
    """The configuration that asks the keys of a run's scores; the list of utterances that attacks made is in `run`.

    Raises BadInput where the run has no scores of incorrect keys.
    """
    keys = scores.loc[scores["condition"] == "incorrect", "key_index"]
    if keys.empty:
        raise BadInput(f"{run} has no scores of incorrect keys: finish it with its own command first.")
    listed_by_attacks = (config.only or "").replace("\\", "/").endswith(f"/{VICTIMS}")
    return replace(
        config, keys=int(keys.max()) + 1, only=str(run / VICTIMS) if listed_by_attacks else config.only
    )


def changes(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What rounding depends on that was another in a run than when it was made again, as in "torch (2.8 there, 2.9 here)".

    Parameters
    ----------
    there, here
        The manifests of both. What an older one does not say counts as another.
    """
    before, now = _facts(there), _facts(here)
    return [
        f"{name} ({_some(before.get(name, ()))} there, {_some(now.get(name, ()))} here)"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name) or None in before.get(name, (None,)) and name != "git"
    ]


def _facts(manifest: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What all sessions of a run say, by name: each value once."""
    found: dict[str, list[Any]] = {}
    for session in manifest.get("sessions") or [manifest]:
        said = {name: session.get(name) for name in ("device", "processor", "threads", "git")}
        for name, value in {**said, **(session.get("versions") or {})}.items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    found["batch"] = [(manifest.get("batch") or {}).get("rows")]
    return found


def _some(values: Iterable[Any]) -> str:
    said: Sequence[str] = ["unknown" if value is None else str(value) for value in values]
    return " and ".join(said) or "unknown"
