"""What the manifest of a run asks for, and whether model and speech are still those that it describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.run_folder.sameness import same
from wrongkey.evaluation.run_folder.tables import Damaged, Kind, identity_digest, read_seal, table_files
from wrongkey.printable import listed

UNKNOWN = "unknown"
VICTIMS = "attacks/victims.txt"  # the list that attacks write for the sweep beside them
# What the hashes and magnitudes in an identity stand for.
HASHED = {
    "weights": "the model's weights",
    "corpus": "the speech",
    "speech of the victims": "the victims' speech",
    "speech of others": "the background speakers' speech",
    "trials": "the trials",
    "segments": "the segments that the model's front end makes",
    "plain answers": "the model's answers to plain speech",
}


def check_unedited(
    manifest: Path, settings: Mapping[str, Any], identity: Mapping[str, Any], tables: Path, kind: Kind
) -> None:
    """Refuse a manifest that no longer says what its scores were made with.

    Parameters
    ----------
    manifest
        The file, for the sentence.
    settings, identity
        What was asked, and what the scores depend on, as it has them. A setting that is None was left to the model.
    tables, kind
        The folder of the tables that were sealed with the identity, and what they hold.

    Raises
    ------
    BadInput
        Where settings and identity disagree, or the identity is not that of the tables.
    """
    asked = {name: value for name, value in settings.items() if value is not None and name not in HASHED}
    disagree = [name for name in identity if name in asked and asked[name] != identity[name]]
    if disagree:
        name = disagree[0]
        raise BadInput(
            f"{manifest} was edited: its settings say {name} {asked[name]}, and its identity {identity[name]}. "
            "Put it back as it was."
        )
    for path in table_files(tables):
        try:
            seal = read_seal(path)
        except Damaged:
            continue  # whoever reads the table says so
        if seal is not None and seal.kind == kind and seal.run != identity_digest(identity):
            raise BadInput(
                f"{manifest} was edited, or {path} is of another run: one has not the identity of the other. "
                "Put both back as they were."
            )


def check_same(manifest: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise BadInput where model or speech are no longer those of an identity; the sentence says which."""
    changed = [name for name in dict.fromkeys((*before, *now)) if not same(before.get(name), now.get(name))]
    if changed:
        names = listed([HASHED.get(name, name) for name in changed])
        raise BadInput(
            f"What {manifest} describes is not what is found now. Changed since: {names}. Put the files back, or sweep "
            "again into a new folder."
        )


def with_keys_of(config: SweepConfig, scores: pd.DataFrame, run: Path) -> SweepConfig:
    """The configuration that asks the keys of a run's scores; the list of utterances that attacks made is in `run`.

    Raises BadInput where the run has no scores of incorrect keys.
    """
    keys = scores.loc[scores["condition"] == "incorrect", "key_index"]
    if keys.empty:
        raise BadInput(f"{run} has no scores of incorrect keys: finish it with its own command first.")
    of_attacks = (config.only or "").replace("\\", "/").endswith(f"/{VICTIMS}")
    return replace(config, keys=int(keys.max()) + 1, only=str(run / VICTIMS) if of_attacks else config.only)


def threads_of(manifest: Mapping[str, Any]) -> int | None:
    """Threads of each process in the first session of a run; None where it does not say them."""
    threads: int | None = (manifest.get("sessions") or [{}])[0].get("threads")
    return threads


def changes(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What rounding depends on that was another in a run than when it was made again.

    Parameters
    ----------
    there, here
        The manifests of both. What an older one does not say counts as another.

    Returns
    -------
    list of str
        As in "torch (2.8.0 there, 2.9.0 here)".
    """
    before, now = _facts(there), _facts(here)
    return [
        f"{name} ({listed(before.get(name, [UNKNOWN]))} there, {listed(now.get(name, [UNKNOWN]))} here)"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    ]


def _facts(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the sessions of a run say, by name: each value once."""
    found: dict[str, list[str]] = {}
    for session in manifest.get("sessions") or []:
        facts = {name: session.get(name) for name in ("device", "processor", "threads")}
        facts |= {"revision": session.get("git") or "none", **(session.get("versions") or {})}
        for name, value in facts.items():
            found[name] = list(dict.fromkeys([*found.get(name, []), UNKNOWN if value is None else str(value)]))
    batch = manifest.get("batch") or {}
    rows = [str(batch[name]) for name in ("rows", "least_rows") if batch.get(name) is not None]
    return {**found, "rows of a pass": rows or [UNKNOWN]}
