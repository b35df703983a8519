"""The numbers of several runs as tables: full precision for machines, rounded with intervals for people.

`numbers` is the complete table (CSV); `score_table` and `worst_key_table` are what fits on a page. A table is
a DataFrame until the last moment; `to_html`, `to_markdown` and `to_csv` write any of them, and `latex.to_latex` for a
paper, with untrusted names made printable.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
import pandas as pd

from wrongkey.evaluation.metrics.disclosure import category
from wrongkey.printable import printable
from wrongkey.reports.metrics import METRICS, Metric
from wrongkey.reports.statistics.key_statistics import Estimate, KeyStatistics

BEST = "Best wrong key"  # the one name of the incorrect key that works best, in every table, figure and sentence
# What spreadsheets take for a formula, also in full width (OWASP, CSV injection).
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def numbers(results: Sequence[KeyStatistics]) -> pd.DataFrame:
    """Every number of some runs, unrounded.

    Parameters
    ----------
    results : sequence of KeyStatistics
        Of `summarise_all`, of any metrics.

    Returns
    -------
    DataFrame
        One row per run and metric, values in the metric's unit, empty where there are none. Columns of an estimate
        `x` are `x`, `x_low` and `x_high`.
    """
    rows = []
    for result in results:
        run = result.run
        row: dict[str, object] = {
            "run": run.name,
            "task": run.task,
            "model": run.model,
            "corpus": run.corpus,
            "scheme": run.scheme,
            "blocks": run.blocks,
            "block_size": run.block_size,
            "dims": run.dims,
            "variant": run.variant,
            "metric": result.metric.name,
            "keys": result.n,
            "keys_asked": run.keys_asked,
            "all_keys": run.exhaustive,
        }
        for name in ("plain", "correct", "plain_query", "mean", "variance"):
            row |= _estimate_columns(name, getattr(result, name))
        row |= {"sd": result.sd}
        for q, quantile in result.at.items():
            row |= _estimate_columns("median" if q == 0.5 else f"q{round(100 * q):02d}", quantile)
        row |= _estimate_columns("worst", result.worst.score)
        row |= {"worst_key_seed": result.worst.key_seed, "worst_key_index": result.worst.key_index}
        for guess in result.guesses:
            guesses, keys = f"guesses_within_{guess.distance:g}", f"keys_within_{guess.distance:g}"
            row |= {guesses: guess.expected, f"{guesses}_low": guess.low, f"{guesses}_high": guess.high}
            row |= {keys: guess.hits, f"{keys}_low": guess.fewest, f"{keys}_high": guess.most}
        rows.append(row)
    return pd.DataFrame(rows)


def score_table(results: Sequence[KeyStatistics]) -> pd.DataFrame:
    """For people: how the scores of the incorrect keys are distributed, beside plain and correct key.

    Parameters
    ----------
    results : sequence of KeyStatistics
        Of `summarise_all`, of one metric.

    Returns
    -------
    DataFrame
        One row per run, rounded, with intervals. Correct key and plain query have no column where no run's model
        carries a key.
    """
    table = pd.DataFrame(
        {
            "Run": result.label,
            "Keys": keys_text(result),
            "Plain": _value(result.metric, result.plain),
            "Correct key": _value(result.metric, result.correct),
            "Plain query": _value(result.metric, result.plain_query),
            "Mean [95 %]": _with_interval(result.metric, result.mean),
            "Median [95 %]": _with_interval(result.metric, result.at[0.5]),
            "25–75 %": _range(result, 0.25, 0.75),
            "5–95 %": _range(result, 0.05, 0.95),
            "Variance [95 %]": variance_text(result.variance),
        }
        for result in results
    )
    keyless = not any(result.run.keyed for result in results)
    return table.drop(columns=["Correct key", "Plain query"]) if keyless else table


def worst_key_table(results: Sequence[KeyStatistics]) -> pd.DataFrame:
    """For people: the incorrect key that works best, and how many random keys it takes to come close to plain.

    Parameters
    ----------
    results : sequence of KeyStatistics
        Of `summarise_all`, of one metric.

    Returns
    -------
    DataFrame
        One row per run.
    """
    rows = []
    for result in results:
        metric, worst = result.metric, result.worst
        row = {
            "Run": result.label,
            "Plain": _value(metric, result.plain),
            f"{BEST} [95 %]": _with_interval(metric, worst.score),
            "picked among": f"{worst.picked:,}",
            "its number": str(worst.key_index),
        }
        for guess in result.guesses:
            row[f"Guesses to within {metric.distance_words(guess.distance)}"] = str(guess)
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def closeness_table(results: Sequence[KeyStatistics]) -> pd.DataFrame:
    """For people: how many of the keys came close to plain, also by the ends of their own intervals.

    Parameters
    ----------
    results : sequence of KeyStatistics
        Of `summarise_all`, of one metric.

    Returns
    -------
    DataFrame
        One row per run, one column per distance.
    """
    rows = [
        {"Run": result.label, "Keys": keys_text(result)}
        | {f"Keys within {result.metric.distance_words(guess.distance)}": guess.hits_words for guess in result.guesses}
        for result in results
    ]
    return pd.DataFrame(rows).fillna("–")


def beside_table(results: Sequence[KeyStatistics]) -> pd.DataFrame | None:
    """For people: the measures that have no section of their own (`Metric.beside`), a row for each run and measure.

    None where no run has any.
    """
    rows = []
    for result in results:
        run = result.run
        for metric in (METRICS[name] for name in run.metrics if METRICS[name].beside and name != run.metric):
            if not len(run.rows("incorrect", metric.name)):
                continue
            values = run.incorrect(metric.name)
            low, high = np.quantile(values, (0.05, 0.95))
            plain = run.rows("plain", metric.name)["value"]
            rows.append(
                {
                    "Run": result.label,
                    "Measure": metric.axis,
                    "Plain": _measure(metric, float(plain.mean())) if len(plain) else "–",
                    "Mean": metric.number(float(values.mean())),
                    "5–95 %": f"{metric.number(float(low))}–{metric.number(float(high))}",
                    BEST: _measure(metric, float(values[metric.best_for_attacker(values)])),
                }
            )
    return pd.DataFrame(rows) if rows else None


def keys_text(result: KeyStatistics) -> str:
    """The number of keys, such as "1,000", "all 5" or "320 of 1,000"."""
    if result.run.exhaustive:
        return f"all {result.n:,}"
    return f"{result.n:,}" if result.run.finished else f"{result.n:,} of {result.run.keys_asked:,}"


def variance_text(estimate: Estimate | None) -> str:
    """A variance with three significant digits, as the paper prints it, and its interval."""
    if estimate is None:
        return "–"
    value = significant(estimate.value)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{significant(estimate.low)}, {significant(estimate.high)}]"


def significant(value: float, digits: int = 3) -> str:
    """`value` with that many significant digits, never in exponent form; what is below 1e-12 is rounding, so 0."""
    if abs(value) < 1e-12:
        return "0"
    text = f"{value:#.{digits}g}"
    return f"{float(text):,.0f}" if abs(value) >= 10**digits else f"{Decimal(text):f}"


def to_html(table: pd.DataFrame) -> str:
    """Write a table as an HTML `<table>`, in which every cell and heading is escaped.

    Parameters
    ----------
    table : DataFrame
        Any table.

    Returns
    -------
    str
        The element, "–" for missing values.

    Examples
    --------
    >>> "<td>&lt;b&gt;</td>" in to_html(pd.DataFrame({"Run": ["<b>"]}))
    True
    """
    with pd.option_context("display.max_colwidth", None):
        html = _texts(table, printable).to_html(index=False, escape=True, border=0, justify="unset", na_rep="–")
    return str(html)


def to_markdown(table: pd.DataFrame) -> str:
    r"""Write a table as Markdown, the first column to the left and all others to the right.

    Parameters
    ----------
    table : DataFrame
        Any table; nothing in its cells is read as markup.

    Returns
    -------
    str
        Lines, the last one with its line break.

    Examples
    --------
    >>> print(to_markdown(pd.DataFrame({"Run": ["a*b"], "Keys": [5]})), end="")
    | Run | Keys |
    | :--- | ---: |
    | a\*b | 5 |
    """
    lines = [_markdown_row(list(table.columns))]
    lines.append("|" + "|".join(" :--- " if i == 0 else " ---: " for i in range(table.shape[1])) + "|")
    lines += [_markdown_row(row) for row in table.itertuples(index=False)]
    return "\n".join(lines) + "\n"


def to_csv(table: pd.DataFrame) -> str:
    r"""Write a table as comma-separated values.

    Parameters
    ----------
    table : DataFrame
        Any table.

    Returns
    -------
    str
        A text that a spreadsheet would compute has an apostrophe in front.

    Examples
    --------
    >>> to_csv(pd.DataFrame({"run": ["=1+1"], "keys": [5]}))
    "run,keys\n'=1+1,5\n"
    """
    return str(_texts(table, _no_formula).to_csv(index=False, lineterminator="\n"))


def _markdown_row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(markdown_text(str(cell)) for cell in cells) + " |"


def markdown_text(text: str) -> str:
    """One line of text in which nothing is markup."""
    return re.sub(r"([\\|`*_<>]|\](?=[(\[]))", r"\\\1", printable(" ".join(text.split())))


def _texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """The table with every text changed; columns of numbers stay what they are."""
    changed = table.copy()
    for column in table.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]]:
        cells = [change(cell) if isinstance(cell, str) else cell for cell in table[column]]
        changed[column] = pd.Series(cells, index=table.index, dtype=object)
    return changed


def _no_formula(text: str) -> str:
    shown = printable(text)
    return f"'{shown}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else shown


def _estimate_columns(name: str, estimate: Estimate | None) -> dict[str, object]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _value(metric: Metric, estimate: Estimate | None) -> str:
    return metric.number(None if estimate is None else estimate.value)


def _with_interval(metric: Metric, estimate: Estimate) -> str:
    value = metric.number(estimate.value)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{metric.number(estimate.low)}, {metric.number(estimate.high)}]"


def _measure(metric: Metric, value: float) -> str:
    """A value of a measure; a worst-case disclosure has a category: "1.52 (B)"."""
    return f"{metric.number(value)} ({category(value)})" if metric.name == "worst_llr" else metric.number(value)


def _range(result: KeyStatistics, low: float, high: float) -> str:
    number = result.metric.number
    return f"{number(result.quantiles[low])}–{number(result.quantiles[high])}"
