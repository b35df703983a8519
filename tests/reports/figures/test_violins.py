"""Figures: what they show, and that they are the same every time."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from wrongkey.reports.figures.violins import (
    COLOURS,
    block_size_figure,
    density,
    save_figure,
    scheme_colours,
    spread,
    violin_figure,
)
from wrongkey.reports.runs import load_runs
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise_all

MakeRun = Callable[..., Path]


def results_of(*folders: Path) -> list[KeyStatistics]:
    return summarise_all(load_runs(folders))


def text_of(figure: Figure) -> str:
    axes = figure.axes[0]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return "\n".join([*(label.get_text() for label in axes.get_xticklabels()), axes.get_ylabel(), *legend])


def test_a_density_ends_with_the_data() -> None:
    values = np.random.default_rng(0).normal(30, 5, 500)
    grid, heights = density(values)
    assert (grid[0], grid[-1]) == (values.min(), values.max())
    assert heights.max() == 1 and heights.min() > 0


@pytest.mark.parametrize("values", [np.arange(29.0), np.full(1000, 30.0)])
def test_few_or_equal_keys_have_no_density(values: np.ndarray) -> None:
    assert density(values) is None


def test_tied_dots_stand_side_by_side() -> None:
    places = spread(np.array([14.0, 30.0, 14.0, 14.0]), resolution=0.5)
    assert places[1] == 0 and len({places[0], places[2], places[3]}) == 3
    assert spread(np.full(1000, 1.0), 0.5).min() == -1


def test_the_violin_stays_in_the_range_of_the_scores(make_run: MakeRun, scores: np.ndarray) -> None:
    figure = violin_figure(results_of(make_run("a", scores)))
    (shape,) = figure.axes[0].collections
    heights = shape.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((scores.min(), scores.max()))


def test_five_keys_are_five_dots_and_no_violin(make_run: MakeRun) -> None:
    values = [12.0, 14.0, 14.0, 30.0, 33.0]
    figure = violin_figure(results_of(make_run("a", values, scheme="shuffling")))
    axes = figure.axes[0]
    assert not axes.collections
    dots = next(line for line in axes.lines if len(line.get_ydata()) == 5)
    assert sorted(dots.get_ydata()) == values and len(set(zip(*dots.get_data(), strict=True))) == 5
    assert "each key, median" in text_of(figure)


def test_star_line_and_chance_stand_where_they_should(make_run: MakeRun, scores: np.ndarray) -> None:
    axes = violin_figure(results_of(make_run("a", scores, correct=8.4))).axes[0]
    star = next(line for line in axes.lines if line.get_marker() == "*")
    assert list(star.get_ydata()) == [7.9]
    assert any(list(line.get_ydata()) == [8.4, 8.4] for line in axes.lines)
    assert any(line.get_linestyle() == ":" and list(line.get_ydata()) == [50.0, 50.0] for line in axes.lines)
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
    assert any(line.get_linestyle() == ":" and list(line.get_ydata()) == [10, 10] for line in figure.axes[0].lines)
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


def test_one_far_score_does_not_widen_the_density() -> None:
    values = np.random.default_rng(0).normal(30, 3, 200)
    grid, heights = density(np.append(values, 900.0))
    assert heights[(grid > 50) & (grid < 800)].max() < 0.01 and grid[-1] == 900


def test_plain_speech_is_the_line_where_the_model_carries_no_key(make_run: MakeRun, scores: np.ndarray) -> None:
    folder = make_run(
        "a", scores, task="asr", metric="wer", correct=None, plain_query=None, config={"variant": "waveform"}
    )
    figure = violin_figure(results_of(folder))
    axes, text = figure.axes[0], text_of(figure)
    assert any(list(line.get_ydata()) == [7.9, 7.9] and len(line.get_xdata()) == 2 for line in axes.lines)
    assert any(line.get_marker() == "*" and list(line.get_ydata()) == [7.9] for line in axes.lines)
    assert "plain speech" in text and "correct key" not in text and "incorrect" not in text
    assert "waveform to\nplain model\n200 keys" in text
    both = text_of(violin_figure(results_of(folder, make_run("b", scores, task="asr", metric="wer"))))
    assert "correct key or plain speech" in both and "best incorrect key" in both


def test_no_line_joins_tiles_and_frames(make_run: MakeRun, scores: np.ndarray) -> None:
    asr = {"task": "asr", "metric": "wer", "model": "whisper"}
    folders = [
        make_run(f"{blocks}{m}", scores, **asr, block_size=m, config={"blocks": blocks})
        for blocks, m in (("tiles", 3), ("tiles", 4), ("frames", 80))
    ]
    figure = block_size_figure(results_of(*folders))
    assert {"whisper, ROM, tiles", "whisper, ROM, frames"} <= set(text_of(figure).splitlines())
    medians = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "s")]
    assert [len(line.get_xdata()) for line in medians] == [2, 1]


def test_labels_name_unfinished_and_hostile_runs_as_they_are(make_run: MakeRun) -> None:
    model = r"$\frac{$_{x"
    figure = violin_figure(results_of(make_run("a", np.arange(40.0), keys=1000, model=model)))
    assert model in text_of(figure) and "40 of 1,000 keys" in text_of(figure)
    figure.draw_without_rendering()  # would raise if the name were read as mathematics


def test_twelve_runs_are_wider_and_nothing_is_cut_off(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folders = [make_run(f"r{i}", scores, model=f"a model with a rather long name {i}") for i in range(12)]
    one, twelve = violin_figure(results_of(folders[0])), violin_figure(results_of(*folders))
    assert twelve.get_figwidth() > one.get_figwidth()
    for figure in (one, twelve):
        save_figure(figure, tmp_path, "x")
        outer = figure.bbox
        for text in [*figure.axes[0].get_xticklabels(), *figure.legends[0].get_texts()]:
            box = text.get_window_extent()
            assert box.x0 >= outer.x0 and box.x1 <= outer.x1 and box.y0 >= outer.y0


def test_block_size_figure_is_logarithmic_where_sizes_span_much(make_run: MakeRun, scores: np.ndarray) -> None:
    folders = [make_run(f"m{m}", scores, block_size=m) for m in (3, 10, 128)]
    wide = block_size_figure(results_of(*folders)).axes[0]
    near = block_size_figure(results_of(*folders[:2])).axes[0]
    assert (wide.get_xscale(), near.get_xscale()) == ("log", "linear")
    assert [label.get_text() for label in wide.get_xticklabels()] == ["3", "10", "128"]
    lowest = next(line for line in wide.lines if line.get_marker() == 6)
    assert list(lowest.get_ydata()) == [scores.min()] * 3


def test_one_family_makes_one_line(make_run: MakeRun, scores: np.ndarray) -> None:
    folders = [make_run(f"h{m}", scores, model=f"HuBERT{m}", block_size=m) for m in (5, 10)]
    folders.append(make_run("f", scores, model="HuBERT5", block_size=5, scheme="flipping"))
    legend = text_of(block_size_figure(results_of(*folders)))
    assert legend.count("HuBERT, ROM") == 1 and legend.count("HuBERT, Flipping") == 1


def test_no_line_joins_corpora_or_variants(make_run: MakeRun, scores: np.ndarray) -> None:
    one_corpus = [make_run(f"a{m}", scores, model=f"net{m}", block_size=m) for m in (5, 10)]
    one_corpus += [
        make_run(f"t{m}", scores, model=f"net{m}", block_size=m, config={"variant": "test"}) for m in (5, 10)
    ]
    figure = block_size_figure(results_of(*one_corpus))
    legend = text_of(figure).splitlines()
    assert "net, ROM" in legend and "net, ROM, only the test side" in legend
    other = make_run("o", scores, model="net10", block_size=10, corpus="other")
    figure = block_size_figure(results_of(*one_corpus, other))
    legend = text_of(figure).splitlines()
    assert {"net, ROM, toy", "net, ROM, toy, only the test side", "net, ROM, other"} <= set(legend)
    medians = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "s", "D")]
    assert [len(line.get_xdata()) for line in medians] == [2, 2, 1]
    assert len({(line.get_marker(), line.get_linestyle()) for line in medians}) == 3


@pytest.mark.parametrize("count", [1, 8])
def test_a_violin_says_its_variant_however_long_the_name(make_run: MakeRun, scores: np.ndarray, count: int) -> None:
    model = "a model with a very long name that fills every line there is below a violin, and then some"
    folders = [make_run(f"r{i}", scores[:40], model=model, config={"variant": "test"}) for i in range(count)]
    ticks = violin_figure(results_of(*folders)).axes[0].get_xticklabels()
    assert all(" ".join(tick.get_text().split()).endswith("only the test side 40 keys") for tick in ticks)
    assert all(tick.get_text().count("side") == 1 for tick in ticks)


def test_a_scheme_keeps_its_colour(make_run: MakeRun) -> None:
    results = results_of(make_run("a", [20.0], scheme="mine"), make_run("b", [20.0]))
    colours = scheme_colours(results)
    assert colours["rom"] == COLOURS["rom"] and colours["mine"] not in COLOURS.values()


def test_files_are_the_same_every_time_and_nothing_global_changes(
    make_run: MakeRun, scores: np.ndarray, tmp_path: Path
) -> None:
    results = results_of(make_run("a", scores), make_run("b", scores[:60], scheme="flipping", block_size=5))
    before = dict(matplotlib.rcParams)
    for draw in (violin_figure, block_size_figure):
        first = save_figure(draw(results), tmp_path / "1", draw.__name__)
        second = save_figure(draw(results), tmp_path / "2", draw.__name__)
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
        assert [path.suffix for path in first] == [".png", ".svg"]
        assert ElementTree.parse(first[1]).getroot().tag.endswith("svg")
    assert dict(matplotlib.rcParams) == before


def test_a_figure_shows_one_metric(make_run: MakeRun) -> None:
    folders = [make_run("a", [20.0]), make_run("b", [20.0], task="asr", metric="wer")]
    with pytest.raises(ValueError, match="one metric"):
        violin_figure(results_of(*folders))
