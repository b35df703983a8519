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

from dataclasses import dataclass
from html import escape

from scipy import stats

from wrongkey.errors import BadInput
from wrongkey.printable import brief, printable
from wrongkey.reports.comparison.gain_of_means import DRAWS
from wrongkey.reports.comparison.gain_of_shares import Share
from wrongkey.reports.comparison.gate import Hypothesis, Margins, Protection, judge, locks
from wrongkey.reports.comparison.noninferiority import Decision
from wrongkey.reports.comparison.protections import common_keys, effective, protection, share_speakers, sign
from wrongkey.reports.comparison.sentences import (
    ANSWERS,
    QUESTION,
    attack_line,
    gain_words,
    mean_line,
    p_words,
    share_line,
)
from wrongkey.reports.comparison.strength import strength
from wrongkey.reports.comparison.warnings import warnings
from wrongkey.reports.comparison.worst_keys import expected_least
from wrongkey.reports.effective_error import CHANCE, is_two_sided
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
    strength : tuple of str
        Sentences about how well the error of a key is predicted, where it was analysed for both; descriptive.
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
    strength: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Comparison({brief(self.a.label, 70)!r}, {brief(self.b.label, 70)!r}: {self.verdict})"

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(printable(line))}</p>" for line in str(self).splitlines())

    def __str__(self) -> str:
        metric = self.a.metric
        ratio = "–" if self.variance_ratio is None else f"{self.variance_ratio:.2f}"
        lines = [
            f"{name}: {side.label}: {side.n:,} keys, mean {metric.words(side.mean.value)}, "
            f"best wrong key {metric.words(side.worst.score.value)}"
            for name, side in (("A", self.a), ("B", self.b))
        ]
        lines += [self._pairing(), *self._unseen(), *(self.line(hypothesis) for hypothesis in self.hypotheses)]
        lines += [
            *([self.caution] if self.caution else []),
            f"Description: B's best wrong key of {min(self.a.n, self.b.n):,} is {gain_words(self.worst, metric)}; "
            f"variance of B over A {ratio}; Kolmogorov-Smirnov D = {self.ks_statistic:.3f}, {p_words(self.ks_p)}.",
            *self.strength,
            *self.warnings,
            f"{QUESTION} {ANSWERS[self.verdict]}",
        ]
        return "\n".join(lines)

    @property
    def caution(self) -> str:
        """Why nothing can be shown of B, whatever A is like; empty where it can."""
        if self.locked:
            return ""
        return (
            "It is not shown that fewer than one in ten of B's incorrect keys work like plain: "
            "a model that is not locked does not pass, whatever A is like."
        )

    def _pairing(self) -> str:
        keys = "The keys are the same and are compared one by one" if self.paired else "The keys are not the same"
        if self.same_speakers:
            return f"{keys}; speech and trials are the same, and the answer is about these speakers alone."
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

    def line(self, hypothesis: Hypothesis) -> str:
        """One of the counts, in a sentence."""
        metric = self.a.metric
        if hypothesis.kind == "mean":
            return mean_line(hypothesis, metric)
        if hypothesis.kind == "tail":
            what = f"Weak keys, within {metric.distance_words(metric.distances[0])} of plain"
            return share_line(hypothesis, what, *self.weak_keys(), "keys", self.b.run.exhaustive)
        return attack_line(hypothesis, metric, *(side.attacked for side in self.protections))

    def weak_keys(self) -> tuple[Share, Share]:
        """How many keys of A and of B come within the metric's smallest distance of plain."""
        a, b = (side.weak(self.a.metric.distances[0]) for side in self.protections)
        return Share(int(a.sum()), len(a)), Share(int(b.sum()), len(b))


USUAL = "both"  # the threat variant of runs that do not name theirs


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
        strength(run_a.folder, run_b.folder),
    )


def _turned(name: str, run: Run) -> list[str]:
    turned = int((run.incorrect(run.metric) > CHANCE).sum()) if is_two_sided(run.metric) else 0
    if not turned:
        return []
    keys = f"{turned:,} key{'s' if turned != 1 else ''}"
    why = "an adversary may invert the decision"
    return [f"{name} has {keys} with an EER above 50 %, which count as 100 % minus it: {why}."]
