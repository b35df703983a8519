"""Attacks that take their time, for tests that stop a worker or its caller meanwhile and for `benchmarks/faults.py`."""

import time
from pathlib import Path

import numpy as np

from wrongkey.attacks.base import AttackDefaults, Case, Recovery, Threat
from wrongkey.attacks.harness.salt import attack_seed


class Dawdling(AttackDefaults):
    """Answers the first trial of a run at once, and the others after some seconds."""

    name = "dawdling"
    family = 5
    threat = Threat("Waits.", frozenset())

    def __init__(self, run_seed: int, seconds: float, log: Path) -> None:
        self.first, self.pause, self.log = attack_seed(run_seed, 0), seconds, str(log)

    def inapplicable(self, setting):
        return None

    def cases(self, setting):
        return [Case()]

    def run(self, evidence):
        """A wrong key; the log has a line for every trial that was begun."""
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(f"{evidence.seed}\n")
        time.sleep(0.0 if evidence.seed == self.first else self.pause)
        return Recovery(np.eye(evidence.setting.size))


class Hanging(Dawdling):
    """Waits longer than anybody in trial 1 of a run of seed 0."""

    name = "hanging"

    def __init__(self) -> None:
        self.bad = attack_seed(0, 1)

    def run(self, evidence):
        """A wrong key."""
        time.sleep(3600.0 if evidence.seed == self.bad else 0.0)
        return Recovery(np.eye(evidence.setting.size))
