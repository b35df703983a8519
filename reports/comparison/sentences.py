"""How `compare` says what it found: the counts that a verdict rests on, one sentence each."""

import math

from wrongkey.reports.comparison.attack_gains import NEVER, Attacked
from wrongkey.reports.comparison.gain_of_shares import Share
from wrongkey.reports.comparison.gate import Hypothesis
from wrongkey.reports.comparison.noninferiority import LEVEL
from wrongkey.reports.metrics import Metric

QUESTION = "Does B protect at least as well as A?"
ANSWERS = {"shown": "Yes, as far as the margins go.", "worse": "No: worse.", "undecided": "Undecided."}
OUTCOMES = {"shown": "not worse", "worse": "worse", "undecided": "undecided"}


def mean_line(hypothesis: Hypothesis, metric: Metric) -> str:
    """The sentence about the mean over keys."""
    gain = hypothesis.gain
    bounds = bounds_words(gain.low, gain.high, f"+.{metric.decimals}f", 1.0)
    text = f"Mean: B is {gain_words(gain.value, metric)} ({bounds}, margin {metric.distance_words(hypothesis.margin)})"
    return f"{text}: {OUTCOMES[hypothesis.decision]}."


def share_line(hypothesis: Hypothesis, what: str, a: Share, b: Share, noun: str, exhaustive: bool = False) -> str:
    """The sentence about a share of keys or trials (`noun`); `exhaustive`: B has no others."""
    gain = hypothesis.gain
    bounds = bounds_words(-gain.high, -gain.low, "+.1f", 100.0)
    text = (
        f"{what}: {share_words(a)} in A, {share_words(b)} in B "
        f"(B minus A in %: {bounds}, margin {100 * hypothesis.margin:g})"
    )
    wanting = "" if exhaustive or b.exhaustive else _wanting(hypothesis, b.n, noun)
    return f"{text}: {OUTCOMES[hypothesis.decision]}.{wanting}"


def attack_line(hypothesis: Hypothesis, metric: Metric, a: Attacked, b: Attacked) -> str:
    """The sentence about an attack, on a share of trials or on the error of the adversary's model."""
    name = hypothesis.attack
    if hypothesis.kind == "attack":
        return share_line(hypothesis, name, a.shares[name], b.shares[name], "trials")
    gain, errors = hypothesis.gain, (a.errors[name], b.errors[name])
    left, right = (f"{error.value:.1f} %" for error in errors)
    bounds = bounds_words(gain.low, gain.high, "+.1f", 1.0)
    text = (
        f"{name}: {left} in A, {right} in B "
        f"(B minus A in points: {bounds}, margin {metric.distance_words(hypothesis.margin)})"
    )
    wide = ""
    if hypothesis.decision == "undecided":
        speakers = min(error.speakers for error in errors)
        wide = f" The intervals over {speakers} speakers take up {gain.value - gain.low:.1f} points."
        wide = wide if math.isfinite(gain.low) else " One of them has no interval over speakers."
    return f"{text}: {OUTCOMES[hypothesis.decision]}.{wide}"


def _wanting(hypothesis: Hypothesis, n: int, noun: str) -> str:
    """How many keys or trials it takes at least, where there were too few from the start."""
    if hypothesis.decision != "undecided" or not 0 < hypothesis.margin < 1:
        return ""
    least = math.ceil(math.log(LEVEL) / math.log1p(-hypothesis.margin))
    return "" if n >= least else f" It takes {least} {noun} without one to show it, and B has {n}."


def share_words(share: Share) -> str:
    """Such as "3 of 10"."""
    return "does not apply" if share == NEVER else f"{share.hits:,} of {share.n:,}"


def bounds_words(low: float, high: float, form: str, factor: float) -> str:
    """One-sided 95 % bounds of a gain; "exact" where nothing was sampled."""
    if low == high:
        return "exact"
    if not math.isfinite(low) and not math.isfinite(high):
        return "no bounds"
    left, right = (format(factor * value, form) if math.isfinite(value) else "–" for value in (low, high))
    return f"95 % bounds {left} and {right}"


def gain_words(value: float, metric: Metric) -> str:
    """Such as "0.45 points safer"."""
    unit = " points" if metric.unit == "%" else f" {metric.unit}".rstrip()
    return f"{abs(value):.{metric.decimals}f}{unit} {'safer' if value >= 0 else 'less safe'}"


def p_words(p: float) -> str:
    """Such as "p = 0.042"; smaller ones tell no more than that they are small.

    Examples
    --------
    >>> p_words(0.042), p_words(9.3e-125)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
