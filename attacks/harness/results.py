"""The attacks of a run folder on disk: rows per attack, and what was asked.

`attacks/<attack>.parquet` has one row per amount and trial; `attacks/suite.json` the configuration, what the rows
depend on, each attack's threat model, and why an attack did not apply. A killed run loses the trial in flight.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.attacks.harness.registry import known_needs
from wrongkey.attacks.harness.salt import Salt, kept_salt
from wrongkey.attacks.harness.target import AttackConfig, Target
from wrongkey.errors import BadInput
from wrongkey.evaluation.experiment import digest_of_weights
from wrongkey.evaluation.run_folder.attack_rows import read_attack
from wrongkey.evaluation.run_folder.folder import RunFolder, same
from wrongkey.evaluation.run_folder.manifest import git_revision, now, versions
from wrongkey.evaluation.run_folder.schema import Suite, read_json
from wrongkey.evaluation.run_folder.tables import FORMAT as TABLES
from wrongkey.evaluation.run_folder.tables import Damaged, identity_digest, set_aside, table_files, write_table
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED

FORMAT = Suite.FORMAT
HARNESS = 2  # 1: keys from the run's own seed, attacks in the process that knew them
# What may differ from one session to the next: more trials and amounts extend a run.
FREE = ("trials", "device", "amounts")


class AttackFolder(RunFolder):
    """`attacks/` of a run folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._suite: dict[str, Any] | None = None
        self._rows: dict[str, list[dict[str, Any]]] = {}

    @property
    def suite_path(self) -> Path:
        return self.path / "attacks" / "suite.json"

    def rows(self, attack: str) -> pd.DataFrame:
        """All rows of an attack, in the order in which they were made; empty where there are none."""
        return pd.DataFrame(self._known(attack))

    @contextmanager
    def kept_salt(self, named: Path | None) -> Iterator[Salt]:
        """The secret of this folder's victims' keys, which no file holds meanwhile (`salt.py`)."""
        self.make("attacks")
        with kept_salt(self.path / "attacks" / "salt.json", named) as salt:
            yield salt

    def claim_attacks(self, config: AttackConfig, target: Target, command: str | None) -> None:
        """Begin, or go on; raises BadInput where the folder holds attacks on another target.

        Damaged result files are set aside, and named in `damaged`: their trials are missing again.
        """
        identity = identity_of(config, target)
        found = self.suite()
        if found is not None:
            differing = [name for name in identity if not same(found.get("identity", {}).get(name), identity[name])]
            if differing:
                raise BadInput(
                    f"{self.path} holds attacks made with another {', '.join(differing)}: choose another --out"
                )
        self.make("attacks")
        session = {"started": now(), "versions": versions(), "git": git_revision(), "command": command}
        before = found or {}
        begun = before.get("config", {}).get("trials", 0)
        self._suite = {
            "format": FORMAT,
            "config": {**asdict(config), "trials": max(config.trials, begun)},
            "identity": before.get("identity") or identity,  # to the digit: the tables are bound to it
            "tables": TABLES,
            "setting": {
                "model": target.model.name if target.model else None,
                "task": config.task if target.model else None,
                "corpus": target.victims_corpus.name,
                "recordings": target.victims_corpus.recordings,
                "victims": len(target.victims),
                "others": len(target.others_corpus.speakers),
                "scheme": target.setting.scheme.name,
                **{name: getattr(target.setting, name) for name in ("blocks", "block_size", "size", "rate")},
            },
            "known": known_needs(),
            "salts": before.get("salts", []),
            "repeats": before.get("repeats", False),
            "sessions": [*before.get("sessions", []), session],
            "attacks": before.get("attacks", {}),
            "ended": None,
        }
        self._mend_attacks(found)
        self._write_suite()

    def suite(self) -> dict[str, Any] | None:
        """What suite.json says; None where there is none yet."""
        return read_json(self.suite_path, Suite) if os.path.lexists(self.suite_path) else None

    def note_salt(self, fingerprint: str, repeats: bool) -> None:
        """From which salt the victims' keys now follow, and whether it came from a file that attacks could read."""
        assert self._suite is not None
        self._suite["salts"] = list(dict.fromkeys([*self._suite["salts"], fingerprint]))
        self._suite["repeats"] |= repeats
        self._write_suite()

    def note(self, attack: str, about: Mapping[str, Any]) -> None:
        """The attack's threat model and, where it does not apply, why."""
        assert self._suite is not None
        self._suite["attacks"][attack] = dict(about)
        self._write_suite()

    def end(self) -> None:
        assert self._suite is not None
        self._suite["ended"] = now()
        self._write_suite()

    def trials_done(self, attack: str, case: str) -> set[int]:
        return {row["trial"] for row in self._known(attack) if row["given"] == case}

    def add(self, attack: str, row: Mapping[str, Any]) -> None:
        """One more row; the file is replaced as a whole."""
        known = self._known(attack)
        known.append(dict(row))
        self._write_rows(attack, pd.DataFrame(known))

    def describe(self, attack: str, case: str) -> str:
        """One line of a log: how an attack did on an amount."""
        table = self.rows(attack)
        table = table[table["given"] == case]
        line = f"{attack}, {case}: "
        broke_down = table["failed"] != ""
        table = table[~broke_down]
        if broke_down.any():
            line += f"{int(broke_down.sum())} trials broke down; "
        if table["key_error"].notna().any():
            recovered = int(((table["key_error"] < RECOVERED) | (table["snr"] >= DECRYPTED)).sum())
            line += f"{recovered} of {len(table)} keys recovered, median SNR {table['snr'].median():.0f} dB"
            if table["error"].notna().any():
                line += f", error {table['error'].median():.1f} %"
        else:
            measured = pd.DataFrame([json.loads(text) for text in table["measured"]]).median(numeric_only=True)
            numbers = [f"{name} {value:.3g}" for name, value in measured.items()]
            if table["error"].notna().any():
                numbers.insert(0, f"error {table['error'].median():.1f} % without a key")
            line += ", ".join(numbers)
        return f"{line}; {table['seconds'].median():.1f} s of CPU each"

    def _known(self, attack: str) -> list[dict[str, Any]]:
        if attack not in self._rows:
            path = self._file(attack)
            try:
                suite = self._suite or self.suite()
                self._rows[attack] = read_attack(path, suite).table.to_dict("records") if path.exists() else []
            except Damaged as error:
                raise BadInput(f"{path} is broken ({error}): run the attack again") from None
        return self._rows[attack]

    def _mend_attacks(self, suite: Mapping[str, Any] | None) -> None:
        """Sets aside every damaged result file, and seals those of an older wrongkey."""
        for path in table_files(self.suite_path.parent):
            try:
                read = read_attack(path, suite)
            except Damaged as error:
                with self._writing():
                    set_aside(path)
                self.damaged.append(f"{path} is damaged ({error}): it is set aside and made again")
            else:
                if read.seal is None:
                    self._write_rows(path.stem, read.table, adopted=True)

    def _write_rows(self, attack: str, table: pd.DataFrame, adopted: bool = False) -> None:
        assert self._suite is not None
        run = identity_digest(self._suite["identity"])
        with self._writing():
            write_table(self._file(attack), table, run, "attack", adopted=adopted)

    def _file(self, attack: str) -> Path:
        return self.path / "attacks" / f"{attack}.parquet"

    def _write_suite(self) -> None:
        assert self._suite is not None
        self.write_json("attacks/suite.json", self._suite)


def identity_of(config: AttackConfig, target: Target) -> dict[str, Any]:
    """What the rows depend on: settings, and hashes of the speech and of the weights."""
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    for name in ("model", "corpus", "only", "others", "others_only"):
        settings.pop(name)
    return {
        "harness": HARNESS,
        **settings,
        "speech of the victims": target.victims_corpus.digest(),
        "speech of others": target.others_corpus.digest(),
        "weights": None if target.model is None else digest_of_weights(target.model.network),
        "blocks": target.setting.blocks,
        "block": target.setting.block_size,
    }
