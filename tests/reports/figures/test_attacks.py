"""Curves of attacks: every line can be told from every other, also where they lie on each other."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from tests.narrow import present
from tests.reports.attack_folders import rows, write_attacks
from tests.reports.figures.drawn import across
from wrongkey.reports.attacks.rows import AttackRun, load_attacks
from wrongkey.reports.figures.attacks import block_size_curves, seconds_figure


def attacked(
    folder: Path, attacks: tuple[str, ...] = ("order",), qualities: tuple[str, ...] = ("",), **setting: Any
) -> AttackRun:
    """A run in which every attack, in every quality, always finds the key."""
    table = [
        row
        for attack in attacks
        for quality in qualities
        for seconds in (2.0, 5.0)
        for row in rows(attack, f"{seconds:g} s {quality}", [0.0], seconds=seconds, given_quality=quality)
    ]
    return present(load_attacks(write_attacks(folder, table, **setting)))


def looks(figure: Figure) -> list[tuple[object, ...]]:
    """Colour, marker, dashes and width of each line of the left panel."""
    drawn: list[Any] = list(figure.axes[0].lines)
    dashes = [str(one._unscaled_dash_pattern) for one in drawn]  # `get_linestyle` calls all dashes of our own "--"
    return [(o.get_color(), o.get_marker(), d, o.get_linewidth()) for o, d in zip(drawn, dashes, strict=True)]


def test_two_attacks_on_one_run_are_two_lines_and_two_entries_of_the_legend(tmp_path: Path) -> None:
    figure = present(seconds_figure([attacked(tmp_path / "a", ("order", "told"))]))
    assert len(set(looks(figure))) == 2
    sizes = {line.get_markersize() for line in figure.axes[0].lines}
    assert len(sizes) == 2 and {line.get_markerfacecolor() for line in figure.axes[0].lines} == {"none"}
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["speech, ROM, M = 4: told", "speech, ROM, M = 4: order"]
    assert len(looks(figure)) == len(figure.axes[1].lines)


@pytest.mark.parametrize("count", [2, 8])
def test_runs_of_one_scheme_and_block_size_are_told_apart(tmp_path: Path, count: int) -> None:
    runs = [attacked(tmp_path / f"run{i}", ("order", "told")) for i in range(count)]
    figure = present(seconds_figure(runs))
    assert len(set(looks(figure))) == 2 * count
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(set(texts)) == 2 * count and "speech, ROM, M = 4, toy, run0: order" in texts


def test_qualities_are_not_joined(tmp_path: Path) -> None:
    figure = present(seconds_figure([attacked(tmp_path / "a", qualities=("clean", "16 bit"))]))
    assert [across(line) for line in figure.axes[0].lines] == [[2.0, 5.0], [2.0, 5.0]]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.split(": ")[1] for text in texts] == ["order, clean", "order, 16 bit"]


def test_a_second_run_of_a_block_size_is_neither_lost_nor_joined(tmp_path: Path) -> None:
    runs = [attacked(tmp_path / f"{again}-{size}", block_size=size) for again in (0, 1) for size in (3, 10)]
    figure = present(block_size_curves(runs))
    assert [across(line) for line in figure.axes[0].lines] == [[3, 10], [3, 10]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["order, ROM", "order, ROM, run 2"]


def test_models_and_speech_alone_are_apart(tmp_path: Path) -> None:
    runs = [attacked(tmp_path / f"s-{size}", block_size=size) for size in (3, 10)]
    runs += [attacked(tmp_path / f"m-{size}", block_size=size, model=f"net{size}") for size in (3, 10)]
    figure = present(block_size_curves(runs))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["order, ROM, toy", "order, ROM, net, toy"] and len(set(looks(figure))) == 2
