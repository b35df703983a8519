"""What `compare` asks of folders that hold attacks alone: whether B is at least as hard to break as A.

The counts are those that `wrongkey.reports.comparison.compare` takes of attacks: the same case on both, and for each
what was lost. One that ran on A or B alone leaves the answer undecided; one that does not apply succeeds in no trial.
Nothing is shown of a B that an attack opens, in more than one of ten trials: "at least as well as A" would praise an
open lock.
"""

from dataclasses import dataclass
from html import escape

from wrongkey.errors import BadInput
from wrongkey.printable import brief, printable
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.comparison.attack_gains import Attacked
from wrongkey.reports.comparison.attack_shares import attack_shares
from wrongkey.reports.comparison.gate import Hypothesis, Margins, judge_attacks, opened
from wrongkey.reports.comparison.noninferiority import Decision
from wrongkey.reports.comparison.sentences import ANSWERS, QUESTION, attack_line
from wrongkey.reports.comparison.strength import strength
from wrongkey.reports.comparison.warnings import attack_warnings
from wrongkey.reports.metrics import METRICS, Metric


@dataclass(frozen=True, eq=False, repr=False)
class AttackComparison:
    """What `compare_attacks` found; `str` of it is the answer in sentences.

    Parameters
    ----------
    a, b : AttackRun
        The two folders.
    verdict : {"shown", "worse", "undecided"}
        Whether B is at least as hard to break as A.
    hypotheses : tuple of Hypothesis
        The attacks that both had, each with its own decision.
    attacked : tuple of Attacked
        What the attacks did to A and to B.
    opened : tuple of str
        The attacks that open B; where there are some, nothing is "shown".
    warnings : tuple of str
        Sentences about what else differs, and what either lacks.
    strength : tuple of str
        Sentences about how well the error of a key is predicted, where it was analysed for both; descriptive.
    """

    a: AttackRun
    b: AttackRun
    verdict: Decision
    hypotheses: tuple[Hypothesis, ...]
    attacked: tuple[Attacked, Attacked]
    opened: tuple[str, ...]
    warnings: tuple[str, ...]
    strength: tuple[str, ...]

    @property
    def metric(self) -> Metric:
        """That of the errors of an adversary's model."""
        return METRICS[self.b.metric or "eer"]

    def line(self, hypothesis: Hypothesis) -> str:
        """One of the counts, in a sentence."""
        return attack_line(hypothesis, self.metric, *self.attacked)

    @property
    def caution(self) -> str:
        """Why nothing can be shown of B, whatever A is like; empty where it can."""
        if not self.opened:
            return ""
        return f"B is open to {'; '.join(self.opened)}. An attack that opens B fails it, whatever A is like."

    def __str__(self) -> str:
        lines = [f"A: attacks on {printable(self.a.label)}", f"B: attacks on {printable(self.b.label)}"]
        lines += [self.line(hypothesis) for hypothesis in self.hypotheses] or ["No attack was run on both."]
        lines += [self.caution] if self.caution else []
        return "\n".join([*lines, *self.strength, *self.warnings, f"{QUESTION} {ANSWERS[self.verdict]}"])

    def __repr__(self) -> str:
        return f"AttackComparison({brief(self.a.label, 70)!r}, {brief(self.b.label, 70)!r}: {self.verdict})"

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(printable(line))}</p>" for line in str(self).splitlines())


def compare_attacks(run_a: AttackRun, run_b: AttackRun, margins: Margins | None = None) -> AttackComparison:
    """Compare the attacks on two schemes; B is tested against A.

    Parameters
    ----------
    run_a, run_b : AttackRun
        Of `load_attacks`, of one task or without a model.
    margins : Margins, optional
        By how much B may be worse; by default 10 % of the trials, and the metric's smallest distance for the error of
        an adversary's model.

    Returns
    -------
    AttackComparison
        With the verdict "shown", "worse" or "undecided".

    Raises
    ------
    BadInput
        If the tasks differ.
    """
    tasks = [run.setting.get("task") for run in (run_a, run_b)]
    if all(tasks) and tasks[0] != tasks[1]:
        raise BadInput(
            f"{run_a.folder} has attacks on {tasks[0]} and {run_b.folder} on {tasks[1]}: compare attacks on one task."
        )
    margins = margins or Margins(METRICS[run_b.metric or "eer"].distances[0])
    of_a, of_b = attack_shares(run_a), attack_shares(run_b)
    of_a, of_b = of_a.beside(of_b), of_b.beside(of_a)
    verdict, hypotheses = judge_attacks(of_b, of_a, margins)
    return AttackComparison(
        run_a,
        run_b,
        verdict,
        tuple(hypotheses),
        (of_a, of_b),
        tuple(opened(of_b)),
        tuple(_warnings(run_a, run_b, of_a, of_b, margins.attack)),
        strength(run_a.folder, run_b.folder),
    )


def _warnings(a: AttackRun, b: AttackRun, of_a: Attacked, of_b: Attacked, margin: float) -> list[str]:
    sentences = ["Only attacks are compared: guesses take a sweep in both folders."]
    for what in ("model", "corpus", "blocks"):
        left, right = (str(run.setting.get(what) or "none") for run in (a, b))
        if left != right:
            named = "way to cut blocks" if what == "blocks" else what
            sentences.append(f"The {named} differs: {left} in A, {right} in B.")
    speech = [(run.suite.get("identity") or {}).get("speech of the victims") for run in (a, b)]
    if speech[0] != speech[1] and a.setting.get("corpus") == b.setting.get("corpus"):
        sentences.append("The speech of the victims differs between A and B.")
    for name, run, attacked, other in (("A", a, of_a, of_b), ("B", b, of_b, of_a)):
        sentences += [f"{name}: {caution}" for caution in run.cautions]
        if not run.suite.get("ended"):
            sentences.append(f"{name} is unfinished: its suite of attacks was stopped.")
        sentences += attack_warnings(name, run.folder, attacked, other, margin)
    return sentences
