"""Key space (paper, III-C): how many keys a scheme has, exactly or at a tolerance, in bits.

Shuffling has N! keys and Flipping 2^N. ROM's keys form a continuum, the orthogonal group O(N) of dimension
d = N(N - 1)/2, so a count needs a tolerance: how near a key must come to the correct one to pass for it. The
distance is relative,

    epsilon = |K - K'|_F / sqrt(N),

from 0 to 2: encrypting white speech with K' instead of K leaves an error of epsilon^2 times the energy of
the speech (epsilon = 0.1 is a signal-to-error ratio of 20 dB). The number of distinguishable keys is the
inverse of the probability that one Haar random key falls within epsilon of the correct one: the expected
number of random guesses, and a lower bound of the number of balls that cover the group (metric entropy,
Szarek 1997):

    keys(epsilon) = vol O(N) / (omega_d (epsilon sqrt(N))^d),    omega_d = pi^(d/2) / Gamma(d/2 + 1)
    vol O(N) = 2 * 2^(d/2) * prod_{k=1}^{N-1} vol S^k,           vol S^k = 2 pi^((k+1)/2) / Gamma((k+1)/2)

The volume is that of the metric tr(dK^T dK), in which a rotation by theta has the length sqrt(2) theta:
hence 2^(d/2) over the product of unit spheres, of which the group is a tower (Ponting and Potter 1949); the
factor 2 counts both determinants. The ball is the flat one: the next term of ln keys(epsilon) is
-epsilon^2 N d / (16 (d + 2)), which is 0.1 bit for N = 4 and 1.4 bits (of 4,000) for N = 64 at epsilon = 0.5.
tests/keys/test_space.py compares with the exact probabilities for N = 2 and 3 and with draws.
"""

from dataclasses import dataclass
from math import lgamma, log, log2, pi

from keys.errors import BadInput
from keys.key import check_block
from keys.schemes import Scheme, get_scheme

TOLERANCE = 0.1
LARGEST_TOLERANCE = 0.5  # up to here the flat ball is a good one


@dataclass(frozen=True)
class KeySpace:
    """The key space of a scheme for one block.

    scheme, block_size (M), dims (1 or 2), size (N = M ** dims): what was asked.
    count: exact number of keys; None for a continuum.
    bits: log2 of the count, or of the number of keys that are distinguishable at `tolerance`.
    dimension: free parameters of a continuum, 0 for a finite scheme.
    tolerance: epsilon = |K - K'|_F / sqrt(N) at which `bits` counts a continuum; None for a finite scheme.
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
    """The key space of a scheme: exact where it is finite, at a tolerance in (0, 0.5] for ROM.

    Raises BadInput for a tolerance out of range and for a user's scheme that is continuous.
    """
    check_block(block_size, dims)
    scheme = get_scheme(scheme)
    size = block_size**dims
    count = scheme.space(size)
    if count is not None:
        return KeySpace(scheme.name, block_size, dims, size, count, log2(count), 0, None)
    if scheme.name != "rom":
        raise BadInput(f"The keys of the scheme {scheme.name!r} form a continuum of a volume that is not known.")
    bits = distinguishable_bits(size, tolerance)
    return KeySpace(scheme.name, block_size, dims, size, None, bits, size * (size - 1) // 2, tolerance)


def distinguishable_bits(size: int, tolerance: float) -> float:
    """log2 of the number of orthogonal N x N matrices that are distinguishable at |K - K'|_F / sqrt(N)."""
    if not 0 < tolerance <= LARGEST_TOLERANCE:
        raise BadInput(f"The tolerance of a key must be above 0 and at most {LARGEST_TOLERANCE}, not {tolerance}.")
    dimension = size * (size - 1) // 2
    ball = log_ball_volume(dimension) + dimension * log(tolerance * size**0.5)
    return (log_group_volume(size) - ball) / log(2)


def log_group_volume(size: int) -> float:
    """Natural logarithm of the volume of O(N) in the metric tr(dK^T dK)."""
    dimension = size * (size - 1) // 2
    return log(2) + dimension / 2 * log(2) + sum(log_sphere_area(k) for k in range(1, size))


def log_sphere_area(dimension: int) -> float:
    """Natural logarithm of the area of the unit sphere S^k: log 2 pi at k = 1, log 4 pi at k = 2."""
    half = (dimension + 1) / 2
    return log(2) + half * log(pi) - lgamma(half)


def log_ball_volume(dimension: int) -> float:
    """Natural logarithm of the volume of the unit ball in d dimensions."""
    return dimension / 2 * log(pi) - lgamma(dimension / 2 + 1)
