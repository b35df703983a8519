"""The strength of keys as tables: for people, and every number for machines."""

from collections.abc import Sequence

import pandas as pd

from wrongkey.evaluation.run_folder.strength import Estimate
from wrongkey.reports.strength.runs import StrengthRun
from wrongkey.reports.strength.words import NONE, effective_words, guess_words, nominal_words, probability_words
from wrongkey.reports.tables import significant

SYNTHETIC = {"synthetic": " (synthetic)", "unknown": " (not known whether real)"}


def strength_table(runs: Sequence[StrengthRun]) -> pd.DataFrame:
    """For people: nominal and effective bits of each key, and the best key that was found.

    Parameters
    ----------
    runs : sequence of StrengthRun
        Of `find_strength`.

    Returns
    -------
    DataFrame
        One row per run, one column of effective bits per distance.

    Examples
    --------
    >>> from wrongkey.reports import find_strength
    >>> len(strength_table(find_strength([])))
    0
    """
    near = sorted({(one.within, run.metric.distance_words(one.within)) for run in runs for one in run.found.estimates})
    rows = []
    for run in runs:
        metric, found = run.metric, run.found
        row = {"Key": run.label, "Nominal bits": nominal_words(run)}
        row |= dict.fromkeys((_to_within(words) for _, words in near), NONE)
        row |= {_to_within(metric.distance_words(one.within)): effective_words(one) for one in found.estimates}
        row |= {
            "Keys scored": f"{found.evaluations:,}",
            "Score": metric.axis,
            "Plain": metric.number(found.plain),
            "Best key found": metric.number(found.best),
            "its key error": NONE if found.best_distance is None else f"{found.best_distance:.2f}",
            "Corpus": found.corpus + SYNTHETIC.get(run.recordings, ""),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def estimate_table(runs: Sequence[StrengthRun]) -> pd.DataFrame:
    """For people: what each estimate rests on, or why there is none.

    Parameters
    ----------
    runs : sequence of StrengthRun
        Of `find_strength`.

    Returns
    -------
    DataFrame
        One row per run and distance.
    """
    rows = []
    for run in runs:
        for estimate in run.found.estimates:
            rows.append(
                {
                    "Key": run.label,
                    "Within": run.metric.distance_words(estimate.within),
                    "P": probability_words(estimate),
                    "Guesses": guess_words(estimate),
                    "Bits": effective_words(estimate),
                    "log10 P, each repetition": _each(estimate),
                    "Acceptance": _acceptance(estimate),
                    "Ancestors": ", ".join(str(one.ancestors) for one in estimate.repetitions) or NONE,
                    "Why no bits": estimate.why_not or NONE,
                }
            )
    table = pd.DataFrame(rows)
    if len(table) and (table["Why no bits"] == NONE).all():
        return table.drop(columns="Why no bits")
    return table


def strength_numbers(runs: Sequence[StrengthRun]) -> pd.DataFrame:
    """Every number of every estimate, unrounded: a row for each run and distance.

    Parameters
    ----------
    runs : sequence of StrengthRun
        Of `find_strength`.

    Returns
    -------
    DataFrame
        Values in the metric's unit.
    """
    of_run = (
        "scheme", "block_size", "blocks", "dims", "size", "model", "task", "corpus", "variant", "metric", "plain",
        "nominal_bits", "tolerance", "evaluations", "best", "best_distance", "cpu_seconds", "state",
    )  # fmt: skip
    of_estimate = ("within", "goal", "bits", "bits_low", "bits_high", "probability", "guesses", "why_not")
    return pd.DataFrame(
        {"run": run.name, "recordings": run.recordings}
        | {name: getattr(run.found, name) for name in of_run}
        | {name: getattr(estimate, name) for name in of_estimate}
        | {"repetitions": len(estimate.repetitions)}
        for run in runs
        for estimate in run.found.estimates
    )


def _to_within(distance: str) -> str:
    return f"Effective bits to within {distance}"


def _each(estimate: Estimate) -> str:
    """log10 P of every repetition."""
    values = [one.log10_probability for one in estimate.repetitions]
    return ", ".join(NONE if value is None else f"{round(value, 1) + 0.0:.1f}" for value in values) or NONE  # no -0.0


def _acceptance(estimate: Estimate) -> str:
    """The least and the largest share of accepted moves of a level, in percent."""
    shares = [100 * share for one in estimate.repetitions for share in one.acceptance]
    if not shares:
        return NONE
    least, most = significant(min(shares), 2), significant(max(shares), 2)
    return f"{least} %" if least == most else f"{least}–{most} %"
