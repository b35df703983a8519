"""The strength of keys in a report: lead, sentences, tables and numbers."""

from collections.abc import Sequence

from wrongkey.reports.content.schema import Figure, Sentence, StrengthEstimate
from wrongkey.reports.content.schema import Strength as Facts
from wrongkey.reports.content.schema import StrengthRun as RunFacts
from wrongkey.reports.content.tables import as_table
from wrongkey.reports.strength.runs import StrengthRun
from wrongkey.reports.strength.tables import estimate_table, strength_table
from wrongkey.reports.strength.words import nominal_words, sentence, short_words

NOTE = (
    "Nominal bits: log2 of the number of keys; where these form a continuum, of those that differ by a relative key "
    "error of 0.1, or what a run says. Effective bits: -log2 of the probability P that a random key comes so near to "
    "the plain model, measured by multilevel splitting; guesses are 1 / P on average. Brackets: interval from "
    "independent repetitions. Acceptance: accepted moves, from the level with the fewest to that with the most. "
    "Ancestors: keys of the first population from which the last one descends, in each repetition; an estimate from "
    "one says little. The key error of the best key says how far from the correct one it lies: about 1.4 for an "
    "unrelated key."
)


def strength(runs: Sequence[StrengthRun], figures: Sequence[Figure]) -> Facts | None:
    """All measurements; None where there are none."""
    if not runs:
        return None
    tables = [as_table(strength_table(runs), "Effective strength of keys")]
    if any(run.found.estimates for run in runs):
        tables.append(as_table(estimate_table(runs), "What each estimate rests on"))
    return Facts(
        lead=lead(runs),
        sentences=[Sentence(label=run.label, sentence=sentence(run), cautions=run.cautions) for run in runs],
        figures=list(figures),
        tables=tables,
        note=NOTE,
        runs=[_facts(run) for run in runs],
    )


def lead(runs: Sequence[StrengthRun]) -> str:
    """The weakest key in one sentence."""
    given = [(nearest.bits, run) for run in runs if (nearest := run.nearest) and nearest.bits is not None]
    if not given:
        return "No effective bits are given; the tables say why."
    _, weakest = min(given, key=lambda one: one[0])
    which = "" if len(given) == 1 else f" That is the weakest of {len(given)} keys."
    uncounted = "" if weakest.found.nominal_bits is not None else f" (nominal bits: {nominal_words(weakest)})"
    return f"{weakest.label}: {short_words(weakest)}{uncounted}.{which}"


def _facts(run: StrengthRun) -> RunFacts:
    found = run.found
    same = (
        "scheme", "block_size", "dims", "blocks", "model", "task", "corpus", "variant", "metric", "plain",
        "nominal_bits", "tolerance", "evaluations", "best", "best_distance", "state",
    )  # fmt: skip
    estimates = [
        StrengthEstimate(**{name: getattr(one, name) for name in StrengthEstimate.model_fields})
        for one in found.estimates
    ]
    return RunFacts(
        run=run.name,
        label=run.label,
        scheme_label=run.scheme_name,
        recordings=run.recordings,
        estimates=estimates,
        **{name: getattr(found, name) for name in same},
    )
