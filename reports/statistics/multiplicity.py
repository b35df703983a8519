"""Several hypotheses tested together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values that are looked at together, so that a true hypothesis is seldom rejected.

    Parameters
    ----------
    p : array_like
        p-values `(..., m)` of m hypotheses, 0 to 1.

    Returns
    -------
    ndarray
        Corrected p-values `(..., m)` [1]_: rejecting those up to a level rejects a true hypothesis, however many of
        the m are true, with a probability of at most that level.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6,
       1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, axis=-1)
    steps = np.take_along_axis(p, order, axis=-1) * np.arange(p.shape[-1], 0, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0), axis=-1)
    return adjusted
