"""Which runs may share an axis: those that ask the same of the same speech. The others stand in panels of their own."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from wrongkey.keys.labels import place_of_scheme
from wrongkey.reports.figures.style import tidy
from wrongkey.reports.runs import Run
from wrongkey.reports.statistics.key_statistics import KeyStatistics


class Asked(NamedTuple):
    """What was asked of a model: a corpus by name and by content, and the trials on it."""

    corpus: str
    speech: str
    trials: str

    @classmethod
    def of(cls, run: Run) -> "Asked":
        """What a run asked."""
        identity = run.section("identity")
        trials = identity.get("trials") or run.section("trials").get("target") or ""
        return cls(run.corpus, str(identity.get("corpus") or ""), str(trials))


class Panel(NamedTuple):
    """Runs that share an axis, and a title that says what they asked; no title where all runs of a figure do."""

    title: str
    results: list[KeyStatistics]


def ordered(results: Sequence[KeyStatistics]) -> list[KeyStatistics]:
    """Runs by task, model family, variant, scheme and block size."""

    def place(result: KeyStatistics) -> tuple[object, ...]:
        run = result.run
        return run.task, _natural(run.family), run.variant, place_of_scheme(run.scheme), run.block_size

    return sorted(results, key=place)


def panels(results: Sequence[KeyStatistics]) -> list[Panel]:
    """The runs of each panel, ordered; panels in the order of their first run."""
    groups: dict[Asked, list[KeyStatistics]] = {}
    for result in ordered(results):
        groups.setdefault(Asked.of(result.run), []).append(result)
    if len(groups) == 1:
        return [Panel("", some) for some in groups.values()]
    corpora = [tidy(asked.corpus) for asked in groups]
    titles = [
        corpus if corpora.count(corpus) == 1 else f"{corpus}, {_asked_words(some[0].run)}"
        for corpus, some in zip(corpora, groups.values(), strict=True)
    ]
    return [Panel(_distinct(titles, number), some) for number, some in enumerate(groups.values())]


def panel_caution(results: Sequence[KeyStatistics]) -> str:
    """What the caption of a figure of these runs must say, or ""."""
    found = []
    if len({Asked.of(result.run) for result in results}) > 1:
        found.append("Runs on other speech or other trials stand in panels of their own: compare within a panel only.")
    if len({result.run.family for result in results}) > 1:
        found.append("Different models differ in more than their keys: compare each with its own star.")
    return " ".join(found)


def _asked_words(run: Run) -> str:
    """Such as "168 + 504 trials" or "60 utterances"."""
    trials = run.section("trials")
    if trials.get("target"):
        return f"{trials['target']:,} + {trials.get('nontarget', 0):,} trials"
    return f"{run.section('corpus').get('utterances', '?')} utterances"


def _distinct(names: list[str], number: int) -> str:
    """A name, numbered where an earlier or later one is the same."""
    name = names[number]
    return f"{name} ({names[: number + 1].count(name)})" if names.count(name) > 1 else name


def _natural(name: str) -> list[tuple[int, str]]:
    """For sorting: numbers in a name count as numbers, however long."""
    parts = enumerate(re.split(r"(\d+)", name))
    return [(len(part.lstrip("0")), part.lstrip("0")) if number % 2 else (-1, part) for number, part in parts]
