"""How much a score says of who speaks, once it is calibrated: Cllr_min, by pool adjacent violators.

A cosine is no likelihood ratio. The best increasing map of scores to likelihood ratios is found by isotonic regression
of the labels (pool adjacent violators, PAV); it gives every score of a *pool* the ratio `(t / T) / (o / O)` of the `t`
of all `T` target trials and the `o` of all `O` non-target trials in the pool. The pools are the corners of the convex
hull of the ROC, and each measure of this kind is a sum over them (`wrongkey.evaluation.metrics.disclosure` has two
more).

PAV is fitted to the very trials that it is judged on: where there are few, it finds information that is none
(docs/statistics.md says how much). Reference: N. Brümmer, J. du Preez, "Application-independent evaluation of speaker
detection", Computer Speech and Language 20(2-3), 2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Pools(NamedTuple):
    """PAV's pools of one key, by rising likelihood ratio: trials of both kinds in each.

    targets, others: `(pools,)` trials of each kind; every pool has at least one trial.
    ratio: `(pools,)` likelihood ratios, from 0 (no target in it) to infinity (nothing but targets).
    """

    targets: Array
    others: Array
    ratio: Array


def pools(scores: NDArray[np.floating], target: NDArray[np.bool_], laplace: bool = False) -> Pools:
    """PAV of one key's trials; equal scores stay together.

    laplace: one more trial of each kind at either end, as the VoicePrivacy challenge's ZEBRA does it: no ratio is 0 or
        infinite then. These trials shape the pools and are in no count.

    scores: `(trials,)`.  target: `(trials,)`, true where both sides are the same speaker; both kinds are there.
    """
    order = np.argsort(scores)
    return _pools(scores[order], target[order], laplace)


def pools_of_keys(scores: NDArray[np.floating], target: NDArray[np.bool_]) -> Iterator[tuple[Pools, Pools]]:
    """`pools` without and with `laplace` of each key of `scores (keys, trials)`, from one sort per key."""
    for row in scores:
        order = np.argsort(row)
        ordered, labels = row[order], target[order]
        yield _pools(ordered, labels, False), _pools(ordered, labels, True)


def cllr(target_llr: Array, other_llr: Array) -> float:
    """Cllr in bits: the mean cost of natural log-likelihood ratios, 0 for perfect ones and 1 for ones that say nothing.

    `½ (mean over targets of log2(1 + 1/LR) + mean over non-targets of log2(1 + LR))`; without an upper bound where the
    ratios mislead.
    """
    bits = np.logaddexp(0, -target_llr).mean() + np.logaddexp(0, other_llr).mean()
    return float(bits / (2 * np.log(2)))


def cllr_min(found: Pools) -> float:
    """Cllr of the ratios that PAV gives, in bits: between 0 and 1, the least that any increasing map could reach."""
    targets, others, ratio = found
    with np.errstate(divide="ignore"):
        llr = np.log(ratio)
    miss = targets / targets.sum() * np.logaddexp(0, -llr, where=targets > 0, out=np.zeros_like(llr))
    alarm = others / others.sum() * np.logaddexp(0, llr, where=others > 0, out=np.zeros_like(llr))
    return float((miss.sum() + alarm.sum()) / (2 * np.log(2)))


def _pools(ordered: NDArray[np.floating], labels: NDArray[np.bool_], laplace: bool) -> Pools:
    from scipy.optimize import isotonic_regression  # half a second that a process which only asks does without

    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    trials = np.diff(np.append(starts, len(ordered))).astype(np.float64)
    targets = np.add.reduceat(labels.astype(np.float64), starts)
    whole = targets.sum(), trials.sum() - targets.sum()
    if laplace:
        targets, trials = (np.concatenate(([more], counts, [more])) for more, counts in ((1, targets), (2, trials)))
    fitted = isotonic_regression(targets / trials, weights=trials)
    first = fitted.blocks[:-1]
    t, n = np.add.reduceat(targets, first), np.add.reduceat(trials, first)
    with np.errstate(divide="ignore"):
        ratio = (t / whole[0]) / ((n - t) / whole[1])
    if laplace:
        for end in (0, -1):  # the added trials leave the counts; with one pool both ends are its own
            t[end], n[end] = t[end] - 1, n[end] - 2
    held = n > 0
    return Pools(t[held], (n - t)[held], ratio[held])
