"""Folders of attacks whose rows are known: an attack on given trials, the null attack, and the sweep beside them."""

import json

import numpy as np
import pandas as pd

from wrongkey.evaluation.run_folder.tables import write_table

FAMILIES = {"random-keys": 1, "told": 2, "order": 5, "learned": 7, "linked": 8, "informed": 8}
ABOUT = {
    "order": {"needs": ["ciphertext"], "wants_key": True, "asset": "key"},
    "told": {"needs": ["known plaintext"], "wants_key": True, "asset": "key"},
    "learned": {"needs": ["encrypted model", "other speech"], "wants_key": True, "claims": "use", "asset": "key"},
    "linked": {"needs": ["ciphertext", "ciphertext of many"], "wants_key": False, "asset": "identity"},
    "informed": {
        "needs": ["public model", "other speech", "labelled ciphertext"], "wants_key": False, "asset": "identity"
    },
    "random-keys": {"needs": [], "wants_key": True, "asset": "key", "null": True},
}  # fmt: skip


def rows(attack, given, errors, *, snr=None, seconds=None, error=np.nan, measured=None, **columns):
    """One row per key error; other columns are one value for all, or one per trial."""
    n = len(errors)
    snr = snr if snr is not None else [150.0 if value < 0.1 else -1.0 for value in errors]
    table = {
        "attack": attack, "family": FAMILIES[attack], "trial": range(n), "given": given, "given_seconds": seconds,
        "given_variant": "", "key_error": errors, "snr": snr, "stoi": 0.5, "error": error, "queries": 0, "seconds": 2.0,
        "measured": json.dumps(measured or {}), **columns,
    }  # fmt: skip
    return pd.DataFrame(table, index=range(n)).to_dict("records")


def random_keys(n=100, hits=0, *, snr=None, **columns):
    """The null attack: unrelated keys, of which the first `hits` happen to be the correct one."""
    errors = [0.0] * hits + [1.4] * (n - hits)
    return rows("random-keys", "as it is", errors, snr=snr or [150.0] * hits + [-2.0] * (n - hits), **columns)


def write_attacks(folder, table, *, scheme="rom", block_size=4, model=None, task="asv", obstacles=(), known=None):
    (folder / "attacks").mkdir(parents=True)
    ran = {row["attack"] for row in table}
    about = {
        name: {"family": FAMILIES[name], "adversary": f"Does {name}.", "obstacle": None, **ABOUT[name]} for name in ran
    }
    about |= {
        name: {"family": 4, "adversary": "", "needs": [], "obstacle": "No model.", **ABOUT.get(name, {})}
        for name in obstacles
    }
    setting = {"scheme": scheme, "blocks": "samples", "block_size": block_size, "corpus": "toy"}
    setting |= {"victims": 2, "others": 2, "model": model, "task": task if model else None}
    suite = {"format": "wrongkey-attacks/1", "setting": setting, "known": known or {}}
    suite |= {"ended": "2026-11-24", "attacks": about, "sessions": [{"command": "wrongkey attack suite"}]}
    (folder / "attacks/suite.json").write_text(json.dumps(suite))
    for name, part in pd.DataFrame(table).groupby("attack"):
        part.to_parquet(folder / f"attacks/{name}.parquet")
    return folder


def write_scores(folder, plain, incorrect, metric="eer", trials=(610, 610), manifest=None, correct=None, **more):
    """The sweep that the harness runs first; one key's score for each value. more: of other metrics, by name.

    correct: the error with the correct key; the sweep has none where it is None.
    """
    setting = {"task": "asv", "model": "toy", "corpus": "toy", "scheme": "rom", "block_size": 4, "dims": 1}
    setting |= {"key_seed": 0, "ci_low": 0.0, "ci_high": 100.0, "n": sum(trials)}
    keys, conditions = [], []
    for name, (alone, values) in {metric: (plain, incorrect), **more}.items():
        row = {**setting, "metric": name}
        conditions.append({**row, "condition": "plain", "key_index": -1, "value": alone})
        if correct is not None:
            conditions.append({**row, "condition": "correct", "key_index": -1, "value": correct})
        keys += [{**row, "condition": "incorrect", "key_index": i, "value": v} for i, v in enumerate(values)]
    (folder / "scores").mkdir(parents=True)
    for name, table in {"conditions": conditions, f"incorrect-00000000-{len(incorrect):08d}": keys}.items():
        write_table(folder / f"scores/{name}.parquet", pd.DataFrame(table), "", "scores")
    facts = {"format": "wrongkey-run/1", "config": {"metric": metric}}
    facts |= {"trials": {"target": trials[0], "nontarget": trials[1]}}
    (folder / "manifest.json").write_text(json.dumps(facts | (manifest or {})))
