"""What the trainings of the bundled recogniser and classifier share: a checkpoint, averaged weights, a stopwatch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wrongkey.errors import BadInput


@dataclass
class Checkpoint:
    """A file that a stopped training goes on from.

    parts: everything with a `state_dict` (network, its average, optimiser, schedule). done and seconds: what was
    trained so far, steps or epochs and wall time.
    """

    path: Path
    recipe: dict[str, Any]
    parts: dict[str, Any]
    done: int = 0
    seconds: float = 0.0
    _begin: float = field(default_factory=time.perf_counter)

    def resume(self) -> None:
        """Loads the file where there is one; raises BadInput where it is damaged or of another recipe."""
        if not self.path.is_file():
            return
        try:
            saved = torch.load(self.path, weights_only=True)
        except Exception as error:  # what a damaged file raises depends on its first bytes
            raise BadInput(f"{self.path} cannot be read: remove it, and this training starts again") from error
        if saved.get("recipe") != self.recipe or "done" not in saved:
            raise BadInput(f"{self.path} belongs to another recipe: give another --out, or the same flags")
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])
        self.done, self.seconds = saved["done"], saved["seconds"]

    def save(self, done: int) -> None:
        """Written beside and renamed, so that a killed run leaves the last whole checkpoint."""
        now = time.perf_counter()
        self.done, self.seconds, self._begin = done, self.seconds + now - self._begin, now
        states = {name: part.state_dict() for name, part in self.parts.items()}
        part_file = self.path.with_suffix(".part")
        torch.save(states | {"recipe": self.recipe, "done": done, "seconds": self.seconds}, part_file)
        part_file.replace(self.path)


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, share: float) -> None:
    """Moves `average` towards `network`, keeping `share` of it; whole numbers (counts of batches) are taken over."""
    for name, value in average.state_dict().items():
        new = network.state_dict()[name]
        value.copy_(share * value + (1 - share) * new if value.is_floating_point() else new)


@torch.inference_mode()
def least_milliseconds(function: Callable[[Tensor], Tensor], argument: Tensor, repeats: int = 200) -> float:
    """The least wall time of a call: other programs can only add to it."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function(argument)
        times.append(time.perf_counter() - begin)
    return 1e3 * min(times)
