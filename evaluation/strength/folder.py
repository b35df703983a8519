"""A strength run on disk, in the folder `strength/` of a run folder.

`strength.json` has every level in numbers and the estimates; it is written anew after every level. The population of
the last level and the finished chains of the one in work lie beside it, sealed like tables of scores
(`wrongkey.evaluation.run_folder.tables`), until they are needed no more. A chain file that is damaged or of other
settings is taken as missing and computed again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.evaluation.run_folder.strength import FILE, Strength, strength_content
from wrongkey.evaluation.run_folder.tables import Damaged, identity_digest, read_table, write_table
from wrongkey.evaluation.strength.splitting import Population
from wrongkey.files import explained_errors

NAME = re.compile(r"chains-(\d{1,6})-(\d{1,6})-(\d{1,15})-(\d{1,15})")


class StrengthFolder:
    """The files of a strength run.

    Parameters
    ----------
    run : RunFolder
        The run folder, claimed.
    settings : mapping
        All that the chains depend on beside the run's identity.
    """

    def __init__(self, run: RunFolder, settings: Mapping[str, Any]) -> None:
        self._run, self.path = run, run.path / "strength"
        manifest = run.manifest() or {}
        self._seal = identity_digest({"identity": manifest.get("identity"), **settings})

    def content(self) -> dict[str, Any] | None:
        """What `strength.json` holds; None where there is none. Raises BadInput where it is broken."""
        return strength_content(self._run.path)

    def make(self) -> None:
        """Make the folder."""
        self._run.make("strength")

    def write(self, content: Mapping[str, Any]) -> None:
        """Write `strength.json`."""
        self.make()
        self._run.write_json(FILE, {"format": Strength.FORMAT, **content})

    def keep(self, repetition: int, level: int, start: int, chains: Population) -> None:
        """Write finished chains, numbered from `start` on."""
        table = pd.DataFrame(
            {
                "state": list(chains.states),
                "error": chains.error,
                "tie": chains.tie,
                "ancestor": chains.ancestor,
                "accepted": chains.accepted,
            }
        )
        name = f"chains-{repetition}-{level:03d}-{start:08d}-{start + len(chains):08d}.parquet"
        with explained_errors(self.path, "free space or choose another --out; what is already there stays"):
            write_table(self.path / name, table, self._seal, "strength")

    def kept(self, repetition: int, level: int) -> dict[tuple[int, int], Population]:
        """The finished chains of a level that are sound, by their numbers `[start, stop)`."""
        found = {}
        for path, place in self._files():
            if place[:2] == (repetition, level):
                try:
                    table = read_table(path, self._seal, "strength", sealed=True).table
                except Damaged:
                    continue
                found[place[2:]] = Population(
                    np.stack(table["state"].to_list()),
                    *(table[name].to_numpy() for name in ("error", "tie", "ancestor", "accepted")),
                )
        return dict(sorted(found.items()))

    def prune(self, repetition: int, level: int | None = None) -> None:
        """Delete the chains of every level but this one of a repetition; all chains without a level."""
        for path, place in self._files():
            if place[:2] != (repetition, level):
                path.unlink()

    def _files(self) -> Iterator[tuple[Path, tuple[int, int, int, int]]]:
        for path in sorted(self.path.glob("chains-*.parquet")):
            if found := NAME.fullmatch(path.stem):
                repetition, level, start, stop = map(int, found.groups())
                yield path, (repetition, level, start, stop)
