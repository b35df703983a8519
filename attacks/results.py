"""The attacks of a run folder on disk: rows per attack, and what was asked.

`attacks/<attack>.parquet` has one row per amount and trial; `attacks/suite.json` the configuration, what the rows
depend on, each attack's threat model, and why an attack did not apply. A killed run loses the trial in flight.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from attacks.base import Attack
from attacks.scores import DECRYPTED, RECOVERED
from attacks.target import AttackConfig, Target
from evaluation.experiment import digest_of_weights
from evaluation.manifest import git_revision, now, versions
from evaluation.run_folder import RunFolder, same
from keys.errors import BadInput

FORMAT = "wrongkey-attacks/1"
# What may differ from one session to the next: more trials and amounts extend a run.
FREE = ("trials", "device", "amounts")


class AttackFolder(RunFolder):
    """`attacks/` of a run folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rows: dict[str, list[dict[str, Any]]] = {}

    @property
    def suite_path(self) -> Path:
        return self.path / "attacks" / "suite.json"

    def rows(self, attack: str) -> pd.DataFrame:
        """All rows of an attack, in the order in which they were made; empty where there are none."""
        return pd.DataFrame(self._known(attack))

    def claim_attacks(self, config: AttackConfig, target: Target, command: str | None) -> None:
        """Begin, or go on; raises BadInput where the folder holds attacks on another target."""
        identity = identity_of(config, target)
        found = self.suite()
        if found is not None:
            differing = [name for name in identity if not same(found["identity"].get(name), identity[name])]
            if differing:
                raise BadInput(
                    f"{self.path} holds attacks made with another {', '.join(differing)}: choose another --out"
                )
        self._attempt(lambda: self.suite_path.parent.mkdir(parents=True, exist_ok=True))
        session = {"started": now(), "versions": versions(), "git": git_revision(), "command": command}
        before = found or {"sessions": [], "attacks": {}}
        self._suite = {
            "format": FORMAT,
            "config": {**asdict(config), "trials": max(config.trials, before.get("config", {}).get("trials", 0))},
            "identity": identity,
            "setting": {
                "model": target.model.name if target.model else None,
                "task": config.task if target.model else None,
                "corpus": target.victims_corpus.name,
                "recordings": target.victims_corpus.recordings,
                "victims": len(target.victims),
                "others": len(target.others_corpus.speakers),
                **{name: getattr(target.setting, name) for name in ("scheme", "blocks", "block_size", "size", "rate")},
            },
            "sessions": [*before["sessions"], session],
            "attacks": before["attacks"],
            "ended": None,
        }
        self._write_suite()

    def suite(self) -> dict[str, Any] | None:
        """What suite.json says; None where there is none yet."""
        try:
            found = json.loads(self.suite_path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, json.JSONDecodeError):
            raise BadInput(f"{self.suite_path} cannot be read any more: choose another folder with --out") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BadInput(f"{self.suite_path} is not of the format {FORMAT}: choose another --out")
        return found

    def note(self, attack: Attack, reason: str | None) -> None:
        """The attack's threat model and, where it does not apply, why."""
        self._suite["attacks"][attack.name] = {
            "family": attack.family,
            "adversary": attack.threat.adversary,
            "needs": sorted(attack.threat.needs),
            "obstacle": reason,
        }
        self._write_suite()

    def end(self) -> None:
        self._suite["ended"] = now()
        self._write_suite()

    def trials_done(self, attack: str, given: str) -> set[int]:
        return {row["trial"] for row in self._known(attack) if row["given"] == given}

    def add(self, attack: str, row: Mapping[str, Any]) -> None:
        """One more row; the file is replaced as a whole."""
        known = self._known(attack)
        known.append(dict(row))
        table = pd.DataFrame(known)
        self._write(self._file(attack), lambda part: table.to_parquet(part, index=False))

    def describe(self, attack: str, given: str) -> str:
        """One line of a log: how an attack did on an amount."""
        table = self.rows(attack)
        table = table[table["given"] == given]
        line = f"{attack}, {given}: "
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
                self._rows[attack] = pd.read_parquet(path).to_dict("records") if path.is_file() else []
            except Exception:  # pyarrow raises several kinds for truncated and foreign files
                raise BadInput(f"{path} is broken: delete it and run the attack again") from None
        return self._rows[attack]

    def _file(self, attack: str) -> Path:
        return self.path / "attacks" / f"{attack}.parquet"

    def _write_suite(self) -> None:
        text = json.dumps(self._suite, indent=2, ensure_ascii=False) + "\n"
        self._write(self.suite_path, lambda part: part.write_text(text, encoding="utf-8"))


def identity_of(config: AttackConfig, target: Target) -> dict[str, Any]:
    """What the rows depend on: settings, and hashes of the speech and of the weights."""
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    for name in ("model", "corpus", "only", "others", "others_only"):
        settings.pop(name)
    return {
        **settings,
        "speech of the victims": target.victims_corpus.digest(),
        "speech of others": target.others_corpus.digest(),
        "weights": None if target.model is None else digest_of_weights(target.model.network),
        "blocks": target.setting.blocks,
        "block": target.setting.block_size,
    }
