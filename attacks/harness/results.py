"""The attacks of a run folder on disk: rows per attack, and what was asked.

`attacks/<attack>.parquet` has one row per case and trial. `attacks/suite.json` has the configuration, what the rows
depend on, the threat model and the settings of each attack, why an attack did not apply, and why trials have no row. A
killed run loses only the trial in progress.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.attacks.base import Case, CompleteAttack
from wrongkey.attacks.harness.attack_settings import changed_setting, settings_of
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.registry import known_needs
from wrongkey.attacks.harness.salt import Salt, kept_salt
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.evaluation.digests import digest_of_weights
from wrongkey.evaluation.front_end import WAVEFORM, front_end_of
from wrongkey.evaluation.run_folder.attack_rows import read_attack
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.evaluation.run_folder.manifest import git_revision, machine, now, versions
from wrongkey.evaluation.run_folder.sameness import same
from wrongkey.evaluation.run_folder.schema import Suite, read_json
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.run_folder.successes import broken, died
from wrongkey.evaluation.run_folder.tables import FORMAT as TABLES
from wrongkey.evaluation.run_folder.tables import Damaged, identity_digest, set_aside, table_files, write_table
from wrongkey.evaluation.run_folder.vocabulary import DIED_AGAIN, EXACT, PRIMARY_METRIC, error_percent
from wrongkey.printable import facts_html

FORMAT = Suite.FORMAT
# 1: keys from the run's own seed, attacks in the process that knew them. 2: the settings of attacks were not recorded.
HARNESS = 3
# what may differ from one session to the next: more trials or seconds extend a run
FREE = ("trials", "device", "seconds", "media")
DIGESTED = ("model", "corpus", "only", "background", "background_only")  # the hash of what they name is in the identity


class AttackFolder(RunFolder):
    """`attacks/` of a run folder.

    Parameters
    ----------
    path : Path
        The run folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._suite: dict[str, Any] | None = None
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._tried: set[tuple[str, str, int]] = set()  # in this session: attack, case, trial

    def _repr_html_(self) -> str:
        found = self.suite() or {}
        names = ("model", "task", "corpus", "scheme", "block_size")
        facts = {name: found.get("setting", {}).get(name) for name in names}
        attacks = ", ".join(found.get("attacks", {}))
        return facts_html(self.path.name, {**facts, "attacks": attacks})

    @property
    def suite_path(self) -> Path:
        """Where `suite.json` lies."""
        return self.path / "attacks" / "suite.json"

    def rows(self, attack: str) -> pd.DataFrame:
        """All rows of an attack, in the order in which they were made; empty where there are none."""
        return pd.DataFrame(self._known(attack))

    @contextmanager
    def kept_salt(self, named: Path | None) -> Iterator[Salt]:
        """The secret from which the victims' keys follow; no file holds it inside the `with` block (`salt.py`)."""
        self.make("attacks")
        with kept_salt(self.path / "attacks" / "salt.json", named) as salt:
            yield salt

    def claim_attacks(
        self,
        config: AttackConfig,
        target: Target,
        attacks: Iterable[CompleteAttack],
        command: str | None,
        threads: int | None = None,
    ) -> None:
        """Begin, or continue an earlier run.

        `threads` are those of each process, for the record; None for a cluster, whose workers have their own.

        Damaged result files are set aside, and named in `damaged`: their trials are missing again. A folder without
        rows, which a command leaves that failed early, claims nothing. Raises BadInput where it has rows of another
        target, or rows of some of `attacks` under other settings.
        """
        identity = identity_of(config, target)
        found = self._continued(identity)
        before = found or {}
        self._check_settings(before.get("attacks", {}), attacks)
        self.make("attacks")
        session = {"started": now(), **machine(threads), "versions": versions()}
        session |= {"git": git_revision(), "command": command, "seconds": list(config.seconds)}
        asked = before.get("config", {})
        self._suite = {
            "format": FORMAT,
            "config": {**asdict(config), **_extended(config, asked)},
            "identity": before.get("identity") or identity,  # unchanged to the digit: the tables are bound to it
            "tables": TABLES,
            "setting": {
                "model": target.model.name if target.model else None,
                "task": config.task if target.model else None,
                "front_end": front_end_of(target.model) if target.model else WAVEFORM,
                "corpus": target.victims_corpus.name,
                "recordings": target.victims_corpus.recordings,
                "victims": len(target.victims),
                "others": len(target.background_corpus.speakers),
                "scheme": target.scheme.name,
                "block_size": target.cut.block_size,
                **{name: getattr(target.setting, name) for name in ("blocks", "size", "rate")},
            },
            "known": known_needs(),
            "salts": before.get("salts", []),
            "repeats": before.get("repeats", False),
            "sessions": [*before.get("sessions", []), session],
            "attacks": before.get("attacks", {}),
            "failed_trials": before.get("failed_trials", []),
            "late_trials": before.get("late_trials", 0),
            "ended": None,
        }
        self._mend_attacks(found)
        self._write_suite()

    def suite(self) -> dict[str, Any] | None:
        """What `suite.json` says; None where there is none yet."""
        return read_json(self.suite_path, Suite) if os.path.lexists(self.suite_path) else None

    def note_salt(self, fingerprint: str, repeats: bool) -> None:
        """Record the salt of the victims' keys, and whether it `repeats` one from a file that attacks could read."""
        assert self._suite is not None
        self._suite["salts"] = list(dict.fromkeys([*self._suite["salts"], fingerprint]))
        self._suite["repeats"] |= repeats
        self._write_suite()

    def note(self, attack: str, about: Mapping[str, Any]) -> None:
        """Record what there is to say `about` an attack: threat model, settings, why it does not apply."""
        assert self._suite is not None
        known = self._suite["attacks"].get(attack, {}).get("cases", {})  # of other amounts of ciphertext as well
        self._suite["attacks"][attack] = {**about, "cases": {**known, **about.get("cases", {})}}
        self._write_suite()

    def end(self) -> None:
        """Record that every trial was tried."""
        assert self._suite is not None
        self._suite["ended"] = now()
        self._write_suite()

    def note_failed(self, attack: str, case: str, trial: int, reason: str) -> None:
        """Record a trial that has no row, and why; the same command tries it again."""
        assert self._suite is not None
        others = self._without(attack, case, trial)
        one = {"attack": attack, "given": case, "trial": trial, "reason": reason}
        self._suite["failed_trials"] = [*others, one]
        self._write_suite()

    def note_late(self, trials: int) -> None:
        """Record that so many trials more took longer than they may, whatever became of them."""
        assert self._suite is not None
        self._suite["late_trials"] += trials
        self._write_suite()

    def trials_done(self, attack: str, case: str) -> set[int]:
        """Numbers of the trials that have a row; not of one whose process died once, in an earlier session."""
        rows = self.rows(attack)
        if rows.empty:
            return set()
        tried = {trial for name, given, trial in self._tried if (name, given) == (attack, case)}
        of_case = rows["given"] == case
        return {int(one) for one in rows[of_case & (~died(rows) | rows["trial"].isin(tried))]["trial"]}

    def add(self, attack: str, row: Mapping[str, Any]) -> None:
        """Add a row, in place of an earlier one of the same trial; the file is replaced as a whole.

        Where the process died both times, the row says so, and the trial is not tried a third time.
        """
        place = row["given"], row["trial"]
        before = [one for one in self._known(attack) if (one["given"], one["trial"]) == place]
        known = [one for one in self._known(attack) if (one["given"], one["trial"]) != place]
        again = bool(before) and died(pd.DataFrame([*before, row])).all()
        known.append({**row, "failed": f"{DIED_AGAIN}{row['failed']}"} if again else dict(row))
        self._rows[attack] = known
        self._tried.add((attack, *place))
        self._write_rows(attack, pd.DataFrame(known))
        assert self._suite is not None
        others = self._without(attack, row["given"], row["trial"])
        if others != self._suite["failed_trials"]:
            self._suite["failed_trials"] = others
            self._write_suite()

    def describe(self, attack: str, case: str) -> str:
        """One line of a log: how an attack did in a case."""
        name = attack if case == str(Case()) else f"{attack}, {case}"
        table = self.rows(attack)
        table = table[table["given"] == case]
        failed = [reason for reason in table["failed"] if reason]
        if len(failed) == len(table):
            return f"{name}: {_trials(len(failed), 'all')} broke down ({failed[0].rstrip('.')})"
        scored = table[table["failed"] == ""]
        failures = f"{_trials(len(failed))} broke down; " if failed else ""
        error = self._error(scored)
        result = _keys_broken(scored, error) if scored["key_error"].notna().any() else _measured(scored, error)
        return f"{name}: {failures}{result}; {scored['seconds'].median():.1f} s of CPU each"

    def _without(self, attack: str, case: str, trial: int) -> list[dict[str, Any]]:
        """What is recorded of trials that failed, but one."""
        assert self._suite is not None
        this = attack, case, trial
        return [one for one in self._suite["failed_trials"] if (one["attack"], one["given"], one["trial"]) != this]

    def _error(self, table: pd.DataFrame) -> str:
        """The task's error beside that of the plain model; empty where there is no task."""
        if not table["error"].notna().any():
            return ""
        plain = "" if self._plain_error is None else f" (plain model {self._plain_error:.1f} %)"
        return f"error {table['error'].median():.1f} %{plain}"

    @cached_property
    def _plain_error(self) -> float | None:
        """The task's error in percent of the plain model, as the sweep of incorrect keys found it; None without one."""
        manifest = self.manifest()
        if manifest is None:
            return None
        metric = manifest["config"].get("metric") or PRIMARY_METRIC[manifest["config"]["task"]]
        rows, _ = read_scores(self.path, manifest)
        plain = rows[(rows["condition"] == "plain") & (rows["metric"] == metric)]["value"]
        return float(error_percent(metric, plain.to_numpy())[0]) if len(plain) else None

    def _continued(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """What `suite.json` says of the run that is continued; None where a new one begins."""
        found = self.suite()
        if found is None:
            return None
        before = found.get("identity", {})
        differing = [name for name in identity if not same(before.get(name), identity[name])]
        if not differing:
            return found
        if not table_files(self.suite_path.parent):
            return None
        harness = before.get("harness", 1)
        if harness < HARNESS:
            raise BadInput(
                f"{self.path} was made by an earlier wrongkey (harness {harness}, here {HARNESS}), which did not "
                "record the settings of attacks: choose another --out."
            )
        raise BadInput(f"{self.path} holds attacks made with another {', '.join(differing)}: choose another --out.")

    def _check_settings(self, before: Mapping[str, Any], attacks: Iterable[CompleteAttack]) -> None:
        """What the rows of one attack depend on, as those of all attacks do on the identity."""
        for attack in attacks:
            if not self._file(attack.name).exists():
                continue
            changed = changed_setting(before.get(attack.name, {}).get("settings", {}), settings_of(attack))
            if changed:
                raise BadInput(
                    f"{self.path} holds rows of {attack.name} made with another setting {changed}: choose another "
                    "--out."
                )

    def _known(self, attack: str) -> list[dict[str, Any]]:
        if attack not in self._rows:
            path = self._file(attack)
            try:
                suite = self._suite or self.suite()
                self._rows[attack] = read_attack(path, suite).table.to_dict("records") if path.exists() else []
            except Damaged as error:
                raise BadInput(f"{path} is broken ({error}): run the attack again.") from None
        return self._rows[attack]

    def _mend_attacks(self, suite: Mapping[str, Any] | None) -> None:
        """Set aside every damaged result file, and seal those of an older wrongkey."""
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
    """What the rows of all attacks depend on: configuration, and hashes of the speech and of the weights."""
    configured = {name: value for name, value in asdict(config).items() if name not in (*FREE, *DIGESTED)}
    return {
        "harness": HARNESS,
        **configured,
        "speech of the victims": target.victims_corpus.digest(),
        "speech of others": target.background_corpus.digest(),
        "weights": None if target.model is None else digest_of_weights(target.model.network),
        "blocks": target.setting.blocks,
        "block": target.cut.block_size,
    }


def _extended(config: AttackConfig, before: Mapping[str, Any]) -> dict[str, Any]:
    """The trials and seconds of all sessions of a run, of which each may ask for more or for others."""
    seconds = sorted({*config.seconds, *(before.get("seconds") or config.seconds)}) if config.seconds else ()
    return {"trials": max(config.trials, before.get("trials", 0)), "seconds": tuple(seconds)}


def _trials(number: int, every: str = "") -> str:
    """A number of trials in words; `every` comes before it where there are several."""
    return "1 trial" if number == 1 else f"{every} {number} trials".strip()


def _keys_broken(table: pd.DataFrame, error: str) -> str:
    snr = table["snr"].median()
    heard = "decryption exact" if snr >= EXACT else f"median SNR {snr:.0f} dB"
    return ", ".join(filter(None, (f"{broken(table).sum()} of {len(table)} keys broken", heard, error)))


def _measured(table: pd.DataFrame, error: str) -> str:
    """Medians of what an attack without a key measured."""
    medians = pd.DataFrame([json.loads(text) for text in table["measured"]]).median(numeric_only=True)
    words = [f"{name} {value:.3g}" for name, value in medians.items()]
    return ", ".join([f"{error} without a key", *words] if error else words)
