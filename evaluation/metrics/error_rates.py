"""Speaker-verification metrics, for one key or for thousands at once.

A system accepts a trial when its score is at least a threshold. The miss rate (false rejection rate, FRR) is
the share of target trials it rejects, the false-alarm rate (false acceptance rate, FAR) the share of
non-target trials it accepts. As the threshold rises past the scores, the pair (FAR, FRR) walks from (1, 0) to
(0, 1).

Tie rule: trials with equal scores move together. Rates are taken only between distinct scores (and before the
lowest and after the highest), never in the middle of a tie, so the order of the trials changes nothing;
between two such operating points the walk is a straight line. A system that gives every trial the same score
has an EER of 50 %.

Scores have the shape `(keys, trials)` or `(trials,)` and may live on any device. `weights` of shape `(boots,
trials)` counts every trial with a weight, once per row: the bootstrap (see `wrongkey.evaluation.metrics.bootstrap`
resamples trials in this way without sorting again; `wrongkey.evaluation.metrics.resampled_eer` does so faster on a
CPU). Rates are summed in the precision of the weights, in float64 where there are none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wrongkey.errors import BadInput

# Elements (boots x keys x trials) of one pass: some 50 MB on a CPU, 1 GB on a GPU.
_CPU_ELEMENTS = 2**22
_GPU_ELEMENTS = 2**26


@dataclass(frozen=True)
class _Walk:
    """The operating points of some keys under some weights, by rising threshold.

    Position `i` of `scores` is the i-th lowest score of its key; `miss[..., i]` and `rejected[..., i]` are
    the shares of target and of non-target weight at positions `0..i`. Shapes: `(keys, trials)` and `(boots,
    keys, trials)`.
    """

    scores: Tensor
    miss: Tensor
    rejected: Tensor


_Statistic = Callable[[_Walk], Tensor]  # `(boots, keys)`


def eer(scores: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the equal error rate in percent: where the lines through the operating points have FRR = FAR.

    With the operating points `(FAR, FRR)` just below and just above the crossing, `d = FRR - FAR` and `a = d0
    / (d0 - d1)`, the EER is `FRR0 + a (FRR1 - FRR0)`: the crossing of scikit-learn's `roc_curve` (all points
    kept, linear interpolation) with the diagonal FRR = FAR. It may exceed 50 % when the scores mislead.

    Parameters
    ----------
    scores : Tensor
        `(keys, trials)` or `(trials,)`, higher for the same speaker.
    target : Tensor
        `(trials,)`, true where both sides are the same speaker.
    weights : Tensor, optional
        `(boots, trials)`, at least 0; every row needs some target and some non-target weight.

    Returns
    -------
    Tensor
        `(keys,)`, or `()` for one-dimensional scores; with weights `(keys, boots)` or `(boots,)`. In percent, 0 to 100.

    Raises
    ------
    BadInput
        For no target or no non-target trial, a score that is not a number, and shapes that do not agree.

    Examples
    --------
    >>> import torch
    >>> eer(torch.tensor([0.9, 0.4, 0.6, 0.1]), torch.tensor([True, True, False, False]))
    tensor(50., dtype=torch.float64)
    """
    return 100 * _over_thresholds([_crossing], scores, target, weights)[0]


