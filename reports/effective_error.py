"""What an error is worth to an adversary: of an EER above 50 %, 100 minus it.

A verification system that is wrong more often than right need only be inverted. Every verdict and comparison that
asks how good a model is for an adversary asks here.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
CHANCE = 50.0  # percent


def is_two_sided(metric: str | None) -> bool:
    """Whether errors of a metric above chance help an adversary as much as those below it.

    Examples
    --------
    >>> is_two_sided("eer"), is_two_sided("wer")
    (True, False)
    """
    return metric == "eer"


def effective_error(error: ArrayLike) -> Array:
    """An EER as an adversary may turn it.

    Parameters
    ----------
    error : array_like
        EERs in percent, 0 to 100; NaN stays NaN.

    Returns
    -------
    ndarray
        Of the same shape, 0 to 50.

    Examples
    --------
    >>> effective_error([8.0, 93.0]).tolist()
    [8.0, 7.0]
    """
    error = np.asarray(error, dtype=np.float64)
    return np.where(error > CHANCE, 100 - error, error)


def effective_interval(error: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[Array, Array, Array]:
    """An EER with its interval as an adversary may turn it; the interval follows its error and keeps its width.

    Parameters
    ----------
    error, low, high : array_like
        EERs in percent and the ends of their intervals, of one shape.

    Returns
    -------
    tuple of ndarray
        Effective error, lower end and upper end. An interval across 50 % may end above it.

    Examples
    --------
    >>> [float(end) for end in effective_interval(93.0, 90.0, 98.0)]
    [7.0, 2.0, 10.0]
    """
    error, low, high = (np.asarray(values, dtype=np.float64) for values in (error, low, high))
    turned = error > CHANCE
    return effective_error(error), np.where(turned, 100 - high, low), np.where(turned, 100 - low, high)
