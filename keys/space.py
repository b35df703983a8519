"""Key space (paper, III-C): how many keys a scheme has, exactly or at a tolerance, in bits.

Shuffling has N! keys and Flipping 2^N. ROM's keys form a continuum, the orthogonal group O(N) of dimension
d = N(N - 1)/2, so a count needs a tolerance: how near a key must come to the correct one to pass for it. The
distance is relative,

    epsilon = |K - K'|_F / sqrt(N),

from 0 to 2: encrypting white speech with K' instead of K leaves an error of epsilon^2 times the energy of
the speech (epsilon = 0.1 is a signal-to-error ratio of 20 dB). The number of distinguishable keys is the
inverse of the probability that one Haar random key falls within epsilon of the correct one (`wrongkey.keys.volume`):
the expected number of random guesses, and a lower bound of the number of balls that cover the group (metric entropy,
Szarek 1997).
"""

from dataclasses import dataclass
from math import log2

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import check_block
from wrongkey.keys.family import get_scheme, known_scheme
from wrongkey.keys.schemes import Scheme
from wrongkey.keys.volume import TOLERANCE, countable


@dataclass(frozen=True)
class KeySpace:
    """The key space of a scheme for one block.

    Attributes
    ----------
    scheme, block_size, dims, size
        What was asked: M, 1 or 2 dimensions, and N = P M ** dims of a key for P blocks.
    count
        Exact number of keys; None for a continuum.
    bits
        log2 of the count, or of the number of keys that are distinguishable at `tolerance`.
    dimension
        Free parameters of a continuum, 0 for a finite scheme.
    tolerance
        epsilon = |K - K'|_F / sqrt(N) at which `bits` counts a continuum; None for a finite scheme.
    """

    scheme: str
    block_size: int
    dims: int
    size: int
    count: int | None
    bits: float
    dimension: int
    tolerance: float | None


def key_space(scheme: str | Scheme, block_size: int, dims: int = 1, tolerance: float = TOLERANCE) -> KeySpace:
    """The key space of a scheme: exact where it is finite, at a tolerance for Haar distributed keys.

    Parameters
    ----------
    scheme
        A scheme or its name.
    block_size
        M, at least 1.
    dims
        1 or 2.
    tolerance
        epsilon in (0, 0.5], relative: how near a key must come to the correct one to pass for it.

    Returns
    -------
    KeySpace
        Count and bits.

    Raises
    ------
    BadInput
        For a tolerance out of range and for a continuous scheme whose keys are not Haar distributed.

    References
    ----------
    Szarek, "Metric entropy of homogeneous spaces", 1997.

    Examples
    --------
    >>> key_space("flipping", 10).count
    1024
    """
    check_block(block_size, dims)
    scheme = get_scheme(scheme)
    size = scheme.span * block_size**dims
    count = scheme.space(size)
    if count is not None:
        return KeySpace(scheme.name, block_size, dims, size, count, log2(count), 0, None)
    found = countable(scheme, size)
    if found is None:
        advice = "if they are Haar distributed, make it a Scheme(…, haar=True)"
        known = known_scheme(scheme.name) is not None
        raise BadInput(
            f"The keys of the scheme {scheme.name!r} form a continuum of a volume that is not known: "
            f"{'they cannot be counted' if known else advice}."
        )
    return KeySpace(scheme.name, block_size, dims, size, None, found.bits(tolerance), found.dimension, tolerance)
