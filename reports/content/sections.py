"""The sections of a report about scores under incorrect keys: one for each task and metric."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from wrongkey.reports.content.gather import Gathered, Group
from wrongkey.reports.content.heard import heard_table
from wrongkey.reports.content.keys import keys_of_section
from wrongkey.reports.content.schema import Figure, Section, Sentence, Survival, Table
from wrongkey.reports.content.schema import Metric as MetricFacts
from wrongkey.reports.content.tables import as_table
from wrongkey.reports.metrics import Metric
from wrongkey.reports.paper.published import differences, published_beside, published_table
from wrongkey.reports.statistics.key_statistics import KeyStatistics
from wrongkey.reports.statistics.survival import survival
from wrongkey.reports.statistics.tails import tail_table
from wrongkey.reports.tables import BEST, beside_table, closeness_table, score_table, worst_key_table
from wrongkey.reports.verdicts import cautions, headline

CURVE = 200  # points of a survival curve
READING = (
    ("[low, high]", "95 % interval over keys: of the mean by Student and Hall, of the median by order statistics, of "
     "the variance by Bonett. None where every key that exists was tried, or too few."),
    ("Plain query", "A query that was not encrypted, sent to the encrypted model."),
    (BEST, "The incorrect key that works best for an attacker. Its interval is its own, over the data, and widened on "
     "the safer side because the key was picked as the best: on other speakers it would probably work less well."),
    ("Guesses to within", "How many random keys an attacker is expected to draw until one comes that close to the "
     "plain model’s score or beats it, with Clopper and Pearson’s 95 % interval over keys. Fewer is worse for the "
     "owner. “> n”: none of n keys did; the lower bound is that of the rule of three. “At most”: so many guesses reach "
     "some key that is near enough to the correct one, whatever the keys tried. Where every key "
     "that exists was tried the number is exact: (n + 1) / (k + 1) if k of n keys come that close."),
    ("Keys within", "How many keys came that close. In parentheses: how many do if every key scored at one end or the "
     "other of its own 95 % interval over speakers or utterances, the plain score held fixed."),
    ("Tail", "A generalised Pareto distribution fitted to the tenth of the keys that works best: an extrapolation, "
     "which cannot foresee a key that is unlike those tried."),
    ("Survival curve", "The share of random keys that come within a distance of the plain model, with its 95 % band. "
     "One over the share is the expected number of guesses."),
)  # fmt: skip
BESIDE = {
    "asv": "The effective EER is that of an adversary who may invert the decision. The least protected speaker is "
    "picked by one half of each speaker’s trials and judged by the other. Cllr is 0 for perfect scores and 1 for "
    "scores without information. D_sys goes from 0 (unlinkable) to 1, expected disclosure from 0 to 0.72 bits. All of "
    "these are too high where trials are few (docs/statistics.md).",
    "asr": "MER, the share of aligned words that are wrong, cannot exceed 100 %. A hypothesis is hallucinated where it "
    "has more inserted words than the reference has words.",
}


def sections(found: Gathered, figures: Mapping[str, Sequence[Figure]]) -> list[Section]:
    """All sections, each task's own metric first; one whose scores are all 0 is a sentence of another.

    figures: those of each section, by its anchor.
    """
    shown = [group for group in found.groups if group.main or not group.all_zero]
    return [_section(found, group, figures.get(group.anchor, ())) for group in shown]


def reading(found: Gathered) -> list[list[str]]:
    """How to read the tables: terms and sentences; none where there are no runs."""
    terms = (
        READING if any(group.keyed for group in found.groups) else [one for one in READING if one[0] != "Plain query"]
    )
    rows = [[term, sentence] for term, sentence in terms] if found.groups else []
    if not all(group.keyed for group in found.groups):
        rows.append(["Plain model", "The model carries no key, so there is no correct one: every key encrypts, and the "
                     "best one for an attacker is the one that hides least."])  # fmt: skip
    return rows


def facts_of(metric: Metric) -> MetricFacts:
    """A metric as data."""
    return MetricFacts(
        name=metric.name,
        label=metric.label,
        axis=metric.axis,
        unit=metric.unit,
        decimals=metric.decimals,
        higher_is_safer=metric.higher_is_safer,
        distances=list(metric.distances),
        chance=metric.chance,
    )


def _section(found: Gathered, group: Group, figures: Sequence[Figure]) -> Section:
    results, main = group.results, group.main
    published = [row for result in results for row in published_beside(result)]
    silent, names = _silent(found, group), found.names
    return Section(
        anchor=group.anchor,
        heading=group.heading,
        task=group.task,
        metric=facts_of(group.metric),
        main=main,
        keyed=group.keyed,
        sentences=[
            Sentence(label=result.label, sentence=f"{headline(result)}{silent}", cautions=cautions(result))
            for result in results
            if main
        ],
        figures=list(figures),
        keys=keys_of_section(results, [names[result.run] for result in results]) if main else [],
        survival=[curve for result in results if (curve := _survival(result, names[result.run]))] if main else [],
        tables=list(_tables(group)) if main else [as_table(score_table(results), f"Scores, {group.metric.axis}")],
        details=[*_heard(group), *_beside_the_paper(group)] if main else [],
        differs=[
            f"{source}, beside {'; '.join(labels)}. {sentence}" for source, sentence, labels in differences(published)
        ],
    )


def _silent(found: Gathered, group: Group) -> str:
    """What was measured of the same runs and never occurred."""
    same = [one for one in found.groups if (one.task, one.keyed) == (group.task, group.keyed) and not one.main]
    names = [one.metric.label for one in same if one.all_zero]
    return f" No {' and no '.join(names)}, with any key." if names and group.main else ""


def _tables(group: Group) -> Iterator[Table]:
    results, axis = group.results, group.metric.axis
    yield as_table(score_table(results), f"Scores, {axis}")
    yield as_table(worst_key_table(results), f"{BEST}, {axis}")
    yield as_table(closeness_table(results), "Keys that came close to the plain model")
    beside = beside_table(results)
    if beside is not None:
        yield as_table(beside, "Also measured", BESIDE.get(group.task, ""))
    if predicted := _tails(results):
        yield predicted


def _tails(results: Sequence[KeyStatistics]) -> Table | None:
    """What fitted tails foretell, for the runs that they say something about; None where they say nothing."""
    frame = tail_table(results)
    if frame is None:
        return None
    why = "Says nothing because"
    frame = frame[frame[why] == "–"].drop(columns=why)
    guesses = [column for column in frame.columns if column.startswith("Guesses to within")]
    foretells = [not all(cell.startswith("counted") for cell in row) for row in frame[guesses].itertuples(index=False)]
    return as_table(frame[foretells], "Beyond the keys tried: a fitted tail") if any(foretells) else None


def _heard(group: Group) -> Iterator[Table]:
    for result in group.results:
        heard = heard_table(result)
        if heard is not None:
            note = "Utterances evenly spaced over the corpus’ list, not picked. Word errors after normalisation."
            yield as_table(heard, f"What was heard: {result.label}", note)


def _beside_the_paper(group: Group) -> Iterator[Table]:
    published = [row for result in group.results for row in published_beside(result)]
    if published:
        note = "Each cell: the paper’s value | this run’s."
        yield as_table(published_table(published, group.metric), f"Beside the paper, {group.metric.label}", note)


def _survival(result: KeyStatistics, name: str) -> Survival | None:
    """The curve of one run, thinned; None where there is no plain score to come close to."""
    if result.plain is None:
        return None
    curve = survival(result)
    kept = np.unique(np.linspace(0, len(curve.distance) - 1, CURVE).astype(int))
    parts = {
        name: np.round(np.asarray(getattr(curve, name), dtype=float)[kept], 6).tolist()
        for name in ("distance", "share", "low", "high")
    }
    return Survival(run=name, label=result.label, **parts)
