"""Runs, attacks and analyses of a report, summarised once and put into the order in which they are shown."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from wrongkey.keys.labels import place_of_scheme
from wrongkey.printable import printable
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.verdicts import AttackVerdict, verdict
from wrongkey.reports.metrics import METRICS, Metric
from wrongkey.reports.runs import TASKS, Run, place_in, run_labels
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise
from wrongkey.reports.strength.runs import StrengthRun, ordered


@dataclass(frozen=True)
class Group:
    """The results that share a task, a metric, and whether their models carry keys."""

    task: str
    metric: Metric
    results: list[KeyStatistics]

    @property
    def main(self) -> bool:
        """Whether its metric is the primary one of a run."""
        return any(result.run.metric == self.metric.name for result in self.results)

    @property
    def keyed(self) -> bool:
        """Whether the models carry keys, so that there are a correct one and incorrect ones."""
        return self.results[0].run.keyed

    @property
    def anchor(self) -> str:
        """Such as "asv-eer"; its figures are named after it."""
        return f"{self.task}-{self.metric.name}{'' if self.keyed else '-plain-model'}"

    @property
    def heading(self) -> str:
        """Such as "ASV: EER under incorrect keys" or "ASR, encrypted waveforms into the plain model: WER"."""
        task, label = self.task.upper(), self.metric.label
        if not self.main:
            return f"{task}: {label}, also measured{'' if self.keyed else ' (plain model)'}"
        if self.keyed:
            return f"{task}: {label} under incorrect keys"
        return f"{task}, {self.results[0].run.variant_words}: {label}"

    @property
    def all_zero(self) -> bool:
        """Whether every score, plain and under keys, is 0, such as shares of runaway decodings where none ran away."""
        return all(not result.values.any() and not (result.plain and result.plain.value) for result in self.results)


@dataclass(frozen=True)
class Gathered:
    """All that a report is about, and what follows from it."""

    runs: list[Run]
    labels: list[str]
    groups: list[Group]
    attacks: list[AttackRun]
    analyses: list[Analysis]
    strengths: list[StrengthRun] = field(default_factory=list)

    @property
    def main(self) -> list[KeyStatistics]:
        """The results of each run's primary metric."""
        return [result for group in self.groups for result in group.results if result.metric.name == result.run.metric]

    @cached_property
    def names(self) -> dict[Run, str]:
        """What a page calls each run: its folder's name, numbered where several folders share it."""
        names: dict[Run, str] = {}
        for run in self.runs:
            taken, numbered = set(names.values()), (f"{run.name} ({number})" for number in count(2))
            names[run] = run.name if run.name not in taken else next(one for one in numbered if one not in taken)
        return names

    @cached_property
    def verdicts(self) -> list[AttackVerdict]:
        """One for each run of attacks."""
        return [verdict(run) for run in self.attacks]


def gather(
    runs: Sequence[Run],
    attacks: Sequence[AttackRun],
    analyses: Sequence[Analysis],
    strengths: Sequence[StrengthRun] = (),
) -> Gathered:
    """Summarise the runs for every metric that has a section of its own."""
    runs = sorted(runs, key=_place)
    labels = list(_distinct(runs))
    groups: dict[tuple[str, bool, str], list[KeyStatistics]] = {}
    for run, label in zip(runs, labels, strict=True):
        short = label if run.keyed else label.replace(f", {run.variant_words}", "", 1)  # which the heading says
        for name in run.metrics:
            if len(run.rows("incorrect", name)) and (name == run.metric or not METRICS[name].beside):
                groups.setdefault((run.task, run.keyed, name), []).append(summarise(run, name, short))
    found = [Group(task, results[0].metric, results) for (task, *_), results in groups.items()]
    return Gathered(list(runs), labels, found, list(attacks), list(analyses), ordered(strengths))


def _place(run: Run) -> tuple[int, tuple[int, int, str], int]:
    """Where a run is shown: by task, scheme and block size, whatever its folder is called."""
    return place_in(TASKS, run.task), place_of_scheme(run.scheme), run.block_size


def _distinct(runs: Sequence[Run]) -> Iterator[str]:
    """Labels of runs; folders of the same name in different places are numbered, so that no path is shown."""
    seen: Counter[str] = Counter()
    for run, given in zip(runs, run_labels(runs), strict=True):
        label = given.removesuffix(f", {printable(run.folder)}")
        seen[label] += 1
        yield label if seen[label] == 1 else f"{label} ({seen[label]})"
