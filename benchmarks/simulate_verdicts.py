"""How often random keys are called broken or weakened, where there is nothing to find.

The rules are those of `wrongkey.reports.attacks.decisions`.

``python benchmarks/simulate_verdicts.py [--runs N]`` prints two Markdown tables. In a run an "attack" draws a random
key of the scheme for every case and trial, and so does the null attack that it is compared with, 100 times. Keys are
the library's own; the speech of 20 victims is stationary, with spectra of one to three resonances, so that the SNR of a
wrong key is exact and differs between victims. The sign is granted. "Most" is the worst of 1, 5, 30 and 100 cases with
3, 10 and 30 trials. The second table says how often a real attack is called broken, by the share of keys that it
recovers, where random keys never hit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import toeplitz

from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.keys import draw_keys
from wrongkey.keys.labels import PAPER
from wrongkey.reports.attacks.cases import GRADED
from wrongkey.reports.attacks.decisions import breaks, larger, more_hits, share_interval, significant
from wrongkey.reports.statistics.multiplicity import holm

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
VICTIMS, NULL, POOL = 20, 100, 20_000
SIZES, CASES, TRIALS = (3, 5, 10), (1, 5, 30, 100), (3, 10, 30)
SHARES = (0.1, 0.2, 0.3, 0.5, 0.8, 1)  # of keys that a real attack recovers
MEASURED = (GRADED["key"][0], GRADED["speech"][0])
AT_ONCE = 4_000_000  # numbers compared at a time


@dataclass(frozen=True)
class Pool:
    """Scores of random keys: key_error `(keys,)`, snr `(victims, keys)`."""

    key_error: Array
    snr: Array

    @classmethod
    def of(cls, scheme: str, size: int, seed: int = 0, keys: int = POOL) -> Pool:
        """Draw the scores of pairs of random keys on stationary speech."""
        correct, guess = draw_keys(scheme, size, seed, 0, 2 * keys).reshape(2, keys, size, size)
        products = guess.mT @ correct
        trace = np.einsum("kii->k", products)
        error = np.sqrt(np.maximum(2 - 2 * np.abs(trace) / size, 0))
        covariances = np.stack([covariance(size, np.random.default_rng([seed, victim])) for victim in range(VICTIMS)])
        along = np.abs(np.einsum("vij,kij->vk", covariances, products)) / np.einsum("vii->v", covariances)[:, None]
        return cls(error, -10 * np.log10(np.maximum(2 - 2 * along, 1e-15)))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Array, Array]:
        """Key errors and SNRs of `shape`, whose last axis are trials: trial i has victim i."""
        keys = rng.integers(len(self.key_error), size=shape)
        victims = np.arange(shape[-1]) % VICTIMS
        return self.key_error[keys], self.snr[victims, keys]


def covariance(size: int, rng: np.random.Generator) -> Array:
    """Of a block of stationary sound with one to three resonances, at 16 kHz: `(size, size)`, ones on the diagonal."""
    lags, found = np.arange(size), np.zeros(size)
    for _ in range(rng.integers(1, 4)):
        hertz, width = rng.uniform(150, 4000), rng.uniform(50, 800)
        found += rng.exponential() * np.exp(-np.pi * width * lags / 16_000) * np.cos(2 * np.pi * hertz * lags / 16_000)
    return np.asarray(toeplitz(found / found[0]))


def words(pool: Pool, runs: int, cases: int, trials: int, seed: int) -> tuple[Flags, Flags, Flags]:
    """Per run of random keys: whether it is called broken, whether weakened or broken, and broken by the older rule.

    The older rule: half of the trials of some case, without a comparison.
    """
    found = [_words(pool, part, cases, trials, rng) for part, rng in _parts(runs, cases, trials, seed)]
    broken, weakened, older = (np.concatenate(one) for one in zip(*found, strict=True))
    return broken, weakened, older


def _words(pool: Pool, runs: int, cases: int, trials: int, rng: np.random.Generator) -> tuple[Flags, ...]:
    attack, null = pool.draw((runs, cases, trials), rng), pool.draw((runs, 1, NULL), rng)
    hits, null_hits = (
        np.stack([(error < RECOVERED).sum(-1), (snr >= DECRYPTED).sum(-1)], axis=-1) for error, snr in (attack, null)
    )  # (runs, cases, 2)
    shares = more_hits(hits, trials, null_hits, NULL)
    better = [
        [one.better(values) for values in pair]
        for one, pair in zip(MEASURED, zip(attack, null, strict=True), strict=True)
    ]
    tendencies = [larger(ours, np.broadcast_to(theirs, (runs, cases, NULL))) for ours, theirs in better]
    p = holm(np.concatenate([shares, np.stack(tendencies, axis=-1)], axis=-1).reshape(runs, -1)).reshape(runs, cases, 4)
    low = np.array([share_interval(k, trials)[0] for k in range(trials + 1)])
    broken = breaks(p[..., :2], low[hits], trials)
    same_victims = np.arange(NULL) % VICTIMS < trials
    beside = (better[0][1], better[1][1][..., same_victims])  # a key error has no victim
    gain = np.stack(
        [np.median(ours, -1) - np.median(theirs, -1) for (ours, _), theirs in zip(better, beside, strict=True)], axis=-1
    )
    material = gain >= [one.material for one in MEASURED]
    weakened = broken | significant(p[..., :2], trials) | (significant(p[..., 2:], trials) & material)
    older = ((attack[0] < RECOVERED) | (attack[1] >= DECRYPTED)).mean(-1) >= 0.5
    return tuple(np.asarray(one.reshape(runs, -1).any(1)) for one in (broken, weakened, older))


def _parts(runs: int, cases: int, trials: int, seed: int) -> Iterator[tuple[int, np.random.Generator]]:
    most = max(1, AT_ONCE // (cases * (trials + NULL)))
    for number, first in enumerate(range(0, runs, most)):
        yield min(most, runs - first), np.random.default_rng([seed, cases, trials, number])


def power(share: float, cases: int, trials: int, per_case: int = 7) -> float:
    """Probability that an attack on this share of keys is called broken, the only one among `cases` that works.

    Random keys never hit. per_case: p-values of a case, all of which Holm counts.
    """
    hits = np.arange(trials + 1)
    p = np.minimum(more_hits(hits, trials, 0, NULL) * cases * per_case, 1)
    low = np.array([share_interval(int(k), trials)[0] for k in hits])
    return float(stats.binom.pmf(hits, trials, share) @ breaks(p, low, trials))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    columns = ("broken", "broken or weakened", "half of the trials, the older rule")
    print("| scheme | M | random keys found, decrypt | " + " | ".join(f"{name}: mean, most" for name in columns) + " |")
    print("|---" * 6 + "|")
    for scheme in PAPER:
        for size in SIZES:
            pool = Pool.of(scheme, size)
            settings = [(cases, trials) for cases in CASES for trials in TRIALS]
            rates = 100 * np.array([[one.mean() for one in words(pool, runs, *asked, size)] for asked in settings])
            found, decrypted = 100 * (pool.key_error < RECOVERED).mean(), 100 * (pool.snr >= DECRYPTED).mean()
            cells = [f"{mean:.1f}, {most:.1f} %" for mean, most in zip(rates.mean(0), rates.max(0), strict=True)]
            print(f"| {scheme} | {size} | {found:.2g}, {decrypted:.2g} % | {' | '.join(cells)} |", flush=True)
    print("\n| trials | cases | " + " | ".join(f"{100 * share:.0f} %" for share in SHARES) + " |")
    print("|---" * (2 + len(SHARES)) + "|")
    for trials in (*TRIALS, 100):
        for cases in (5, 30, 100):
            called = " | ".join(f"{100 * power(share, cases, trials):.0f} %" for share in SHARES)
            print(f"| {trials} | {cases} | {called} |")


if __name__ == "__main__":
    main()
