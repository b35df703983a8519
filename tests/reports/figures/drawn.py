"""What a figure shows, read back from it."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from wrongkey.reports.runs import load_runs
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise_all


def results_of(*folders: Path) -> list[KeyStatistics]:
    return summarise_all(load_runs(folders))


def across(line: Line2D) -> list[float]:
    """The horizontal places of a line's points."""
    return np.asarray(line.get_xdata()).tolist()


def heights(line: Line2D) -> list[float]:
    """The vertical places of a line's points."""
    return np.asarray(line.get_ydata()).tolist()


def text_of(figure: Figure) -> str:
    """Labels of the axes and of the legend, one a line."""
    axes = figure.axes[0]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return "\n".join([*(label.get_text() for label in axes.get_xticklabels()), axes.get_ylabel(), *legend])
