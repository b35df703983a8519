"""How much of a key space lies near one key, as the number of random guesses that reach it (paper, III-C).

The distance of two keys is relative, epsilon = |K - K'|_F / sqrt(N), from 0 to 2 (`wrongkey.keys.space` says what it
means for speech). For ROM the number is the inverse of the probability that a Haar random key falls within epsilon:

    keys(epsilon) = vol O(N) / (omega_d (epsilon sqrt(N))^d),    omega_d = pi^(d/2) / Gamma(d/2 + 1)
    vol O(N) = 2 * 2^(d/2) * prod_{k=1}^{N-1} vol S^k,           vol S^k = 2 pi^((k+1)/2) / Gamma((k+1)/2)

with d = N(N - 1)/2. The volume is that of the metric tr(dK^T dK), in which a rotation by theta has the length
sqrt(2) theta: hence 2^(d/2) over the product of unit spheres, of which the group is a tower (Ponting and Potter 1949);
the factor 2 counts both determinants. The ball is the flat one: the next term of ln keys(epsilon) is
-epsilon^2 N d / (16 (d + 2)), so the number is a little too large: by 0.1 bit for N = 4 and 1.4 bits (of 4,000) for
N = 64 at epsilon = 0.5. tests/keys/test_space.py compares with the exact probabilities for N = 2 and 3 and with draws.

Shuffling and Flipping are counted: a key that moves j of N elements is at sqrt(2 j / N), one that flips j signs at
2 sqrt(j / N). This module imports no torch: reports use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, floor, lgamma, log, log2, log10, pi

from wrongkey.errors import BadInput
from wrongkey.keys.family import known_scheme
from wrongkey.keys.schemes import SCHEMES, Scheme

TOLERANCE = 0.1
LARGEST_TOLERANCE = 0.5  # up to here the flat ball is a good one


def log10_guesses(scheme: str, size: int, tolerance: float = TOLERANCE) -> float | None:
    """log10 of the expected number of uniformly random keys until one lies within `tolerance` of a given key.

    One over the probability at size N, with repetition; 0 where every key does. Finite schemes beside the paper's are
    counted exactly, without a tolerance. None for a user's scheme, which is not opened for this, and for a continuum
    whose volume is not known. Raises BadInput for a tolerance out of (0, 0.5].
    """
    _check(tolerance)
    known = known_scheme(scheme)
    for name, guesses in GUESSES.items():
        if known is not None and known.matrices is SCHEMES[name].matrices:  # also with options that change no key
            return guesses(size, tolerance)
    bits = None if known is None else countable_bits(known, size, tolerance)
    return None if bits is None else bits * log10(2)


@dataclass(frozen=True)
class Countable:
    """Keys that can be counted: 2 ** `finite` ones, times `copies` independent Haar distributed ones of `size` n."""

    finite: float = 0.0
    copies: int = 0
    size: int = 0

    @property
    def dimension(self) -> int:
        """Free parameters of the continuum."""
        return self.copies * self.size * (self.size - 1) // 2

    def bits(self, tolerance: float) -> float:
        """log2 of the number of keys that are distinguishable at a tolerance."""
        continuum = distinguishable_bits(self.size, tolerance, self.copies) if self.copies else 0.0
        return self.finite + continuum


def countable(scheme: Scheme, size: int) -> Countable | None:
    """What there is to count of a scheme at size N; None for a continuum whose volume is not known."""
    if (space := scheme.space(size)) is not None:
        return Countable(finite=log2(space))
    if scheme.haar:
        return Countable(copies=1, size=size)
    if scheme.structure is None or scheme.derived is not None:
        return None
    found = [countable(part.scheme, part.size) for part in scheme.structure.parts(size)]
    parts = [part for part in found if part is not None]
    sizes = {part.size for part in parts if part.copies}
    if len(parts) < len(found) or len(sizes) > 1:
        return None
    return Countable(sum(part.finite for part in parts), sum(part.copies for part in parts), *sizes)


def countable_bits(scheme: Scheme, size: int, tolerance: float = TOLERANCE) -> float | None:
    """log2 of the number of keys of a scheme, at a tolerance where they form a continuum; None where nobody knows."""
    found = countable(scheme, size)
    return None if found is None else found.bits(tolerance)


def derangements(count: int) -> int:
    """Permutations of `count` elements that leave none in place: 1, 0, 1, 2, 9, 44, ..."""
    number = 1
    for k in range(1, count + 1):
        number = k * number + (-1) ** k
    return number


def _shuffling(size: int, tolerance: float) -> float:
    moved = range(floor(tolerance**2 * size / 2 + 1e-9) + 1)
    return lgamma(size + 1) / log(10) - log10(sum(comb(size, j) * derangements(j) for j in moved))


def _flipping(size: int, tolerance: float) -> float:
    flipped = range(floor(tolerance**2 * size / 4 + 1e-9) + 1)
    return size * log10(2) - log10(sum(comb(size, j) for j in flipped))


def _rom(size: int, tolerance: float) -> float:
    return distinguishable_bits(size, tolerance) * log10(2)


# By scheme, because reports know a run's scheme by its name alone.
GUESSES: dict[str, Callable[[int, float], float]] = {"shuffling": _shuffling, "flipping": _flipping, "rom": _rom}


def distinguishable_bits(size: int, tolerance: float, copies: int = 1) -> float:
    """log2 of the number of orthogonal N x N matrices that are distinguishable at |K - K'|_F / sqrt(N).

    With `copies` P > 1 a key is P independent matrices, and the distance is that of all of them:
    |K - K'|_F / sqrt(P N), in a product of P groups.
    """
    _check(tolerance)
    dimension = copies * size * (size - 1) // 2
    ball = log_ball_volume(dimension) + dimension * log(tolerance * (copies * size) ** 0.5)
    return (copies * log_group_volume(size) - ball) / log(2)


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


def _check(tolerance: float) -> None:
    if not 0 < tolerance <= LARGEST_TOLERANCE:
        raise BadInput(f"The tolerance of a key must be above 0 and at most {LARGEST_TOLERANCE}, not {tolerance}.")
