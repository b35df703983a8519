"""Confusion matrices: counts against scikit-learn, the right key, and no figure where nothing was kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from sklearn.metrics import confusion_matrix as oracle

from tests.narrow import present
from tests.reports.conftest import write_outputs
from wrongkey.reports.figures.confusion import accuracy, class_names, confusion_figure, confusion_matrix
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import summarise

MakeRun = Callable[..., Path]
ASC = {"task": "asc", "metric": "accuracy", "plain": 75.0, "correct": 75.0, "dims": 2}


def test_counts_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    names = ["rain", "dog", "sea"]
    labels, answers = (list(rng.choice(names, 60)) for _ in range(2))
    counts = confusion_matrix(labels, answers, names)
    np.testing.assert_array_equal(counts, oracle(labels, answers, labels=names))
    assert accuracy(counts) == pytest.approx(100 * np.mean([a == b for a, b in zip(labels, answers, strict=True)]))


def test_classes_keep_the_models_order_and_none_is_lost() -> None:
    assert class_names(["rain", "dog"], ["dog"], ["cat", "rain"]) == ["rain", "dog", "cat"]
    assert class_names(None, ["dog"], ["cat"]) == ["cat", "dog"]


def test_plain_model_beside_the_best_key(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("a", [25.0, 50.0, 0.0], **ASC, classes=["$rain$", "dog"])
    labels = ["$rain$", "$rain$", "dog", "dog"]

    def answers(*predictions: str) -> dict[str, list[str]]:
        return {"utterance": list("abcd"), "label": labels, "prediction": list(predictions)}

    keys = {
        0: answers("dog", "dog", "$rain$", "dog"),
        1: answers("dog", "dog", "dog", "dog"),
        2: answers(*"dog dog $rain$ $rain$".split()),
    }
    write_outputs(folder, answers("$rain$", "$rain$", "dog", "$rain$"), keys)
    figure = confusion_figure(summarise(load_run(folder)))
    assert figure is not None
    plain, best = figure.axes[:2]
    assert plain.get_title() == "plain model: 75.0 %" and best.get_title() == "best wrong key, number 1: 50.0 %"
    np.testing.assert_array_equal(shares(plain), [[100, 0], [50, 50]])
    np.testing.assert_array_equal(shares(best), [[0, 100], [0, 100]])
    assert [label.get_text() for label in plain.get_yticklabels()] == ["$rain$", "dog"]
    save_figure(figure, tmp_path, "confusion")  # would raise if a name were read as mathematics


def shares(axes: Axes) -> np.ndarray:
    """The matrix as drawn, row by row from the top."""
    classes = len(axes.get_xticklabels())
    drawn, cells = np.zeros((classes, classes)), axes.collections[0]
    for path, share in zip(cells.get_paths(), present(cells.get_array()), strict=True):
        column, row = np.asarray(path.vertices).min(axis=0).astype(int)
        drawn[row, column] = share
    assert axes.get_ylim() == (classes, 0)
    return drawn


def test_fifty_classes_stand_one_below_the_other(make_run: MakeRun, tmp_path: Path) -> None:
    names = [f"class {i:02d} with a rather long name" for i in range(50)]
    folder = make_run("a", [25.0], **ASC, classes=names)
    answers = {"utterance": names, "label": names, "prediction": names}
    write_outputs(folder, answers, {0: answers})
    figure = confusion_figure(summarise(load_run(folder)))
    assert figure is not None
    plain, best = (axes.get_position() for axes in figure.axes[:2])
    assert plain.y0 > best.y1 - 1e-6 and not figure.axes[0].texts


def test_nothing_kept_or_another_task_has_no_figure(make_run: MakeRun) -> None:
    assert confusion_figure(summarise(load_run(make_run("a", [25.0], **ASC)))) is None
    assert confusion_figure(summarise(load_run(make_run("b", [25.0])))) is None