def min_dcf(
    scores: Tensor,
    target: Tensor,
    weights: Tensor | None = None,
    *,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> Tensor:
    """Return the normalised minimum detection cost of NIST's speaker recognition evaluations (SRE 2016 plan).

    The least `c_miss p_target FRR + c_fa (1 - p_target) FAR` over the thresholds, divided by the cost of
    rejecting everything (`c_miss p_target`) or of accepting everything (`c_fa (1 - p_target)`), whichever is
    less: it lies between 0 and 1.

    Parameters
    ----------
    scores, target, weights : Tensor
        As in `eer`.
    p_target : float
        The prior of a target trial, between 0 and 1.
    c_miss, c_fa : float
        The positive costs of a miss and of a false alarm.

    Returns
    -------
    Tensor
        From 0 to 1, of the shapes that `eer` has.

    Raises
    ------
    BadInput
        As `eer` does, and for a prior or costs out of range.

    Examples
    --------
    >>> import torch
    >>> min_dcf(torch.tensor([0.9, 0.4, 0.6, 0.1]), torch.tensor([True, True, False, False]), p_target=0.5)
    tensor(0.5000, dtype=torch.float64)
    """
    return _over_thresholds([_least_cost(*_costs(p_target, c_miss, c_fa))], scores, target, weights)[0]


def fewest_errors(
    scores: Tensor, target: Tensor, *, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> Tensor:
    """Misses or false alarms at the threshold of `min_dcf`, whichever are fewer: `(keys,)` or `()`, a whole number.

    Doddington's rule of 30 asks for at least 30 of each before an error rate is taken to be right within 30 % (G. R.
    Doddington et al., "The NIST speaker recognition evaluation: overview, methodology, systems, results, perspective",
    Speech Communication 31(2-3), 2000). Arguments and errors are those of `min_dcf`.
    """
    costs = _costs(p_target, c_miss, c_fa)
    _, target = validated(scores, target)
    return _over_thresholds([_errors_at_least_cost(*costs, target)], scores, target, None)[0]


class ErrorRates(NamedTuple):
    """What one walk over the thresholds gives: `(keys,)` tensors, or `()` for one-dimensional scores.

    eer: in percent, of `eer`. costs, fewest: for each prior, of `min_dcf` and of `fewest_errors`.
    """

    eer: Tensor
    costs: list[Tensor]
    fewest: list[Tensor]


def error_rates(scores: Tensor, target: Tensor, priors: Sequence[float]) -> ErrorRates:
    """`eer`, and at each prior of a target trial `min_dcf` and `fewest_errors`, from one sort. Raises as they do."""
    _, target = validated(scores, target)
    costs = [_costs(prior, 1.0, 1.0) for prior in priors]
    statistics = [_least_cost(*both) for both in costs] + [_errors_at_least_cost(*both, target) for both in costs]
    crossing, *others = _over_thresholds([_crossing, *statistics], scores, target, None)
    return ErrorRates(100 * crossing, others[: len(priors)], others[len(priors) :])


def effective_eer(percent: float) -> float:
    """Return the EER of an adversary who may reverse the decision, `min(e, 100 - e)` in percent: at most 50.

    Scores that mislead (an EER of 80 %) tell an adversary as much as good ones: they take the other answer.
    """
    return min(percent, 100.0 - percent)


def _costs(p_target: float, c_miss: float, c_fa: float) -> tuple[float, float]:
    """Expected cost of rejecting every target trial, and of accepting every non-target trial."""
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise BadInput(
            f"min_dcf needs a prior between 0 and 1 and positive costs, not p_target={p_target}, "
            f"c_miss={c_miss}, c_fa={c_fa}."
        )
    return c_miss * p_target, c_fa * (1 - p_target)


def _least_cost(miss_cost: float, alarm_cost: float) -> _Statistic:
    def cost(walk: _Walk) -> Tensor:
        saved = _saved(walk, miss_cost, alarm_cost)
        return (alarm_cost - saved.amax(-1).double().clamp(min=0)) / min(miss_cost, alarm_cost)

    return cost


def _errors_at_least_cost(miss_cost: float, alarm_cost: float, target: Tensor) -> _Statistic:
    targets = int(target.sum())
    others = len(target) - targets

    def errors(walk: _Walk) -> Tensor:
        saved, position = _saved(walk, miss_cost, alarm_cost).max(-1, keepdim=True)
        miss = walk.miss.gather(-1, position) * targets
        alarm = (1 - walk.rejected.gather(-1, position)) * others
        fewer = torch.minimum(miss, alarm).round()
        return torch.where(saved > 0, fewer, torch.zeros_like(fewer)).squeeze(-1)  # else everything is accepted

    return errors


def _saved(walk: _Walk, miss_cost: float, alarm_cost: float) -> Tensor:
    """What each threshold saves against accepting everything; minus infinity within a tie. Shape of `walk.miss`."""
    tied_with_next = walk.scores[:, :-1] == walk.scores[:, 1:]
    saved = (alarm_cost * walk.rejected).sub_(walk.miss, alpha=miss_cost)
    saved[..., :-1].masked_fill_(tied_with_next, -float("inf"))
    return saved


def _crossing(walk: _Walk) -> Tensor:
    """The rate at which miss and false alarm are equal: `(boots, keys)` in float64.

    FRR - FAR = miss + rejected - 1 never falls along the walk, so the tied group in which it passes zero is
    found by bisection; the operating points before and after that group are the two ends of the crossing
    line.
    """
    passed = walk.miss + walk.rejected
    position = torch.searchsorted(passed, passed.new_ones(*passed.shape[:-1], 1))
    tied_score = walk.scores.expand(passed.shape).gather(-1, position)
    # searchsorted wants (keys, boots) queries on (keys, trials) scores
    queries = tied_score.squeeze(-1).T.contiguous()
    before = torch.searchsorted(walk.scores, queries).T.unsqueeze(-1)
    after = torch.searchsorted(walk.scores, queries, right=True).T.unsqueeze(-1)

    passed0, passed1 = _share_of_first(passed, before), _share_of_first(passed, after)
    miss0, miss1 = _share_of_first(walk.miss, before), _share_of_first(walk.miss, after)
    fraction = ((1 - passed0) / (passed1 - passed0).clamp(min=torch.finfo(passed1.dtype).tiny)).clamp(0, 1)
    return miss0 + fraction * (miss1 - miss0)


def _share_of_first(cumulative: Tensor, count: Tensor) -> Tensor:
    """The cumulative share of the first `count` positions, zero for none: `(boots, keys)` in float64."""
    share = cumulative.gather(-1, (count - 1).clamp(min=0)).double()
    return torch.where(count > 0, share, torch.zeros_like(share)).squeeze(-1)


def _over_thresholds(
    statistics: Sequence[_Statistic], scores: Tensor, target: Tensor, weights: Tensor | None
) -> list[Tensor]:
    """Each of `statistics` of every key's walk over its thresholds: one sort per key, and memory bounded by chunks."""
    scores, target = validated(scores, target)
    single = scores.ndim == 1
    ordered, order = by_rising_score(scores.reshape(-1, len(target)))
    share = shares_of_kinds(target, weights)
    target_share, other_share = share * target, share * ~target

    keys, trials = ordered.shape
    boots = len(share)
    elements = _CPU_ELEMENTS if scores.device.type == "cpu" else _GPU_ELEMENTS
    some_boots = max(1, min(boots, elements // trials))
    some_keys = max(1, elements // (trials * some_boots))
    results = [scores.new_empty((keys, boots), dtype=torch.float64) for _ in statistics]
    for k in range(0, keys, some_keys):
        chunk = slice(k, k + some_keys)
        for b in range(0, boots, some_boots):
            rows = slice(b, b + some_boots)
            walk = _Walk(
                ordered[chunk],
                target_share[rows][:, order[chunk]].cumsum(-1),
                other_share[rows][:, order[chunk]].cumsum(-1),
            )
            for result, statistic in zip(results, statistics, strict=True):
                result[chunk, rows] = statistic(walk).T.double()
    if weights is None:
        results = [result.squeeze(-1) for result in results]
    return [result[0] for result in results] if single else results


def by_rising_score(scores: Tensor) -> tuple[Tensor, Tensor]:
    """`scores (keys, trials)` sorted, and which trials these are; equal scores in any order.

    NumPy sorts on a CPU: with the instructions of today's processors in a fifth of PyTorch's time.
    """
    if scores.device.type != "cpu" or scores.dtype == torch.bfloat16:
        return torch.sort(scores, dim=-1)
    order = torch.from_numpy(np.argsort(scores.numpy(), axis=-1))
    return scores.gather(-1, order), order


def shares_of_kinds(target: Tensor, weights: Tensor | None) -> Tensor:
    """Each trial's share of the weight of its own kind, target or non-target: `(boots, trials)`.

    Raises BadInput for weights that do not fit the trials, are below 0, or leave a kind without any.
    """
    if weights is None:
        weights = torch.ones(1, len(target), dtype=torch.float64)
    weights = torch.as_tensor(weights).to(target.device)
    if not weights.is_floating_point():
        weights = weights.double()
    if weights.ndim != 2 or weights.shape[1] != len(target):
        raise BadInput(
            f"Weights of shape {tuple(weights.shape)} do not fit {len(target)} trials: give (boots, trials)."
        )
    if not bool((weights >= 0).all()):
        raise BadInput("The trials' weights hold a negative value or one that is not a number: give weights from 0 up.")
    of_targets, of_others = ((weights * kind).sum(-1, keepdim=True) for kind in (target, ~target))
    if not bool((of_targets > 0).all() and (of_others > 0).all()):
        raise BadInput("A row of weights leaves no target or no non-target trial: every row needs both.")
    share = weights / of_others
    share[:, target] = weights[:, target] / of_targets
    return share


def validated(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as tensors on one device; raises BadInput as `eer` says."""
    scores = torch.as_tensor(scores)
    target = torch.as_tensor(target).to(scores.device, torch.bool)
    if scores.ndim not in (1, 2) or target.shape != scores.shape[-1:]:
        raise BadInput(
            f"Scores of shape {tuple(scores.shape)} and targets of shape {tuple(target.shape)} do not go "
            "together: give (keys, trials) or (trials,) and (trials,)."
        )
    targets = int(target.sum())
    if targets in (0, len(target)):
        kind = "target" if targets == 0 else "non-target"
        raise BadInput(f"The trial list has no {kind} trial among its {len(target)}: an error rate needs both kinds.")
    if bool(torch.isnan(scores).any()):
        raise BadInput("Some scores are not numbers (NaN): check the model's embeddings for zero or infinite values.")
    return scores, target
