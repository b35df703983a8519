"""Violins: what they show of a run, and that nothing of it is cut off or misread."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from tests.reports.figures.drawn import across, heights, results_of, text_of
from wrongkey.reports.figures.density import has_density, outline
from wrongkey.reports.figures.style import styled
from wrongkey.reports.figures.violins import violin_figure

MakeRun = Callable[..., Path]


def outline_of(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """Scores and half widths of the only violin, from the lowest score to the highest."""
    (shape,) = figure.axes[0].collections
    right = np.asarray(shape.get_paths()[0].vertices)
    right = right[right[:, 0] >= 0]
    scores, first = np.unique(right[:, 1], return_index=True)
    return scores, right[first, 0]


@pytest.mark.parametrize("values", [np.arange(29.0), np.full(1000, 30.0)])
def test_few_or_equal_keys_have_no_density(values: np.ndarray) -> None:
    assert not has_density(values) and has_density(np.append(values, 31.0))


def test_the_density_is_scotts_and_ends_with_the_data(make_run: MakeRun) -> None:
    values = np.random.default_rng(0).normal(30, 5, 500)
    scores, widths = outline_of(violin_figure(results_of(make_run("a", values))))
    assert (scores[0], scores[-1]) == pytest.approx((values.min(), values.max()))
    middle = np.subtract(*np.quantile(values, (0.75, 0.25))) / 1.349
    narrow = min(1.0, middle / values.std(ddof=1))
    expected = gaussian_kde(values, bw_method=narrow * 500**-0.2)(scores)
    np.testing.assert_allclose(widths, 0.38 * expected / expected.max(), rtol=1e-9)


def test_the_outline_stays_between_the_scores_and_has_its_peak() -> None:
    values = np.random.default_rng(2).normal(30.0, 5.0, 50_000)
    grid, density = outline(values, 64)
    assert grid[0] == values.min() and grid[-1] == values.max() and density.max() == 1.0
    assert abs(grid[density.argmax()] - 30.0) < 1.5
    exact = np.exp(-(((grid - 30.0) / 5.0) ** 2) / 2)
    assert np.abs(density - exact).max() < 0.05


@pytest.mark.parametrize("keys", [1_000, 20_000, 50_000])
@pytest.mark.parametrize("points", [64, 256])
@pytest.mark.parametrize("far", [[91.0, 111.7], [3.0], [101.0]])
def test_the_outline_of_equal_scores_with_a_few_far_ones_has_its_peak_at_these(
    keys: int, points: int, far: list[float]
) -> None:
    """As word error rates, of which most may be 100: quantiles missed the far ones, and the points the others."""
    grid, density = outline(np.append(np.full(keys, 100.0), far), points)
    assert np.isfinite(density).all() and density.max() == 1.0
    assert abs(grid[density.argmax()] - 100.0) <= (grid[1] - grid[0]) / 2
    assert density[np.abs(grid - 100.0) < 6 * (grid[1] - grid[0])].sum() > 0.98 * density.sum()


def dots_of(figure: Figure) -> np.ndarray:
    """Places (keys, 2) of the dots of the only run, as they are drawn."""
    figure.draw_without_rendering()
    (dots,) = figure.axes[0].collections
    return np.asarray(dots.get_offsets())


def test_five_keys_are_five_dots_and_no_violin(make_run: MakeRun) -> None:
    values = [12.0, 14.0, 14.0, 30.0, 33.0]
    figure = violin_figure(results_of(make_run("a", values, scheme="shuffling")))
    dots = dots_of(figure)
    np.testing.assert_allclose(sorted(dots[:, 1]), values)
    assert len({tuple(dot) for dot in dots.round(3)}) == 5 and len(set(dots[[0, 3, 4], 0].round(3))) == 1
    assert "each key, median" in text_of(figure)


def test_many_keys_of_one_score_are_a_row_of_dots(make_run: MakeRun) -> None:
    dots = dots_of(violin_figure(results_of(make_run("a", np.full(1000, 30.0)))))
    assert len(dots) == 30 and np.allclose(dots[:, 1], 30.0) and len(set(dots[:, 0].round(3))) > 5
    assert np.abs(dots[:, 0]).max() < 0.5


def test_star_line_and_chance_stand_where_they_should(make_run: MakeRun, scores: np.ndarray) -> None:
    axes = violin_figure(results_of(make_run("a", scores, correct=8.4))).axes[0]
    star = next(line for line in axes.lines if line.get_marker() == "*")
    assert heights(star) == [7.9]
    assert any(heights(line) == [8.4, 8.4] for line in axes.lines)
    assert any(line.get_linestyle() == ":" and heights(line) == [50.0, 50.0] for line in axes.lines)
    assert "higher is safer" in axes.get_ylabel()


def test_accuracy_points_the_other_way_and_has_no_chance_line(make_run: MakeRun, scores: np.ndarray) -> None:
    folder = make_run("a", scores, task="asc", metric="accuracy", plain=85.4, correct=85.4)
    figure = violin_figure(results_of(folder))
    assert "lower is safer" in text_of(figure) and "chance" not in text_of(figure)


def test_an_accuracy_of_known_classes_has_a_chance_line(make_run: MakeRun, scores: np.ndarray) -> None:
    def run(classes: int) -> Path:
        facts = {"classes": classes}
        accuracy = {"task": "asc", "metric": "accuracy", "plain": 85.0, "correct": 85.0}
        return make_run(f"c{classes}", scores, **accuracy, corpus_facts=facts)

    ten = run(10)
    figure = violin_figure(results_of(ten))
    assert "chance" in text_of(figure)
    assert any(line.get_linestyle() == ":" and heights(line) == [10, 10] for line in figure.axes[0].lines)
    assert "chance" not in text_of(violin_figure(results_of(ten, run(50))))  # there is no one chance


def test_word_error_rates_far_above_100_are_neither_clipped_nor_press_the_rest(
    make_run: MakeRun, scores: np.ndarray
) -> None:
    asr = {"task": "asr", "metric": "wer"}
    near, far = make_run("a", scores * 2, **asr), make_run("b", [*scores, 900.0], **asr)
    axes = violin_figure(results_of(near)).axes[0]
    assert axes.get_yscale() == "linear" and "logarithmic" not in axes.get_ylabel()
    figure = violin_figure(results_of(far))
    axes = figure.axes[0]
    assert axes.get_yscale() == "symlog" and "logarithmic above 100" in axes.get_ylabel()
    assert axes.get_ylim()[1] > 900 and axes.get_ylim()[0] < 0
    place = axes.transData.transform([(0, 0), (0, 100), (0, 900)])[:, 1]
    assert place[1] - place[0] > place[2] - place[1]
    figure.draw_without_rendering()
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0", "20", "40", "60", "80", "100", "200", "500"]


def test_one_far_score_does_not_widen_the_density(make_run: MakeRun) -> None:
    values = np.append(np.random.default_rng(0).normal(30, 3, 200), 900.0)
    scores, widths = outline_of(violin_figure(results_of(make_run("a", values, task="asr", metric="wer"))))
    assert widths[(scores > 50) & (scores < 800)].max() < 0.01 * 0.38 and scores[-1] == pytest.approx(900)


def test_plain_speech_is_the_line_where_the_model_carries_no_key(make_run: MakeRun, scores: np.ndarray) -> None:
    folder = make_run(
        "a", scores, task="asr", metric="wer", correct=None, plain_query=None, config={"variant": "waveform"}
    )
    figure = violin_figure(results_of(folder))
    axes, text = figure.axes[0], text_of(figure)
    assert any(heights(line) == [7.9, 7.9] and len(across(line)) == 2 for line in axes.lines)
    assert any(line.get_marker() == "*" and heights(line) == [7.9] for line in axes.lines)
    assert "plain speech" in text and "correct key" not in text and "incorrect" not in text
    assert "waveform to plain model 200 keys" in " ".join(text.split())
    both = text_of(violin_figure(results_of(folder, make_run("b", scores, task="asr", metric="wer"))))
    assert "correct key or plain speech" in both and "best wrong key" in both


def test_labels_name_unfinished_and_hostile_runs_as_they_are(make_run: MakeRun) -> None:
    model = r"$\frac{$_{x"
    figure = violin_figure(results_of(make_run("a", np.arange(40.0), keys=1000, model=model)))
    assert model in text_of(figure) and "40 of 1,000 keys" in text_of(figure)
    figure.draw_without_rendering()  # would raise if the name were read as mathematics


@pytest.mark.parametrize("style", ["screen", "ieee"])
@pytest.mark.parametrize("count", [1, 5, 12])
def test_labels_of_many_runs_are_whole_and_do_not_overlap(
    make_run: MakeRun, scores: np.ndarray, style: str, count: int
) -> None:
    folders = [make_run(f"r{i}", scores, model=f"a-model-with-a-rather-long-name-{i}x") for i in range(count)]
    with styled(style):
        figure = violin_figure(results_of(*folders))
        figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert not any("…" in label.get_text() for label in labels)
    for number, label in enumerate(labels):
        assert f"long-name-{number}x" in label.get_text().replace("\n", "")
    outer = figure.bbox
    for box in [*boxes, *(text.get_window_extent() for text in figure.legends[0].get_texts())]:
        assert box.x0 >= outer.x0 and box.x1 <= outer.x1 and box.y0 >= outer.y0
    height = figure.axes[0].get_window_extent().height
    assert height > 0.25 * outer.height  # the labels leave room for the violins


def test_runs_stand_by_model_scheme_and_block_size(make_run: MakeRun, scores: np.ndarray) -> None:
    settings = [("net10", "shuffling", 10), ("net10", "rom", 10), ("net3", "rom", 3), ("a", "flipping", 8)]
    folders = [make_run(f"{i}", scores, model=m, scheme=s, block_size=b) for i, (m, s, b) in enumerate(settings)]
    labels = violin_figure(results_of(*folders)).axes[0].get_xticklabels()
    assert [label.get_text().split("\n")[0] for label in labels] == ["a", "net3", "net10", "net10"]
    assert ["ROM" in label.get_text() for label in labels] == [False, True, True, False]


@pytest.mark.parametrize("count", [1, 8])
def test_a_violin_says_its_variant_however_long_the_name(make_run: MakeRun, scores: np.ndarray, count: int) -> None:
    model = "a model with a very long name that fills every line there is below a violin, and then some"
    folders = [make_run(f"r{i}", scores[:40], model=model, config={"variant": "test"}) for i in range(count)]
    ticks = violin_figure(results_of(*folders)).axes[0].get_xticklabels()
    assert all(" ".join(tick.get_text().split()).endswith("only the test side 40 keys") for tick in ticks)
    assert all(tick.get_text().count("side") == 1 for tick in ticks)
