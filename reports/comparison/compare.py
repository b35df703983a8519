"""Does run B protect at least as well as run A? A non-inferiority test on run folders.

B must not be worse than A by more than a margin on each of several counts (`wrongkey.reports.comparison.gate`): the
mean over incorrect keys; the weak keys, which come within the metric's smallest distance of the plain model of their
own run; and each attack in the same case on both: one that was run on A or B alone leaves the answer undecided. The
answer is "shown", "worse" or "undecided"; `wrongkey.reports.comparison.noninferiority` says which multiplicity rule
protects which of them, and docs/statistics.md how often they are wrong.

An EER above 50 % counts as 100 minus it, of keys and of attacks: an adversary turns such a model round.

Keys: runs of one scheme, size and seed hold the same keys, and their differences count key by key. Where every key
that exists was tried, nothing is sampled and the numbers are exact.

Speakers: runs on the same speech and trials share their speakers. The answer is then about *these* speakers; an
interval over keys says nothing about others. Runs on other speech differ in their speakers as well, so the keys' own
intervals give a standard error over speakers, which enters the bounds. It is treated as one error that all keys of a
run share, and as independent between the runs: the largest it can be. `other_speakers` asks for the same of runs that
share their speakers. The intervals of recognisers and classifiers are over utterances, and too narrow for that.

The default margin of the mean is the metric's smallest distance (1 point of EER, WER or accuracy), because that is what
this report calls "as good as plain" everywhere. That of the weak keys is 3 % of the keys: about a hundred keys without
a weak one can exclude that, and it is less than the 5 % that must not pass. That of an attack is 10 % of its trials:
about 30 trials without a success can exclude that. Attacks that return a model instead of a key are compared by that
model's error, with the margin of the mean.
"""

import math
from dataclasses import dataclass
from html import escape

from scipy import stats

