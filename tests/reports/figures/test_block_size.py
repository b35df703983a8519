"""Scores against block size: what a line joins, and what it must not join."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.reports.figures.drawn import across, heights, results_of, text_of
from wrongkey.reports.figures.block_size import block_size_figure
from wrongkey.reports.figures.panels import panel_caution
from wrongkey.reports.figures.violins import violin_figure

MakeRun = Callable[..., Path]


def test_no_line_joins_tiles_and_frames(make_run: MakeRun, scores: np.ndarray) -> None:
    asr = {"task": "asr", "metric": "wer", "model": "whisper"}
    folders = [
        make_run(f"{blocks}{m}", scores, **asr, block_size=m, config={"blocks": blocks})
        for blocks, m in (("tiles", 3), ("tiles", 4), ("frames", 80))
    ]
    figure = block_size_figure(results_of(*folders))
    assert {"whisper, ROM, tiles", "whisper, ROM, frames"} <= set(text_of(figure).splitlines())
    medians = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "s")]
    assert [len(across(line)) for line in medians] == [2, 1]


def test_block_size_figure_is_logarithmic_where_sizes_span_much(make_run: MakeRun, scores: np.ndarray) -> None:
    folders = [make_run(f"m{m}", scores, block_size=m) for m in (3, 10, 128)]
    wide = block_size_figure(results_of(*folders)).axes[0]
    near = block_size_figure(results_of(*folders[:2])).axes[0]
    assert (wide.get_xscale(), near.get_xscale()) == ("log", "linear")
    assert [label.get_text() for label in wide.get_xticklabels()] == ["3", "10", "128"]
    lowest = next(line for line in wide.lines if line.get_marker() == 6)
    assert heights(lowest) == [scores.min()] * 3


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
    medians = [line for axes in figure.axes for line in axes.lines if line.get_marker() in ("o", "s", "D")]
    assert [len(across(line)) for line in medians] == [2, 2, 1]
    assert [axes.get_title() for axes in figure.axes] == ["toy", "other"]
    assert len({(line.get_marker(), line.get_linestyle()) for line in medians}) == 3


def test_median_band_and_bars_are_those_of_the_keys(make_run: MakeRun, scores: np.ndarray) -> None:
    folders = [make_run(f"m{m}", scores + m, block_size=m) for m in (3, 5)]
    axes = block_size_figure(results_of(*folders)).axes[0]
    medians = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(np.asarray(medians.get_data()), [[3, 5], [np.median(scores) + m for m in (3, 5)]])
    band, bars = (collection.get_paths() for collection in axes.collections)
    low, high = np.quantile(scores, (0.05, 0.95))
    ends = {(3.0, low + 3), (3.0, high + 3), (5.0, low + 5), (5.0, high + 5)}
    for paths in (band, bars):
        drawn = {tuple(point) for path in paths for point in np.asarray(path.vertices).round(6)}
        assert {(x, round(y, 6)) for x, y in ends} <= drawn


def test_other_trials_stand_in_a_panel_of_their_own(make_run: MakeRun, scores: np.ndarray) -> None:
    def run(size: int, target: int) -> Path:
        identity = {"weights": "a", "corpus": f"{target}" * 8, "trials": f"{target}"}
        trials = {"target": target, "nontarget": 3 * target}
        return make_run(f"{target}-{size}", scores, model="net", block_size=size, identity=identity, trials=trials)

    results = results_of(run(3, 168), run(10, 14), run(10, 168), run(5, 168))
    figure = block_size_figure(results)
    medians = [[across(line) for line in axes.lines if line.get_marker() in ("o", "s")] for axes in figure.axes]
    assert medians == [[[3, 5, 10]], [[10]]]
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["toy, 168 + 504 trials", "toy, 14 + 42 trials"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {f"net, ROM, {title}" for title in titles} <= set(labels) and len(set(labels)) == len(labels)
    assert "compare within a panel only" in panel_caution(results) and panel_caution(results[:1]) == ""
    assert [axes.get_title() for axes in violin_figure(results).axes] == titles


def test_a_second_run_of_one_block_size_begins_a_line(make_run: MakeRun, scores: np.ndarray) -> None:
    folders = [make_run(f"{seed}-{m}", scores + m + seed, block_size=m) for seed in (0, 1) for m in (3, 5)]
    results = results_of(*folders)
    axes = block_size_figure(results).axes[0]
    medians = [line for line in axes.lines if line.get_marker() in ("o", "s", "D")]
    for line in medians:
        assert len(set(across(line))) == len(across(line))
    assert sorted(len(across(line)) for line in medians) == [1, 1, 2]
