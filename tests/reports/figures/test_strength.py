"""Effective against nominal bits: every key where it belongs, and none that cannot be drawn."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.narrow import present
from tests.reports.figures.drawn import text_of
from tests.reports.strength_folders import write_strength
from wrongkey.reports.figures.strength import strength_caption, strength_figure
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.strength.runs import find_strength


def marks(figure: Figure) -> list[tuple[float, float]]:
    """Nominal and effective bits of each key: of its mark, which alone has an edge of this width."""
    lines = [line for line in figure.axes[0].lines if line.get_markeredgewidth() == 1.4 and line.get_marker() != "_"]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]  # type: ignore[arg-type, index]


def test_a_mark_for_each_key_with_bits(tmp_path: Path) -> None:
    write_strength(tmp_path / "a", (4.3,), nominal=14.0, block_size=3, model="asv-raw3")
    write_strength(tmp_path / "b", (None, 11.2), nominal=111.3)
    write_strength(tmp_path / "c", (None,), scheme="flipping", nominal=10.0)
    runs = find_strength([tmp_path])
    figure = present(strength_figure(runs))
    assert sorted(marks(figure)) == [(14.0, 4.3), (111.3, 11.2)]
    names = [text.get_text() for text in figure.axes[0].texts]
    assert names == ["asv-raw3", "asv-raw10"]
    assert "Not drawn, because no bits are given: asv-raw10, Flipping, M = 10." in strength_caption(runs)
    assert "Flipping" not in text_of(figure) and "effective = nominal" in text_of(figure)


def test_without_any_bits_there_is_no_figure(tmp_path: Path) -> None:
    assert strength_figure([]) is None
    write_strength(tmp_path / "a", (None,))
    assert strength_figure(find_strength([tmp_path])) is None


def test_keys_that_cannot_be_counted_stand_right_of_all_others(tmp_path: Path) -> None:
    write_strength(tmp_path / "a", (4.3,), nominal=4012.0)
    write_strength(tmp_path / "b", (20.0,), nominal=None, scheme="invertible")
    figure = present(strength_figure(find_strength([tmp_path])))
    (counted, _), (uncounted, bits) = sorted(marks(figure))
    assert counted == 4012.0 and uncounted > 4012.0 and bits == 20.0
    assert "not\ncountable" in [text.get_text() for text in figure.axes[0].texts]


def test_synthetic_speech_is_hollow_and_said(tmp_path: Path) -> None:
    write_strength(tmp_path / "a", recordings="synthetic")
    runs = find_strength([tmp_path])
    assert "no evidence" in strength_caption(runs) and "hollow" in text_of(present(strength_figure(runs)))
    real = find_strength([write_strength(tmp_path / "b" / "real")])
    assert "no evidence" not in strength_caption(real) and "hollow" not in text_of(present(strength_figure(real)))


def test_keys_of_the_same_nominal_bits_stand_beside_each_other(tmp_path: Path) -> None:
    for number in range(3):
        write_strength(tmp_path / f"{number}", (10.0 + number,), model=f"m{number}")
    figure = present(strength_figure(find_strength([tmp_path])))
    figure.draw_without_rendering()
    lines = [line for line in figure.axes[0].lines if line.get_markeredgewidth() == 1.4 and line.get_marker() != "_"]
    places = {round(float(line.get_transform().transform(line.get_xydata())[0][0]), 3) for line in lines}
    assert len(places) == 3


@pytest.mark.parametrize("bits", [0.0, 1e6])
def test_the_ends_of_the_scale_can_be_drawn(tmp_path: Path, bits: float) -> None:
    write_strength(tmp_path / "a", (bits,), nominal=bits, model="\u202e$x^2$\x1b[31m")
    save_figure(present(strength_figure(find_strength([tmp_path]))), tmp_path / "figures", "strength")
    assert "\u202e" not in (tmp_path / "figures" / "strength.svg").read_text(encoding="utf-8")
