"""One thing that is another in a run that was made again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class Difference:
    """A score, or the answer to a trial or an utterance.

    Attributes
    ----------
    condition : str
        "incorrect" of a key, or the condition without one.
    key : int
        The incorrect key's number; -1 of a condition without one.
    of : str
        The metric, the trial or the utterance.
    there, here : float or str or None
        What it was, and what it is now; None where it is missing.

    Examples
    --------
    >>> Difference("incorrect", 7, "eer", 26.0, 26.5).size
    0.5
    >>> Difference("incorrect", 7, "an utterance", "one two", "one too").size
    inf
    >>> Difference("incorrect", 7, "eer", 26.0, float("nan")).size
    inf
    """

    condition: str
    key: int
    of: str
    there: float | str | None
    here: float | str | None

    @property
    def size(self) -> float:
        """How far the two are apart; infinite where they are no numbers, or only one is there."""
        if isinstance(self.there, float) and isinstance(self.here, float):
            size = abs(self.there - self.here)
            return size if isfinite(size) else float("inf")
        return float("inf")

    def to_json(self) -> dict[str, Any]:
        """Return the difference as a document."""
        return asdict(self)
