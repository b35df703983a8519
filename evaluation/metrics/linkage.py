"""Linkability D_sys: how far scores tell that two recordings are of one person, averaged over that person's scores.

Local linkability of a score `s` is `D(s) = max(0, P(same | s) - P(other | s))` with equal priors, and `D_sys` its mean
over target trials: 0 where both kinds of trials score alike, 1 where they never share a score. Unlike EER it sees
scores that mislead and scores in two heaps, since it asks for no threshold.

References: M. Gomez-Barrero, J. Galbally, C. Rathgeb, C. Busch, "General framework to evaluate unlinkability in
biometric template protection systems", IEEE TIFS 13(6), 2018; for speech, M. Maouche et al., "A comparative study of
speech anonymization metrics", Interspeech 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_BINS = 100
TARGETS_PER_BIN = 10


def bins_of(targets: int) -> int:
    """Bins of the histograms, as Maouche et al. choose them: one for ten target trials, and 100 at most."""
    return min(targets // TARGETS_PER_BIN, MOST_BINS)


def linkability(scores: NDArray[np.floating], target: NDArray[np.bool_]) -> NDArray[np.float64]:
    """D_sys of each key, `(keys,)`, 0 to 1, from histograms with `bins_of` equal bins between the extreme scores.

    With `p` and `q` the shares of target and of non-target trials in a bin, `D_sys = Σ p max(0, p - q) / (p + q)`. The
    reference implementation integrates the same function by the trapezoidal rule over the bins' centres, which leaves
    out half of the first and half of the last bin; here nothing is left out, so that scores that separate give 1.

    scores: `(keys, trials)`.  target: `(trials,)`, with at least 20 target trials (2 bins).
    """
    p, q = (_shares(scores, kind, bins_of(int(target.sum()))) for kind in (target, ~target))
    gap = np.maximum(p - q, 0)
    local = np.divide(p * gap, p + q, out=np.zeros_like(p), where=p > 0)
    return np.asarray(local.sum(-1))


def _shares(scores: NDArray[np.floating], kind: NDArray[np.bool_], bins: int) -> NDArray[np.float64]:
    """Share of the trials of a kind in each bin, `(keys, bins)`."""
    counts = np.stack([np.histogram(row[kind], bins, (row.min(), row.max()))[0] for row in scores])
    return np.asarray(counts / kind.sum())
