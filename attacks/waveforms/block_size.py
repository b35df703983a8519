"""The block size of encrypted waveforms, from ciphertext alone: the period of its statistics.

Encryption block by block makes stationary speech cyclostationary: products `x(t) x(t + k)` of samples have lines in
their spectrum at the frequencies j / N, with N the samples that the key multiplies together. Plain speech, noise and
the output of a stream cipher have none there, whatever their spectrum, since that of their products is continuous.

Each frequency a / q in lowest terms, q up to the largest block, is tested for a line (Dandawaté and Giannakis, 1994):
the spectra `Z_m` of the products at p lags, at the frequency itself (m = 0) and at its J nearest neighbours. Without a
line all are circular Gaussian with one covariance, and Hotelling's

    T² = Z_0ᴴ (Σ_m Z_m Z_mᴴ / J)⁻¹ Z_0,    (J - p + 1) / (J p) T² ~ F(2 p, 2 (J - p + 1)),

has a distribution that does not depend on the signal. The period is the least common multiple of all q with lines.

References
----------
Dandawaté, Giannakis, "Statistical tests for presence of cyclostationarity", IEEE Trans. Signal Processing 42 (1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, lcm, log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, f

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.lag_covariances import moving_energy

Waveform = NDArray[np.floating]
ROUNDING = 1e-12  # of the energy of the products: lines below it mean nothing
LEAST = -700.0  # of a logarithm of a probability


@dataclass(frozen=True)
class PeriodSettings:
    """How lines are tested for.

    Attributes
    ----------
    largest : int
        The longest period, in samples.
    lags : int
        Products are taken of samples 0 to this many apart.
    most : float
        Seconds that are used, from the beginning.
    level : float
        Seconds of the moving mean of the power by which samples are divided: loud vowels must not drown the rest.
    floor : float
        The least power, relative to the mean, by which samples are divided.
    loud : float
        Runs of less power than this, once divided, are left out: in pauses codecs leave periods of their own.
    neighbours : int
        J, frequencies with which each is compared; even.
    run : float
        Seconds whose products are added up before the neighbours are told apart. There must be more than J loud runs,
        about a second: in less a steady vowel repeats as exactly as a block.
    chance : float
        Probability of a period where there is none, over all q, if all fractions of a denominator are independent.
    surely : float
        As `chance`, of further denominators once one has lines: of a signal with a period they are not independent.
    """

    largest: int = 128
    lags: int = 8
    most: float = 60.0
    level: float = 0.016
    floor: float = 1e-4
    loud: float = 0.1
    neighbours: int = 32
    run: float = 0.03
    chance: float = 1e-4
    surely: float = 5e-3


DEFAULTS = PeriodSettings()


@dataclass(frozen=True)
class Period:
    """The period of the statistics of waveforms.

    Attributes
    ----------
    samples : int or None
        The period; None where no frequency has a line.
    denominators : tuple of int
        Those whose fractions have lines, the most significant first.
    chance : float
        Natural logarithm of the probability that the most significant q looks so by chance, over all that were tested.
    """

    samples: int | None
    denominators: tuple[int, ...]
    chance: float


def period_of(waveforms: Sequence[Waveform], rate: float, settings: PeriodSettings = DEFAULTS, span: int = 1) -> Period:
    """The period of waveforms `(samples,)` that all begin with a block; 2 to `settings.largest` samples.

    Of `span` blocks that a key multiplies together it may be a common multiple of such periods, up to `span` times as
    many samples.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((8_000, 4))
    >>> period_of([noise.ravel()], 16_000).samples, period_of([(noise * [1, 1, 2, 1]).ravel()], 16_000).samples
    (None, 4)
    """
    products = _products_of(waveforms, rate, settings)
    tested = range(2, settings.largest + 1)
    energy = _energy(products)
    lines = {q: _logarithms(products, energy, q, rate, settings) for q in tested}
    together = {q: max(float(chi2.logsf(-2 * each.sum(), 2 * len(each))), LEAST) for q, each in lines.items()}
    first, *others = sorted(together, key=together.__getitem__)
    chance = min(together[first] + log(len(tested)), 0.0)
    if chance > log(settings.chance):
        return Period(None, (), chance)
    sure = log(settings.surely / len(tested))
    found, period = [first], first
    for q in others:
        if lines[q].mean() <= sure and lcm(period, q, span) <= settings.largest * span:
            found.append(q)
            period = lcm(period, q)
    return Period(period, tuple(found), chance)


def block_within(
    waveforms: Sequence[Waveform], period: int, rate: float, settings: PeriodSettings = DEFAULTS
) -> int | None:
    """The least divisor of the period that may be the block of orthogonal keys in turn; None where all have lines.

    An orthogonal key leaves the energy of its block as it is, so that the energies of right blocks have no period.
    """
    levelled = [_levelled(waveform, rate, settings) for waveform in waveforms]
    sure = log(settings.surely)
    for block in (divisor for divisor in range(1, period) if period % divisor == 0):
        energies = [np.square(x[: len(x) // block * block]).reshape(1, -1, block).mean(2) for x in levelled]
        turns = [q for q in range(2, period // block + 1) if period // block % q == 0]
        whole, slower = _energy(energies), rate / block
        if min(_logarithms(energies, whole, q, slower, settings).mean() for q in turns) > sure - log(len(turns)):
            return block
    return None


def _products_of(waveforms: Sequence[Waveform], rate: float, settings: PeriodSettings) -> list[Matrix]:
    """Products `(lags + 1, t)` of the samples of each waveform, as far as they are used."""
    left, products = round(settings.most * rate), []
    for waveform in waveforms:
        x = _levelled(waveform[:left], rate, settings)
        left -= len(x)
        count = max(len(x) - settings.lags, 0)
        products.append(np.stack([x[:count] * x[lag : lag + count] for lag in range(settings.lags + 1)]))
    return products


def _levelled(waveform: Waveform, rate: float, settings: PeriodSettings) -> Matrix:
    """A waveform divided by the root of its moving mean power, which keeps its period."""
    x = np.asarray(waveform, dtype=np.float64)
    reach = max(1, round(settings.level * rate / 2))
    power = moving_energy(x[:, None], 2 * reach)
    return x / np.sqrt(np.maximum(power, settings.floor * power.mean()) + 1e-300) if len(x) else x


def _energy(products: Sequence[Matrix]) -> float:
    return sum(float(np.square(part).sum()) for part in products)


def _logarithms(products: Sequence[Matrix], energy: float, q: int, rate: float, settings: PeriodSettings) -> Matrix:
    """Logarithms of the probability that a line is so strong by chance, at a / q, 1 <= a <= q / 2, in lowest terms.

    products: sequences `(p, t)` of this energy. Zero where they are too short to tell.
    """
    numerators = [a for a in range(1, q // 2 + 1) if gcd(a, q) == 1]
    folded = _folded(products, q, rate, settings)
    count, runs, _ = folded.shape
    if runs <= settings.neighbours:
        return np.zeros(len(numerators))
    reach = np.arange(1, settings.neighbours // 2 + 1)
    offsets = np.concatenate([[0], reach, -reach])
    waves = np.exp(-2j * np.pi * np.outer(offsets, np.arange(runs)) / runs)
    spectra = (waves @ np.fft.rfft(folded, axis=2)[:, :, numerators]).transpose(2, 0, 1)  # (numerators, p, m)
    here, near = spectra[:, :, 0], spectra[:, :, 1:]
    covariance = near @ near.conj().mT / settings.neighbours
    rounding = ROUNDING * energy + 1e-300
    solved = np.linalg.solve(covariance + rounding * np.eye(count), here[:, :, None])[:, :, 0]
    distance = np.einsum("ap,ap->a", here.conj(), solved).real
    free = settings.neighbours - count + 1
    sides = 1 if q == 2 else 2  # at a half the spectrum is real, and neighbours come in conjugate pairs
    logarithms: Matrix = f.logsf(free / (settings.neighbours * count) * distance, sides * count, sides * free)
    return np.maximum(logarithms, LEAST)


def _folded(products: Sequence[Matrix], q: int, rate: float, settings: PeriodSettings) -> Matrix:
    """Sums `(p, runs, q)` of products over the periods of a run, in runs of equal length that are no pauses.

    The first products are of samples with themselves.
    """
    length = max(1, round(settings.run * rate / q))
    whole = [part[:, : part.shape[1] // (length * q) * length * q] for part in products]
    folded = np.concatenate([part.reshape(len(part), -1, length, q).sum(2) for part in whole], axis=1)
    return folded[:, folded[0].sum(1) >= settings.loud * length * q]
