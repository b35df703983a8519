"""Colours, styles and files: the same every time, whatever matplotlib was told."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from io import BytesIO
from itertools import combinations
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tests.reports.figures.drawn import results_of
from wrongkey.errors import BadInput
from wrongkey.reports.figures.block_size import block_size_figure
from wrongkey.reports.figures.style import (
    COLOURS,
    GREY,
    GREYS,
    INK,
    MORE_COLOURS,
    new_figure,
    save_figure,
    scheme_colours,
    scheme_hatches,
    styled,
)
from wrongkey.reports.figures.violins import violin_figure

MakeRun = Callable[..., Path]
SVG = "{http://www.w3.org/2000/svg}"


def contrast(colour: str) -> float:
    """The contrast ratio of a colour on white (WCAG 2.2), 1 to 21; 3 is the least for a mark that must be seen."""
    return 1.05 / (_luminance(colour) + 0.05)


def lightness(colour: str) -> float:
    """The lightness L* of a colour (CIE 1976), 0 to 100: what is left of it in greyscale."""
    y = _luminance(colour)
    return float(116 * y ** (1 / 3) - 16 if y > (6 / 29) ** 3 else y * (29 / 3) ** 3)


def _luminance(colour: str) -> float:
    """The relative luminance of an sRGB colour, 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_scheme_keeps_its_colour(make_run: MakeRun) -> None:
    results = results_of(make_run("a", [20.0], scheme="mine"), make_run("b", [20.0]))
    colours = scheme_colours(result.run.scheme for result in results)
    assert colours["rom"] == COLOURS["rom"] and colours["mine"] not in COLOURS.values()


def test_options_have_the_colour_of_their_base_and_are_hatched() -> None:
    names = ("rom+turns=16", "rom", "mine", "rom+turns=4", "signed-shuffling")
    colours, hatches = scheme_colours(names), scheme_hatches(names)
    assert colours["rom"] == colours["rom+turns=4"] == colours["rom+turns=16"] == COLOURS["rom"]
    assert len({colours[name] for name in ("rom", "mine", "signed-shuffling")}) == 3
    assert hatches["rom"] == hatches["mine"] == "" and len({hatches[name] for name in names if "rom" in name}) == 3
    assert scheme_colours(["signed-shuffling"])["signed-shuffling"] == colours["signed-shuffling"]  # in every figure


def test_contrast_and_lightness_are_those_of_known_colours() -> None:
    assert contrast("#ffffff") == pytest.approx(1.0) and contrast("#777777") == pytest.approx(4.48, abs=0.005)
    assert lightness("#000000") == pytest.approx(0.0) and lightness("#777777") == pytest.approx(50.0, abs=0.1)
    assert contrast("#DDAA33") < 3  # the gold of earlier reports


def test_every_colour_can_be_seen_on_white_and_schemes_differ_in_greyscale() -> None:
    for colour in (*COLOURS.values(), *MORE_COLOURS, GREY, INK, *GREYS):
        assert contrast(colour) >= 3, colour
    for group in (COLOURS.values(), GREYS):
        for one, other in combinations(map(lightness, group), 2):
            assert abs(one - other) >= 12


@pytest.mark.parametrize("style", ["screen", "ieee"])
def test_files_are_the_same_every_time_and_nothing_global_changes(
    make_run: MakeRun, scores: np.ndarray, tmp_path: Path, style: str
) -> None:
    results = results_of(make_run("a", scores), make_run("b", scores[:60], scheme="flipping", block_size=5))
    before = dict(matplotlib.rcParams)
    for draw in (violin_figure, block_size_figure):
        with styled(style):
            figures = draw(results), draw(results)
        first, second = (save_figure(one, tmp_path / str(i), draw.__name__) for i, one in enumerate(figures))
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
        assert [path.suffix for path in first] == [".png", ".svg", ".pdf"]
    assert dict(matplotlib.rcParams) == before


def test_vector_files_have_real_text_and_truetype_fonts(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    with styled("ieee"):
        figure = violin_figure(results_of(make_run("a", scores, model="x<script>&")))
    files = save_figure(figure, tmp_path, "violins")
    root = ElementTree.parse(files.svg).getroot()
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert "x<script>&" in texts and "median, quartiles" in texts and root.find(f".//{SVG}script") is None
    sizes = {text.get("style", "").split("px")[0] for text in root.iter(f"{SVG}text")}
    assert sizes == {"font-size: 8"} and "STIXGeneral" in files.svg.read_text()
    assert b"/FontFile2" in files.pdf.read_bytes() and b"/Type3" not in files.pdf.read_bytes()


def test_a_figure_shows_itself_in_its_own_style() -> None:
    with styled("ieee"):
        figure = new_figure(6.4, 4.4)
        figure.subplots().set_xlabel("M")
    picture = matplotlib.image.imread(BytesIO(figure._repr_png_()), format="png")
    assert picture.shape[1] == 385  # 3.5 inches of 110 dots
    assert len(repr(figure)) < 200


@pytest.mark.parametrize(("asked", "width"), [((6.4, 4.0), 3.5), ((8.6, 4.4), 7.16), ((20, 4), 7.16)])
def test_a_paper_has_two_widths(asked: tuple[float, float], width: float) -> None:
    with styled("ieee"), styled():
        figure = new_figure(*asked)
    assert figure.get_figwidth() == width and figure.get_figheight() <= asked[1]
    assert tuple(new_figure(*asked).get_size_inches()) == asked


def test_an_unknown_style_is_one_sentence() -> None:
    with pytest.raises(BadInput, match=r"^There is no style apa: give screen or ieee\.$"), styled("apa"):
        pass


def test_a_figure_shows_one_metric(make_run: MakeRun) -> None:
    folders = [make_run("a", [20.0]), make_run("b", [20.0], task="asr", metric="wer")]
    with pytest.raises(ValueError, match="one metric"):
        violin_figure(results_of(*folders))
