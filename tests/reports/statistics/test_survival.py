"""The survival curve: counted shares with the intervals of the tables, and the tail where no key was."""

from typing import Any

import numpy as np
import pytest
from matplotlib.lines import Line2D

from tests.reports.statistics.test_key_statistics import MakeRun
from wrongkey.errors import BadInput
from wrongkey.reports.figures.style import styled
from wrongkey.reports.figures.survival import survival_figure, survival_words
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise, summarise_all
from wrongkey.reports.statistics.proportions import exact_band, exact_interval
from wrongkey.reports.statistics.survival import predicted, survival
from wrongkey.reports.statistics.tails import fit_tail

TAIL = 40 - np.random.default_rng(2).exponential(3, 1000)


def result_of(make_run: MakeRun, values: Any, **settings: Any) -> KeyStatistics:
    return summarise(load_run(make_run(f"run{len(values)}-{settings.get('scheme', '')}", values, **settings)))


def test_a_band_is_the_interval_of_every_share() -> None:
    low, high = exact_band([0, 1, 17, 999, 1000], 1000)
    single = [exact_interval(hits, 1000) for hits in (0, 1, 17, 999, 1000)]
    np.testing.assert_allclose(np.stack([low, high], 1), single, rtol=1e-9, atol=1e-15)


def test_a_curve_counts_what_the_tables_count(make_run: MakeRun, scores: Any) -> None:
    result = result_of(make_run, scores)
    curve = survival(result)
    assert curve.distance[0] == 0 and np.all(np.diff(curve.distance) > 0) and np.all(np.diff(curve.share) >= 0)
    for guess in result.guesses:
        at = int(np.flatnonzero(curve.distance == guess.distance)[0])
        assert curve.share[at] == guess.hits / result.n
        assert (curve.low[at], curve.high[at]) == pytest.approx(exact_interval(guess.hits, result.n))
    assert curve.share[-1] == 1


def test_a_curve_of_many_keys_keeps_the_nearest_and_stays_small(make_run: MakeRun) -> None:
    values = 10 + 30 * np.random.default_rng(1).random(20_000)
    result = result_of(make_run, values)
    curve, nearest = survival(result), np.sort(values)[:3] - 7.9
    assert len(curve.distance) < 210 and np.isin(nearest.round(9), curve.distance).all()
    whole = (values[:, None] - 7.9 <= curve.distance + 1e-9).mean(0)
    np.testing.assert_allclose(curve.share, whole)


def test_inverted_decisions_count_and_accuracies_fall(make_run: MakeRun) -> None:
    inverted = survival(result_of(make_run, [20.0, 30.0, 91.5, 48.0]))
    assert inverted.distance[inverted.share == 0.25][0] == pytest.approx(0.6)  # 100 - 91.5 against 7.9
    settings = {"task": "asc", "metric": "accuracy", "plain": 90.0, "correct": 90.0}
    accuracy = survival(result_of(make_run, [30.0, 88.5, 91.0], **settings))
    assert accuracy.share.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 1])


def test_where_every_key_was_tried_nothing_is_uncertain(make_run: MakeRun) -> None:
    result = result_of(make_run, [9.0, 20, 30, 40, 45], key_space=5, enumerated=True)
    curve = survival(result)
    assert (curve.low == curve.share).all() and (curve.high == curve.share).all() and predicted(result) is None


def test_the_tail_goes_on_below_the_nearest_key(make_run: MakeRun) -> None:
    """Errors of 40 - an exponential of mean 3: one key in exp(8) comes within a point of 15."""
    result = result_of(make_run, TAIL, plain=15.0, correct=15.0, block_size=20)
    tail = predicted(result)
    assert tail is not None and tail.distance.max() < TAIL.min() - 15 and (tail.low <= tail.share).all()
    at = int(np.flatnonzero(tail.distance == 1.0)[0])
    fitted = fit_tail(result.values, 15.0, result.metric, result.guesses[0].limit)
    assert fitted is not None and 1 / tail.share[at] == pytest.approx(fitted.guesses[0].expected)
    assert 1 / tail.high[at] == pytest.approx(fitted.guesses[0].low) and tail.low[at] < np.exp(-8) < tail.high[at]


def test_a_tail_that_means_nothing_is_not_drawn(make_run: MakeRun) -> None:
    coarse = np.round(TAIL / 2) * 2
    assert predicted(result_of(make_run, coarse, plain=10.0)) is None
    assert predicted(result_of(make_run, TAIL[:100], plain=15.0)) is None  # too few keys
    assert predicted(result_of(make_run, np.append(TAIL, 5.0), plain=7.9)) is None  # a key as good as plain


def test_without_a_plain_model_there_is_no_curve(make_run: MakeRun, scores: Any) -> None:
    with pytest.raises(BadInput, match="no score of the plain model"):
        survival(result_of(make_run, scores, plain=None))


def test_the_figure_shows_each_run_with_its_own_look(make_run: MakeRun) -> None:
    folders = [
        make_run("a", TAIL, plain=15.0, correct=15.0, block_size=20),
        make_run("b", TAIL + 1, plain=15.0, correct=15.0, block_size=20, scheme="flipping"),
        make_run("c", TAIL + 2, plain=15.0, correct=15.0, block_size=30),
        make_run("d", TAIL + 3, plain=15.0, correct=15.0, block_size=20, model="another"),
    ]
    results = summarise_all(load_run(folder) for folder in folders)
    figure = survival_figure(results)
    labels = {result.label for result in results}
    entries = [line for line in figure.legends[0].findobj(Line2D) if line.get_label() in labels]
    assert len({(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in entries}) == 4
    axes = figure.axes[0]
    assert axes.get_yscale() == "log" and axes.get_xlim()[1] < 30
    drawn, curve = np.asarray(axes.lines[0].get_ydata(), dtype=float), survival(results[0])
    np.testing.assert_allclose(drawn[curve.share > 0], curve.share[curve.share > 0])
    assert len(axes.collections) == 8  # a band for the counted and one for the fitted part of every run
    assert not survival_figure(results * 2).axes[0].collections


def test_a_font_that_is_a_quarter_wider_meets_no_label(make_run: MakeRun, scores: Any) -> None:
    with styled("ieee"):
        figure = survival_figure([result_of(make_run, scores)])
        figure.draw_without_rendering()
    axis, low = figure.axes[0].yaxis, figure.axes[0].get_ylim()[0]
    numbers = [tick.label1.get_window_extent() for tick in axis.get_major_ticks() if tick.get_loc() >= low]
    reached = min(box.x1 - 1.25 * box.width for box in numbers)
    assert 0 < axis.label.get_window_extent().x1 < reached


def test_the_figure_is_said_in_words(make_run: MakeRun) -> None:
    words = survival_words([result_of(make_run, TAIL, plain=15.0, correct=15.0, block_size=20)])
    assert "0 of 1,000 keys [0, 0.37 %] within 1 point (1 in " in words and "by the fitted tail)" in words
