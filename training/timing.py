"""How long a call takes."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor


@torch.inference_mode()
def least_milliseconds(function: Callable[[Tensor], Tensor], argument: Tensor, repeats: int = 200) -> float:
    """Return the least wall time of a call in ms: other programs can only add to it."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function(argument)
        times.append(time.perf_counter() - begin)
    return 1e3 * min(times)
