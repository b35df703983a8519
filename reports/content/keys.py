"""The single keys of a run, as many as a page can hold, and the outline of their distribution."""

import shlex
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wrongkey.reports.commands import draw_words
from wrongkey.reports.content.schema import BestKey, Keys
from wrongkey.reports.figures.density import outline
from wrongkey.reports.metrics import Metric
from wrongkey.reports.runs import Run, told_apart
from wrongkey.reports.statistics.key_statistics import Array, KeyStatistics

MOST = 5000  # keys of a run that are shown one by one
BEST_SHARE = 0.01  # of the keys, those that work best: all of them are shown
POINTS = 64  # of an outline
TIES = 10  # that are named
Indices = NDArray[np.int64]


def keys_of_section(results: Sequence[KeyStatistics], names: Sequence[str]) -> list[Keys]:
    """What can be shown of the keys of the runs of a section, each called `names` on the page; short names differ."""
    runs = [result.run for result in results]
    shorts = told_apart(
        [f"{run.scheme_name}, {run.block_words}" for run in runs],
        [run.model for run in runs],
        [run.corpus for run in runs],
        [_trials(run) for run in runs],
        list(names),
    )
    return [keys_of(*one) for one in zip(results, names, shorts, strict=True)]


def keys_of(result: KeyStatistics, name: str, short: str) -> Keys:
    """What can be shown of the keys of one run, which the page calls `name`, or `short` where there is little room."""
    run, metric = result.run, result.metric
    rows = run.rows("incorrect", metric.name)
    order = np.argsort(result.values if metric.higher_is_safer else -result.values, kind="stable")
    shown = chosen(order, run.name)
    numbers = rows["key_index"].to_numpy(dtype=np.int64)
    ranks = _ranks(result.values[order])[np.argsort(order)]
    ends = [rows[column].to_numpy(dtype=np.float64)[shown] for column in ("ci_low", "ci_high")]
    low, high = (rounded(end, metric) if np.isfinite(end).all() else [] for end in ends)
    grid, density = outline(result.values, POINTS)
    return Keys(
        run=name,
        label=result.label,
        short=short,
        scheme=run.scheme,
        scheme_label=run.scheme_name,
        block_size=run.block_size,
        dims=run.dims,
        seed=result.worst.key_seed,
        draw=draw_words(run),
        tried=result.n,
        plain=None if result.plain is None else result.plain.value,
        correct=None if result.correct is None else result.correct.value,
        q25=result.quantiles[0.25],
        median=result.median,
        q75=result.quantiles[0.75],
        best=_best(result, numbers),
        index=numbers[shown].tolist(),
        score=rounded(result.values[shown], metric),
        rank=ranks[shown].tolist(),
        low=low,
        high=high,
        grid=rounded(grid, metric),
        density=np.round(density, 3).tolist(),
    )


def _trials(run: Run) -> str:
    trials = run.section("trials")
    return f"{sum(trials.get(kind) or 0 for kind in ('target', 'nontarget')):,} trials"


def chosen(order: Indices, seed: str, most: int = MOST) -> Indices:
    """Positions of the keys to show, in the order of the keys: all of the best, a sample of the rest.

    Parameters
    ----------
    order : ndarray
        Positions of all keys `(keys,)`, the one that works best first.
    seed : str
        The same keys are drawn for the same text.
    most : int
        How many to show at most; half of them may be of the best.
    """
    if len(order) <= most:
        return np.arange(len(order))
    best = min(int(np.ceil(BEST_SHARE * len(order))), most // 2)
    rest = np.random.default_rng(list(seed.encode("utf-8", "replace"))).choice(order[best:], most - best, replace=False)
    return np.sort(np.concatenate([order[:best], rest]))


def rounded(values: Array, metric: Metric) -> list[float]:
    """Values with one decimal more than tables have."""
    return np.round(values, metric.decimals + 1).tolist()


def _ranks(ordered: Array) -> Indices:
    """Ranks of sorted scores, from 1; those that tie share the best."""
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return np.maximum.accumulate(np.where(first, np.arange(len(ordered)), 0)) + 1


def _best(result: KeyStatistics, numbers: Indices) -> BestKey:
    worst = result.worst
    ties = numbers[(result.values == worst.score.value) & (numbers != worst.key_index)]
    return BestKey(
        index=worst.key_index,
        score=worst.score.value,
        low=worst.score.low,
        high=worst.score.high,
        tied=len(ties),
        ties=ties[:TIES].tolist(),
        command=shlex.join([*draw_words(result.run), str(worst.key_index)]),
    )
