"""How far a metric could have come out otherwise: percentile bootstrap over speakers, or over utterances.

*Would another group of speakers give another EER for this key?* Resampling speakers answers that, seeded, so that the
same seed gives the same interval; recognition and classification resample utterances. (Whether other keys would give
another mean is asked of the finished scores, in `wrongkey.reports.statistics.key_statistics`.)
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from wrongkey.errors import BadInput

# Draws of speakers tried for a replicate that holds both kinds of trials, before giving up.
_ATTEMPTS = 100


class Interval(NamedTuple):
    """A confidence interval: two float64 tensors of the metric's shape, `(keys,)` or `()`."""

    low: Tensor
    high: Tensor


def percentile_interval(replicates: Tensor, level: float = 0.95) -> Interval:
    """The middle `level` of a metric's bootstrap replicates, `(keys, boots)` or `(boots,)`."""
    low, high = np.quantile(replicates.cpu().numpy(), _tails(level), axis=-1)
    return Interval(*(torch.as_tensor(bound, dtype=torch.float64) for bound in (low, high)))


def basic_interval(replicates: Tensor, value: Tensor, level: float = 0.95) -> Interval:
    """`percentile_interval` mirrored at the value itself, for a metric that is a minimum.

    A minimum over thresholds comes out too low on few trials, and on resampled ones lower still: percentiles lie below
    the truth by twice the bias, their mirror image by none of it (A. C. Davison, D. V. Hinkley, *Bootstrap methods and
    their application*, 1997, section 5.2). value: `(keys,)`, what all trials gave.
    """
    low, high = percentile_interval(replicates, level)
    return Interval(2 * value.cpu() - high, 2 * value.cpu() - low)


def speaker_weights(target: ArrayLike, speakers: ArrayLike, replicates: int, seed: int) -> NDArray[np.float32]:
    """How often each trial counts in each bootstrap replicate: `(replicates, trials)`.

    Trials of one speaker depend on each other, so trials must not be resampled one by one: that makes
    intervals far too narrow. A replicate draws as many speakers as there are, with replacement. A speaker
    drawn `m` times stands for `m` new people who speak alike: each brings their own same-speaker trials, so
    such a trial counts `m` times; a trial between two speakers happens once for each pair of those people, so
    it counts `m1 m2` times. The same-speaker trial does not count `m²` times, because a comparison between
    two of the `m` copies is not one person against themselves. Replicates without a target or without a
    non-target trial have no error rate and are drawn again.

    Raises
    ------
    BadInput
        For speakers that do not fit the trials or contradict `target`, and for too few speakers to resample.

    References
    ----------
    R. M. Bolle, N. K. Ratha, S. Pankanti, "Error analysis of pattern recognition systems: the subsets bootstrap",
    Computer Vision and Image Understanding 93(1), 2004 (resample people, not scores); A. B. Owen, "The pigeonhole
    bootstrap", Annals of Applied Statistics 1(2), 2007 (product weights for crossed factors); N. Poh, A. Martin, S.
    Bengio, "Performance generalization in biometric authentication using joint user-specific and sample bootstraps",
    IEEE TPAMI 29(3), 2007.
    """
    is_target = np.asarray(target.cpu() if isinstance(target, Tensor) else target, dtype=bool)
    names = np.asarray(speakers.cpu() if isinstance(speakers, Tensor) else speakers)
    if names.shape != (len(is_target), 2):
        raise BadInput(f"Speakers of shape {names.shape} do not fit {len(is_target)} trials: give (trials, 2).")
    wrong = np.flatnonzero((names[:, 0] == names[:, 1]) != is_target)
    if len(wrong):
        kind = "target" if is_target[wrong[0]] else "non-target"
        first, second = names[wrong[0]]
        raise BadInput(
            f"Trial {wrong[0]} is marked {kind} but its speakers are {first} and {second}: check that "
            "speakers and trials are in the same order."
        )
    present, index = np.unique(names, return_inverse=True)
    one, other = index.reshape(names.shape).T

    def draw(count: int) -> NDArray[np.float32]:
        multiplicity = generator.multinomial(len(present), uniform, size=count).astype(np.float32)
        return multiplicity[:, one] * np.where(is_target, 1, multiplicity[:, other])

    generator = np.random.default_rng(seed)
    uniform = np.full(len(present), 1 / len(present))
    weights = draw(replicates)
    for _ in range(_ATTEMPTS):
        empty = (weights[:, is_target].sum(1) == 0) | (weights[:, ~is_target].sum(1) == 0)
        if not empty.any():
            return weights
        weights[empty] = draw(int(empty.sum()))
    raise BadInput(
        f"{len(present)} speakers are too few to resample with both target and non-target trials: use "
        "more speakers or add --replicates 0."
    )


def utterance_weights(utterances: int, replicates: int, seed: int) -> Tensor:
    """How often each utterance counts in each bootstrap replicate: `(replicates, utterances)` float64.

    A replicate draws as many utterances as there are, with replacement (M. Bisani, H. Ney, "Bootstrap estimates for
    confidence intervals in ASR performance evaluation", ICASSP 2004). It answers for other utterances of the same
    kind; where one speaker gives many, the interval for other speakers would be wider.

    Raises
    ------
    BadInput
        For fewer than two utterances.
    """
    if utterances < 2:
        raise BadInput(f"{utterances} utterance is too few to resample: use more or add --replicates 0.")
    generator = np.random.default_rng(seed)
    uniform = np.full(utterances, 1 / utterances)
    return torch.from_numpy(generator.multinomial(utterances, uniform, size=replicates).astype(np.float64))


def pooled_percent(
    part: Tensor, whole: Tensor, weights: Tensor | None = None
) -> tuple[list[float], list[float], list[float]]:
    """Return 100 Σ part / Σ whole over utterances, for every key, with the ends of its bootstrap interval.

    Parameters
    ----------
    part : Tensor
        `(keys, utterances)` counts: errors, correct answers.
    whole : Tensor
        `(utterances,)` positive counts, reference words or ones; or `(keys, utterances)`, aligned words.
    weights : Tensor, optional
        Of `utterance_weights`; without them the interval is NaN.
    """
    part, whole = part.double(), whole.double()
    value = (100 * part.sum(-1) / whole.sum(-1)).tolist()
    if weights is None:
        return value, [float("nan")] * len(value), [float("nan")] * len(value)
    drawn = weights @ whole if whole.ndim == 1 else whole @ weights.T
    interval = percentile_interval(100 * (part @ weights.T) / drawn)
    return value, interval.low.tolist(), interval.high.tolist()


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2
