"""Colours and files: the same every time, whatever matplotlib was told."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from tests.reports.figures.drawn import results_of
from wrongkey.reports.figures.block_size import block_size_figure
from wrongkey.reports.figures.style import COLOURS, save_figure, scheme_colours
from wrongkey.reports.figures.violins import violin_figure

MakeRun = Callable[..., Path]


def test_a_scheme_keeps_its_colour(make_run: MakeRun) -> None:
    results = results_of(make_run("a", [20.0], scheme="mine"), make_run("b", [20.0]))
    colours = scheme_colours(result.run.scheme for result in results)
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
