"""Which classes a classifier took for which: the plain model beside the incorrect key that works best.

An accuracy near chance says that nothing was recognised; a confusion matrix says whether some classes still are.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wrongkey.reports.figures.style import INK, new_figure, styled
from wrongkey.reports.outputs import kept_condition, kept_key
from wrongkey.reports.statistics.key_statistics import KeyStatistics

COLUMNS = ("label", "prediction")
WRITTEN = 12  # up to this many classes there is room for a number in every cell
STACKED = 14  # more classes than this stand one matrix below the other
LEVELS = 20  # shades of colour
LONGEST = 22  # characters of a class' name


def confusion_figure(result: KeyStatistics) -> Figure | None:
    """Draw the shares of each class' clips that were answered with each class, plain model beside the best key.

    Parameters
    ----------
    result : KeyStatistics
        Of a run of a classifier.

    Returns
    -------
    Figure or None
        Two matrices, true class down, answered class across. None for a run of another metric, or one that kept no
        outputs (`--keep-outputs`).

    Raises
    ------
    BadInput
        If the outputs are broken.
    """
    run = result.run
    if result.metric.name != "accuracy":
        return None
    plain, best = kept_condition(run, "plain", COLUMNS), kept_key(run, result.worst.key_index, COLUMNS)
    if plain is None or best is None:
        return None
    pairs = [(list(table["label"]), list(table["prediction"])) for table in (plain, best)]
    names = class_names(run.manifest.get("classes"), *[labels for pair in pairs for labels in pair])
    which = f"best {'wrong ' if run.keyed else ''}key, number {result.worst.key_index}"
    titles = ["plain model", which]
    with styled():
        side = max(2.6, (0.34 if len(names) <= STACKED else 0.19) * len(names)) + 1.3
        stacked = len(names) > STACKED
        size = (side + 0.6, 2 * side) if stacked else (2 * side, side + 0.4)
        figure = new_figure(*size)
        axes = figure.subplots(2, 1) if stacked else figure.subplots(1, 2, sharey=True)
        for panel, title, (labels, predictions) in zip(axes, titles, pairs, strict=True):
            counts = confusion_matrix(labels, predictions, names)
            cells = _draw(panel, counts, names)
            panel.set_title(f"{title}: {result.metric.words(accuracy(counts))}")
        axes[0].set_ylabel("true class")
        if stacked:
            axes[1].set_ylabel("true class")
        figure.colorbar(
            cells, ax=list(axes), shrink=0.3 if stacked else 0.6, aspect=25, label="% of the true class’ clips"
        )
    return figure


def class_names(known: object, *seen: Sequence[str]) -> list[str]:
    """The manifest's classes in their order; where it has none, those that were seen, sorted."""
    names = [str(name) for name in known] if isinstance(known, list) else []
    return names + sorted({str(name) for names_seen in seen for name in names_seen} - set(names))


def confusion_matrix(labels: Sequence[str], predictions: Sequence[str], names: Sequence[str]) -> NDArray[np.int_]:
    """Counts `(classes, classes)`: how often the class of a row was answered with the class of a column."""
    place = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, ([place[str(name)] for name in labels], [place[str(name)] for name in predictions]), 1)
    return counts


def accuracy(counts: NDArray[np.int_]) -> float:
    """Percent on the diagonal."""
    return 100 * float(np.trace(counts)) / float(counts.sum())


def _draw(axes: Axes, counts: NDArray[np.int_], names: Sequence[str]) -> Any:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    colours = matplotlib.colormaps["Blues"].resampled(LEVELS)
    rows, columns = np.nonzero(shares)  # most cells are empty, and need no shape
    squares = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + np.stack([columns, rows], axis=1)[:, None]
    cells = PolyCollection(list(squares), array=shares[rows, columns], cmap=colours, edgecolors="none")
    cells.set_clim(0, 100)
    axes.add_collection(cells)
    axes.set_facecolor(colours(0.0))
    axes.set(xlim=(0, len(names)), ylim=(len(names), 0), aspect="equal")
    middles = np.arange(len(names)) + 0.5
    labels = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    size = 8 if len(names) <= STACKED else 6
    axes.set_xticks(middles, labels, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(middles, labels, fontsize=size, parse_math=False)
    axes.tick_params(length=0)
    axes.set_xlabel("answered class")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if len(names) <= WRITTEN:
        for (row, column), share in np.ndenumerate(shares):
            if counts[row, column]:
                ink = "white" if share > 55 else INK
                axes.text(column + 0.5, row + 0.5, f"{share:.0f}", ha="center", va="center", fontsize=7, color=ink)
    return cells