from wrongkey.errors import BadInput
from wrongkey.printable import brief, printable
from wrongkey.reports.comparison.attack_gains import NEVER
from wrongkey.reports.comparison.gain_of_means import DRAWS
from wrongkey.reports.comparison.gain_of_shares import Share
from wrongkey.reports.comparison.gate import Hypothesis, Margins, Protection, judge, locks
from wrongkey.reports.comparison.noninferiority import LEVEL, Decision
from wrongkey.reports.comparison.protections import common_keys, effective, protection, share_speakers, sign
from wrongkey.reports.comparison.warnings import warnings
from wrongkey.reports.comparison.worst_keys import expected_least
from wrongkey.reports.effective_error import CHANCE, is_two_sided
from wrongkey.reports.metrics import Metric
from wrongkey.reports.runs import Run
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise_all


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found; gains are B's over A in the direction of safety, in the metric's unit.

    `str` of it is the answer in sentences.

    Parameters
    ----------
    a, b : KeyStatistics
        The two runs, with effective errors in place of EERs.
    verdict : {"shown", "worse", "undecided"}
        Whether B protects at least as well as A.
    hypotheses : tuple of Hypothesis
        The counts that the verdict rests on, each with its own decision.
    paired : bool
        Whether the keys are the same.
    same_speakers : bool
        Whether speech and trials are the same, so that the answer is about these speakers.
    protections : tuple of Protection
        Of A and B, what the hypotheses were computed from.
    locked : bool
        Whether it is shown that fewer than one in ten of B's incorrect keys are as good as plain; else nothing is
        "shown".
    worst : float
        Gain in the expected worst of as many keys as the smaller run has; descriptive.
    variance_ratio : float or None
        Variance of B over variance of A (None where a run has one key or A does not vary); descriptive.
    ks_statistic, ks_p : float
        Two-sample Kolmogorov-Smirnov test of the scores; descriptive.
    warnings : tuple of str
        Sentences about what else differs.
    """

    a: KeyStatistics
    b: KeyStatistics
    verdict: Decision
    hypotheses: tuple[Hypothesis, ...]
    paired: bool
    same_speakers: bool
    protections: tuple[Protection, Protection]
    locked: bool
    worst: float
    variance_ratio: float | None
    ks_statistic: float
    ks_p: float
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Comparison({brief(self.a.label, 70)!r}, {brief(self.b.label, 70)!r}: {self.verdict})"

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(printable(line))}</p>" for line in str(self).splitlines())

    def __str__(self) -> str:
        metric = self.a.metric
        ratio = "–" if self.variance_ratio is None else f"{self.variance_ratio:.2f}"
        lines = [
            f"{name}: {side.label}: {side.n:,} keys, mean {metric.words(side.mean.value)}, "
            f"worst key {metric.words(side.worst.score.value)}"
            for name, side in (("A", self.a), ("B", self.b))
        ]
        lines += [self._pairing(), *self._unseen(), *(self._line(hypothesis) for hypothesis in self.hypotheses)]
        if not self.locked:
            lines.append(
                "It is not shown that fewer than one in ten of B's incorrect keys work like plain: "
                "a model that is not locked does not pass, whatever A is like."
            )
        lines += [
            f"Description: B's worst of {min(self.a.n, self.b.n):,} keys is {_gain(self.worst, metric)}; variance of B "
            f"over A {ratio}; Kolmogorov-Smirnov D = {self.ks_statistic:.3f}, p = {self.ks_p:.2g}.",
            *self.warnings,
            f"Does B protect at least as well as A? {_ANSWERS[self.verdict]}",
        ]
        return "\n".join(lines)

    def _pairing(self) -> str:
        keys = "The keys are the same and are compared one by one" if self.paired else "The keys are not the same"
        if self.same_speakers:
            return f"{keys}; so are speech and trials, and the answer is about these speakers alone."
        return f"{keys}; the answer is about speakers in general, and the bounds allow for that."

    def _unseen(self) -> list[str]:
        """The score that the bounds of the mean assume for an untried key."""
        metric, (a, b) = self.a.metric, (one.scores for one in self.protections)
        guessing = " (guessing)" if metric.chance is not None and abs(a.best) == metric.chance else ""
        over = f" ({metric.label} may exceed 100 %)" if metric.name in ("wer", "cer", "mer") else ""
        best, worst = metric.words(abs(a.best)), metric.words(abs(b.worst))
        unseen = [] if a.exhaustive else [f"{best} in A{guessing or over}"]
        unseen += [] if b.exhaustive else [f"{worst} in B"]
        if not unseen:
            return []
        return [f"To show that B is no worse, an untried key counts as {' and as '.join(unseen)}."]

    def _line(self, hypothesis: Hypothesis) -> str:
        metric, gain = self.a.metric, hypothesis.gain
        if hypothesis.kind == "mean":
            bounds = _bounds(gain.low, gain.high, f"+.{metric.decimals}f", 1.0)
            text = (
                f"Mean: B is {_gain(gain.value, metric)} ({bounds}, margin {metric.distance_words(hypothesis.margin)})"
            )
        elif hypothesis.kind == "error":
            errors = (side.attacked.errors[hypothesis.attack].value for side in self.protections)
            left, right = (f"{error:.1f} %" for error in errors)
            bounds = _bounds(gain.low, gain.high, "+.1f", 1.0)
            text = (
                f"{hypothesis.attack}: {left} in A, {right} in B "
                f"(B minus A in points: {bounds}, margin {metric.distance_words(hypothesis.margin)})"
            )
        else:
            a, b = self._shares(hypothesis)
            bounds = _bounds(-gain.high, -gain.low, "+.1f", 100.0)
            what = f"Weak keys, within {metric.distance_words(metric.distances[0])} of plain"
            text = (
                f"{hypothesis.attack or what}: {_of(a)} in A, {_of(b)} in B "
                f"(B minus A in %: {bounds}, margin {100 * hypothesis.margin:g})"
            )
        return f"{text}: {_OUTCOMES[hypothesis.decision]}.{self._wanting(hypothesis)}"

    def _shares(self, hypothesis: Hypothesis) -> tuple[Share, Share]:
        a, b = self.protections
        if hypothesis.kind == "attack":
            return a.attacked.shares[hypothesis.attack], b.attacked.shares[hypothesis.attack]
        weak = [side.weak(self.a.metric.distances[0]) for side in (a, b)]
        return Share(int(weak[0].sum()), len(weak[0])), Share(int(weak[1].sum()), len(weak[1]))

    def _wanting(self, hypothesis: Hypothesis) -> str:
        """How many keys or trials it takes at least, where there were too few from the start."""
        if hypothesis.kind == "error" and hypothesis.decision == "undecided":
            return self._width(hypothesis)
        if (
            hypothesis.kind not in ("tail", "attack")
            or hypothesis.decision != "undecided"
            or not 0 < hypothesis.margin < 1
        ):
            return ""
        share = self._shares(hypothesis)[1]
        least = math.ceil(math.log(LEVEL) / math.log1p(-hypothesis.margin))
        if share.n >= least or share.exhaustive or (hypothesis.kind == "tail" and self.b.run.exhaustive):
            return ""
        what = "trials" if hypothesis.kind == "attack" else "keys"
        return f" It takes {least} {what} without one to show it, and B has {share.n}."

    def _width(self, hypothesis: Hypothesis) -> str:
        """How many points the intervals of two errors take up, where that leaves the answer open."""
        gain, errors = hypothesis.gain, [side.attacked.errors[hypothesis.attack] for side in self.protections]
        if not math.isfinite(gain.low):
            return " One of them has no interval over speakers."
        speakers = min(error.speakers for error in errors)
        return f" The intervals over {speakers} speakers take up {gain.value - gain.low:.1f} points."


USUAL = "both"  # the threat variant of runs that do not name theirs
_ANSWERS = {"shown": "Yes, as far as the margins go.", "worse": "No: worse.", "undecided": "Undecided."}
_OUTCOMES = {"shown": "not worse", "worse": "worse", "undecided": "undecided"}


def compare(
    run_a: Run,
    run_b: Run,
    margins: Margins | None = None,
    other_speakers: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare two runs of the same task by its primary metric.

    Parameters
    ----------
    run_a, run_b : Run
        Of `load_run`. B is tested against A.
    margins : Margins, optional
        By how much B may be worse; by default, of the mean, the metric's smallest distance.
    other_speakers : bool
        Whether the answer is to hold for speakers in general, even where both runs have the same.
    draws, seed : int
        Number of Dirichlet draws for the bounds of the mean, and their seed.

    Returns
    -------
    Comparison
        With the verdict "shown", "worse" or "undecided".

    Raises
    ------
    BadInput
        If the tasks, metrics or threat variants differ.

    References
    ----------
    R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24:295, 1982.
    """
    if run_a.task != run_b.task:
        raise BadInput(
            f"{run_a.folder} is a run of {run_a.task} and {run_b.folder} of {run_b.task}: compare runs of one task."
        )
    if run_a.metric != run_b.metric:
        raise BadInput(
            f"{run_a.folder} measured {run_a.metric} and {run_b.folder} {run_b.metric}: compare runs of one metric."
        )
    if (run_a.variant or USUAL) != (run_b.variant or USUAL):
        raise BadInput(
            f"{run_a.folder} is of the threat variant {run_a.variant or USUAL} and {run_b.folder} of "
            f"{run_b.variant or USUAL}, in which the same keys act differently: compare runs of one variant."
        )
    a, b = summarise_all([effective(run_a), effective(run_b)])
    distance = a.metric.distances[0]
    keys = common_keys(run_a, run_b, a.metric)
    same_speakers = not other_speakers and share_speakers(run_a, run_b)
    of_a, of_b = (protection(side, other, keys, same_speakers) for side, other in ((a, b), (b, a)))
    margins = margins or Margins(distance)
    paired = keys is not None
    verdict, hypotheses = judge(of_b, of_a, distance, margins, paired, draws, seed)
    size, direction = min(a.n, b.n), sign(a.metric)
    test = stats.ks_2samp(a.values, b.values)
    return Comparison(
        a,
        b,
        verdict,
        tuple(hypotheses),
        paired,
        same_speakers,
        (of_a, of_b),
        locks(of_b, distance),
        expected_least(direction * b.values, size) - expected_least(direction * a.values, size),
        b.variance.value / a.variance.value if a.variance and b.variance and a.variance.value > 0 else None,
        float(test.statistic),
        float(test.pvalue),
        tuple(_turned("A", run_a) + _turned("B", run_b) + warnings(a, b, of_a, of_b, same_speakers, margins.attack)),
    )


def _turned(name: str, run: Run) -> list[str]:
    turned = int((run.incorrect(run.metric) > CHANCE).sum()) if is_two_sided(run.metric) else 0
    if not turned:
        return []
    keys = f"{turned:,} key{'s' if turned != 1 else ''}"
    why = "an adversary may invert the decision"
    return [f"{name} has {keys} with an EER above 50 %, which count as 100 % minus it: {why}."]


def _of(share: Share) -> str:
    if share == NEVER:
        return "does not apply"
    return f"{share.hits:,} of {share.n:,}"


def _bounds(low: float, high: float, form: str, factor: float) -> str:
    """One-sided 95 % bounds of a gain; "exact" where nothing was sampled."""
    if low == high:
        return "exact"
    if not math.isfinite(low) and not math.isfinite(high):
        return "no bounds"
    left, right = (format(factor * value, form) if math.isfinite(value) else "–" for value in (low, high))
    return f"95 % bounds {left} and {right}"


def _gain(value: float, metric: Metric) -> str:
    unit = " points" if metric.unit == "%" else f" {metric.unit}".rstrip()
    return f"{abs(value):.{metric.decimals}f}{unit} {'safer' if value >= 0 else 'less safe'}"
