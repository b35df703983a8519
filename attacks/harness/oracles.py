"""What answers an attack: the encryption and the encrypted model. They know the key, and stay in the harness."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from wrongkey.attacks.base import Matrix

MOST_QUERIES = 100_000  # where a case does not say how many there are


@dataclass
class Oracles:
    """Functions by name, and the one budget of queries that they share.

    A query is a key that the model is asked under (`ask` and `error`, with matrices `(n, N, N)`), or a block to encrypt
    (`encrypt`, with blocks `(n, N)`).

    Attributes
    ----------
    functions : mapping of str to callable
        The oracles that may be asked.
    size : int
        N, elements of a block.
    limit : int
        Queries that are answered.
    spent : int
        Queries so far.
    seconds : float
        CPU time of the answers.
    """

    functions: Mapping[str, Callable[[Matrix], object]]
    size: int
    limit: int = MOST_QUERIES
    spent: int = 0
    seconds: float = 0.0

    def answer(self, name: str, asked: Matrix) -> tuple[bool, object]:
        """Whether there is an answer, and the answer, or one sentence that says why there is none."""
        if name not in self.functions:
            return False, f"This threat model has no oracle that answers {name!r}."
        shape = (self.size,) if name == "encrypt" else (self.size, self.size)
        if asked.ndim < 1 or asked.shape[1:] != shape or asked.dtype.kind not in "fiub" or not np.isfinite(asked).all():
            return False, f"{name} takes finite numbers of shape (n, {', '.join(map(str, shape))})."
        if self.spent + len(asked) > self.limit:
            left = self.limit - self.spent
            return False, f"{len(asked):,} queries are asked, and {left:,} of the {self.limit:,} of this case are left."
        self.spent += len(asked)
        begin = time.process_time()
        answer = self.functions[name](asked.astype(np.float64))
        self.seconds += time.process_time() - begin
        return True, answer
