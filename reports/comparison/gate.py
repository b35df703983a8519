"""The hypotheses behind `compare`: whether B is as safe as A on average, in its weakest keys, and under each attack.

Pure arithmetic on scores; `wrongkey.reports.comparison.compare` reads them from run folders. The decision is that of
`wrongkey.reports.comparison.noninferiority`. Three rules take precedence over the tests. Fewer than `FEWEST` sampled
keys show nothing. B must lock its model in the first place: where it is not shown that fewer than one in ten of its
incorrect keys are as good as plain, "at least as well as A" would praise an open lock, whatever A does. And nothing is
shown as long as an attack ran on one of the two alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from wrongkey.reports.comparison.attack_gains import Attacked, attack_gains
from wrongkey.reports.comparison.gain_of_means import DRAWS, KeyScores, gain_of_means
from wrongkey.reports.comparison.gain_of_shares import Flags, Share, gain_of_shares, paired_gain_of_shares
from wrongkey.reports.comparison.noninferiority import LEVEL, Decision, Gain, decide

Array = NDArray[np.float64]
FEWEST = 5  # sampled keys: of a sample of 4, all lie on one side of the median in 1 of 8 cases
OPEN = 0.1  # share of keys as good as plain from which a model is not locked: ten guesses open it; also of trials
Count = tuple[str, str, Gain, float]  # kind, attack, gain, margin


@dataclass(frozen=True)
class Margins:
    """By how much B may be worse.

    mean: in the metric's unit, also for the error of an adversary's model.  tail: of the share of weak keys.
    attack: of the share of trials that succeed.
    """

    mean: float
    tail: float = 0.03
    attack: float = 0.10


@dataclass(frozen=True, eq=False)
class Protection:
    """What a run shows about its key scheme.

    scores: of the incorrect keys.
    gaps: (keys,) by how much each is safer than the plain model; None where the plain model was not measured.
    gap_errors: (keys,) their standard errors over speakers; zeros where the statement is about these speakers, NaN
        where they would be needed and were not measured.
    attacked: what attacks did.
    """

    scores: KeyScores
    gaps: Array | None
    gap_errors: Array
    attacked: Attacked = field(default_factory=Attacked)

    @property
    def blind(self) -> bool:
        """Whether the answer is about other speakers, while no interval says how much these differ."""
        return bool(np.isnan(self.gap_errors).any())

    @property
    def few(self) -> bool:
        """Whether there are too few sampled keys to show anything."""
        return len(self.scores.values) < FEWEST and not self.scores.exhaustive

    def weak(self, distance: float, doubt: float = 0.0) -> Flags:
        """Keys within `distance` of plain, or better.

        doubt: +1 counts those that may be, given the uncertainty over speakers, −1 only those that surely are.
        """
        assert self.gaps is not None
        quantile = float(special.stdtrit(max(self.scores.speakers - 1, 1), 1 - LEVEL))
        return np.asarray(self.gaps - doubt * quantile * self.gap_errors <= distance + 1e-9)


@dataclass(frozen=True)
class Hypothesis:
    """One count on which B must not be worse.

    kind: "mean", "tail", "attack" (a share of trials) or "error" (of an adversary's model).  attack: which one.
    """

    kind: str
    gain: Gain
    margin: float
    decision: Decision
    attack: str = ""


def judge(
    b: Protection, a: Protection, distance: float, margins: Margins, paired: bool, draws: int = DRAWS, seed: int = 0
) -> tuple[Decision, list[Hypothesis]]:
    """Decide on "B protects at least as well as A", and on each of the hypotheses behind it.

    distance: from plain, within which a key is weak.  paired: both hold the same keys in the same order.
    """
    counts: list[Count] = [("mean", "", gain_of_means(b.scores, a.scores, paired, draws, seed), margins.mean)]
    if a.gaps is not None and b.gaps is not None:
        counts.append(("tail", "", gain_in_weak_keys(b, a, distance, paired), margins.tail))
    if a.few or b.few or a.blind or b.blind:
        blind = a.blind or b.blind
        counts = [(kind, name, _unshown(gain, blind or kind == "mean"), margin) for kind, name, gain, margin in counts]
    verdict, found = _decided(counts + _attack_counts(b.attacked, a.attacked, margins))
    if verdict == "shown" and (_one_sided(b.attacked, a.attacked) or not locks(b, distance)):
        verdict = "undecided"
    return verdict, found


def judge_attacks(b: Attacked, a: Attacked, margins: Margins) -> tuple[Decision, list[Hypothesis]]:
    """Decide on the attacks alone; nothing is shown of a B that an attack opens, whatever it does to A."""
    verdict, found = _decided(_attack_counts(b, a, margins))
    if verdict == "shown" and (_one_sided(b, a) or opened(b)):
        verdict = "undecided"
    return verdict, found


def opened(attacked: Attacked) -> list[str]:
    """The attacks that are shown, at 5 %, to succeed in more than `OPEN` of the trials."""
    return [name for name, share in attacked.shares.items() if share.low > OPEN]


def _attack_counts(b: Attacked, a: Attacked, margins: Margins) -> list[Count]:
    return [
        (kind, name, gain, margins.attack if kind == "attack" else margins.mean)
        for kind, name, gain in attack_gains(b, a)
    ]


def _one_sided(b: Attacked, a: Attacked) -> bool:
    """Whether an attack ran on one of the two alone."""
    return bool(a.lacks(b) or b.lacks(a))


def _decided(counts: Sequence[Count]) -> tuple[Decision, list[Hypothesis]]:
    verdict, decisions = decide([gain for *_, gain, _ in counts], [margin for *_, margin in counts])
    return verdict, [
        Hypothesis(kind, gain, margin, decision, name)
        for (kind, name, gain, margin), decision in zip(counts, decisions, strict=True)
    ]


def gain_in_weak_keys(b: Protection, a: Protection, distance: float, paired: bool) -> Gain:
    """By how much B's share of weak keys is smaller.

    Where the speakers are uncertain, each bound and the p-value count the keys in doubt against themselves.
    """
    if not (a.gap_errors.any() or b.gap_errors.any()):
        return _gain_in_weak_keys(b.weak(distance), a.weak(distance), b, a, paired)
    seen, low, high = (
        _gain_in_weak_keys(b.weak(distance, doubt), a.weak(distance, -doubt), b, a, paired)
        for doubt in (0.0, 1.0, -1.0)
    )
    return Gain(seen.value, low.low, high.high, high.p_worse)


def locks(run: Protection, distance: float) -> bool:
    """Whether it is shown, at 5 %, that fewer than `OPEN` of the incorrect keys are as good as plain."""
    if run.gaps is None or run.blind:
        return False
    weak = run.weak(distance, 1.0)
    return Share(int(weak.sum()), len(weak), run.scores.exhaustive).high < OPEN


def _unshown(gain: Gain, unknown: bool) -> Gain:
    """A gain from too few keys: nothing is shown, and only a share can still be worse, by its exact test."""
    return Gain(gain.value, -np.inf, np.inf, 1.0) if unknown else gain._replace(low=-np.inf)


def _gain_in_weak_keys(weak_b: Flags, weak_a: Flags, b: Protection, a: Protection, paired: bool) -> Gain:
    if paired and not (a.scores.exhaustive and b.scores.exhaustive):
        return paired_gain_of_shares(weak_b, weak_a)
    of_b, of_a = (Share(int(w.sum()), len(w), side.scores.exhaustive) for w, side in ((weak_b, b), (weak_a, a)))
    return gain_of_shares(of_b, of_a)
