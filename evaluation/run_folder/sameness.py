"""When two values of a manifest are the same. Imports nothing: workers and readers compare by it."""

from __future__ import annotations

import math
from typing import Any


def same(before: Any, now: Any) -> bool:
    """Whether two values are equal, up to the rounding of numbers that another machine computed."""
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=1e-3)
    return bool(before == now)
