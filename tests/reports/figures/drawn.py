"""What a figure shows, read back from it."""

from pathlib import Path

from matplotlib.figure import Figure

from wrongkey.reports.runs import load_runs
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise_all


def results_of(*folders: Path) -> list[KeyStatistics]:
    return summarise_all(load_runs(folders))


def text_of(figure: Figure) -> str:
    """Labels of the axes and of the legend, one a line."""
    axes = figure.axes[0]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return "\n".join([*(label.get_text() for label in axes.get_xticklabels()), axes.get_ylabel(), *legend])
