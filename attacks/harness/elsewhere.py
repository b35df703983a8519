"""What a process is told that runs trials for the harness: others of this machine, or the workers of a Dask cluster.

It makes the target once, from the configuration, and is told the secrets of one trial at a time, never the salt.
"""

from __future__ import annotations

import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.results import identity_of
from wrongkey.attacks.harness.target import Target
from wrongkey.evaluation.digests import digest_of_weights
from wrongkey.evaluation.processes.cluster import folder_of_worker
from wrongkey.evaluation.processes.lists import Lists, lists_of
from wrongkey.evaluation.processes.spread import held
from wrongkey.evaluation.processes.workers import Identity, check_same_files, same_files_expected


@dataclass(frozen=True)
class Told:
    """From what a process makes the target.

    Attributes
    ----------
    config : AttackConfig
        What is attacked.
    folder : str or None
        The run folder; None on another machine, where a folder of the worker's own has the lists of utterances.
    lists : Lists
        Those that `config` names, for another machine; empty for this one.
    expected : tuple
        What another machine must find, by name: hashes of speech and weights, and the size of some answers.
    """

    config: AttackConfig
    folder: str | None
    lists: Lists
    expected: Identity

    def target(self) -> Target:
        """The target, made once by each process.

        Raises BadInput where another machine lacks files of the caller's, or finds others, and `Unknown` where it lacks
        a list of utterances.
        """
        return held(self, self._made)

    def _made(self) -> Target:
        if self.folder is not None:
            return Target(self.config, Path(self.folder))
        folder = Path(mkdtemp(prefix="wrongkey-", dir=folder_of_worker()))
        try:
            with same_files_expected():
                target = Target(self.lists.written(self.config, folder), folder)
                found = found_by(target)
            check_same_files(self.expected, found)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        weakref.finalize(target, shutil.rmtree, folder, ignore_errors=True)
        return target


def told_here(target: Target) -> Told:
    """For the processes of this machine, which read the caller's own files."""
    return Told(target.config, str(target.folder), Lists(), ())


def told_elsewhere(target: Target) -> tuple[Told, dict[str, bytes]]:
    """For a Dask cluster, and the packed lists that its workers are sent."""
    lists, packed = lists_of(target.config)
    return Told(target.config, None, lists, tuple(found_by(target).items())), packed


def found_by(target: Target) -> dict[str, Any]:
    """What trials depend on, as this process finds it."""
    found = identity_of(target.config, target)
    if target.model is not None:
        found |= target.experiment.identity()
    if target.recogniser is not None:
        found["recogniser"] = digest_of_weights(target.recogniser.network)
    return found
