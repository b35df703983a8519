"""The file that a stopped training goes on from."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from wrongkey.errors import BadInput
from wrongkey.files import atomic_write


@dataclass
class Checkpoint:
    """The state of a training on disk.

    Parameters
    ----------
    path
        The file.
    recipe
        What decides the weights beside the data; a checkpoint of another recipe is refused.
    parts
        Everything with a `state_dict`: network, its average, optimiser, schedule.
    done
        Steps or epochs so far.
    seconds
        Wall time so far.
    """

    path: Path
    recipe: dict[str, Any]
    parts: dict[str, Any]
    done: int = 0
    seconds: float = 0.0
    _begin: float = field(default_factory=time.perf_counter)

    def resume(self) -> None:
        """Load the file if it exists; BadInput if it is damaged or belongs to another recipe."""
        if not self.path.is_file():
            return
        try:
            saved = torch.load(self.path, weights_only=True)
        except Exception as error:  # what a damaged file raises depends on its first bytes
            raise BadInput(f"{self.path} cannot be read: remove it, and this training starts again.") from error
        if saved.get("recipe") != self.recipe or "done" not in saved:
            raise BadInput(f"{self.path} belongs to another recipe: give another --out, or the same flags.")
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])
        self.done, self.seconds = saved["done"], saved["seconds"]

    @property
    def age(self) -> float:
        """Seconds since the last `save`, or since the training began."""
        return time.perf_counter() - self._begin

    def save(self, done: int) -> None:
        """Write the state; a killed run leaves the last complete checkpoint."""
        now = time.perf_counter()
        self.done, self.seconds, self._begin = done, self.seconds + now - self._begin, now
        states = {name: part.state_dict() for name, part in self.parts.items()}
        with atomic_write(self.path) as file:
            torch.save(states | {"recipe": self.recipe, "done": done, "seconds": self.seconds}, file)


def seconds_of(path: Path) -> float:
    """Return the wall time of a training by its checkpoint."""
    return float(torch.load(path, weights_only=True)["seconds"])
