"""The EER of many bootstrap replicates at once, without a walk over all trials for each of them.

The walk of `wrongkey.evaluation.metrics.error_rates` sums the weights of every replicate along the sorted trials, and
the EER needs these sums at three places only. Here trials are summed by blocks of neighbouring ranks, in one sparse
product per key. Each replicate then looks for its crossing among the sums of blocks, and walks through one block.

Sums are in float64 and rounded to the precision of the weights, as a cumulative sum of PyTorch is on a CPU. Shares of
whole numbers in float32 are added without any rounding, so that both ways give the same numbers, bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.evaluation.metrics.error_rates import by_rising_score, shares_of_kinds, validated

BLOCK = 64  # ranks
_ELEMENTS = 2**20  # of shares in float64 at a time: 8 MB, which a cache holds

Shares = NDArray[np.floating]


class _Sums(NamedTuple):
    """What some replicates have at some rank: the shares of the target and of the non-target weight below it."""

    miss: NDArray[np.floating]
    passed: NDArray[np.floating]  # both together, rounded as the walk rounds them


def shares_for_resampling(target: Tensor, weights: Tensor) -> Shares:
    """Each trial's share of the weight of its kind, `(trials, boots)`, in the precision of the weights.

    target, weights: as for `wrongkey.evaluation.metrics.error_rates.eer`, whose errors are raised.
    """
    return np.ascontiguousarray(shares_of_kinds(target, weights).T.cpu().numpy())


def resampled_eer(scores: Tensor, target: Tensor, shares: Shares) -> Tensor:
    """The EER of every key and replicate in percent, as `eer(scores, target, weights)` gives it.

    Parameters
    ----------
    scores : Tensor
        `(keys, trials)`, or `(trials,)` of one key, higher for the same speaker.
    target : Tensor
        `(trials,)`, true where both sides are the same speaker.
    shares : ndarray
        `(trials, boots)`, of `shares_for_resampling`.

    Returns
    -------
    Tensor
        `(keys, boots)` float64, in percent, on the CPU.

    Raises
    ------
    BadInput
        As `eer` does.
    """
    scores, target = validated(scores, target)
    scores = scores.reshape(-1, len(target))
    if scores.dtype is torch.bfloat16:  # which numpy lacks, and float32 contains
        scores = scores.float()
    ordered, order = (one.numpy() for one in by_rising_score(scores.cpu()))
    kinds = target.cpu().numpy()
    ranks = [_Ranks(*key, kinds) for key in zip(ordered, order, strict=True)]
    found = np.empty((len(ranks), shares.shape[1]))
    some = max(1, _ELEMENTS // len(shares))
    for start in range(0, shares.shape[1], some):
        columns = slice(start, start + some)
        chunk = shares[:, columns]
        exact = chunk.astype(np.float64)
        for key, one in enumerate(ranks):
            found[key, columns] = one.crossing(chunk, exact)
    return 100 * torch.from_numpy(found)


class _Ranks:
    """The trials of a key by rising score, and the blocks in which they are summed."""

    def __init__(self, ordered: NDArray[np.floating], order: NDArray[np.int64], target: NDArray[np.bool_]) -> None:
        from scipy.sparse import csr_array  # a process that only asks does without

        self.ordered, self.trials = ordered, len(order)
        self.blocks = -(-self.trials // BLOCK)
        empty = self.blocks * BLOCK - self.trials
        self.order = np.pad(order, (0, empty))
        self.is_target = np.pad(target[order], (0, empty))
        self.is_other = np.pad(~target[order], (0, empty))  # neither, behind the last trial
        group = 2 * (np.arange(self.trials) // BLOCK) + ~target[order]
        ends = np.cumsum(np.bincount(group, minlength=2 * self.blocks))
        self.summed = csr_array(
            (np.ones(self.trials), order[np.argsort(group, kind="stable")], np.concatenate([[0], ends])),
            shape=(2 * self.blocks, self.trials),
        )

    def crossing(self, shares: Shares, exact: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rate at which miss and false alarm are equal, `(boots,)`; `exact` is `shares` in float64."""
        sums = (self.summed @ exact).reshape(self.blocks, 2, -1).cumsum(0)
        below = np.concatenate([np.zeros_like(sums[:1]), sums])  # the blocks before each block
        boots = np.arange(shares.shape[1])

        def at(count: NDArray[np.int64]) -> _Sums:
            """The sums of the first `count (boots,)` trials."""
            block = np.minimum(count // BLOCK, self.blocks - 1)
            ranks = BLOCK * block[:, None] + np.arange(BLOCK)
            within = exact[self.order[ranks], boots[:, None]] * (ranks < count[:, None])
            kinds = [(within * kind[ranks]).sum(1) for kind in (self.is_target, self.is_other)]
            miss, rejected = (
                (below[block, kind, boots] + found).astype(shares.dtype) for kind, found in enumerate(kinds)
            )
            return _Sums(miss, miss + rejected)

        passed = np.add(*(below[1:, kind].astype(shares.dtype) for kind in (0, 1)))
        block = (passed < 1).sum(0)
        first = self._first_to_pass(block, below, exact, shares.dtype)
        score = self.ordered[first]
        before, after = (np.searchsorted(self.ordered, score, side) for side in ("left", "right"))
        low, high = at(before), at(after)
        miss0, miss1, passed0, passed1 = (
            one.astype(np.float64) for one in (low.miss, high.miss, low.passed, high.passed)
        )
        fraction = ((1 - passed0) / np.maximum(passed1 - passed0, np.finfo(np.float64).tiny)).clip(0, 1)
        return miss0 + fraction * (miss1 - miss0)

    def _first_to_pass(
        self, block: NDArray[np.int64], below: NDArray[np.float64], exact: NDArray[np.float64], precision: np.dtype
    ) -> NDArray[np.int64]:
        """The first rank up to which miss and rejection come to one, within the `block` of each replicate."""
        boots = np.arange(len(block))
        ranks = BLOCK * block[:, None] + np.arange(BLOCK)
        within = exact[self.order[ranks], boots[:, None]]
        miss, rejected = (
            (below[block, number, boots][:, None] + (within * kind[ranks]).cumsum(1)).astype(precision)
            for number, kind in enumerate((self.is_target, self.is_other))
        )
        return BLOCK * block + (miss + rejected < 1).sum(1)
