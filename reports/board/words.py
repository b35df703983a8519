"""Words that several parts of the board use."""

from collections.abc import Sequence

import numpy as np

from wrongkey.reports.rounding import two_digits


def joined(phrases: Sequence[str]) -> str:
    """Phrases that may hold an "and" themselves.

    Examples
    --------
    >>> joined(["for A and B", "for C"])
    'for A and B, and for C'
    """
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])}, and {phrases[-1]}"


def cpu(seconds: float) -> str:
    """Processor time in short; empty where it was not measured.

    Examples
    --------
    >>> [cpu(value) for value in (0.0004, 0.024, 1.52, 75.0, 4000.0)]
    ['< 1 ms CPU', '24 ms CPU', '1.5 s CPU', '75 s CPU', '67 min CPU']
    """
    if not np.isfinite(seconds):
        return ""
    if seconds < 0.001:
        return "< 1 ms CPU"
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms CPU"
    return f"{two_digits(seconds)} s CPU" if seconds < 1000 else f"{seconds / 60:.0f} min CPU"
