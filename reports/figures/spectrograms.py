"""Waveforms and spectrograms of speech with axes, units and one colour bar: the panels of the paper's Figs. 3 to 8."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wrongkey.reports.figures.style import INK, new_figure, styled, wrapped
from wrongkey.reports.spectrogram import magnitudes

WINDOW, HOP = 512, 128  # samples, those of the analyses' spectrograms
DECIBELS = 70  # below the loudest that are shown
COLOURS = 14  # of magma: a step is 5 dB, and a picture is small
CLOSE = 0.02  # seconds of a waveform from near
COLUMNS = 5  # panels side by side
PIXELS = 128  # of a picture in either direction, at most: a figure of nine stays below 200 kB
STROKES = 200  # of a whole waveform, each from the least to the largest of its samples

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Plate:
    """One view of an utterance.

    Attributes
    ----------
    title : str
        What it is: "plain", "Shuffling, M = 10".
    waveform : ndarray of shape (samples,) or None
        Full scale is 1.
    levels : ndarray of shape (bins, frames) or None
        dB; None takes those of the waveform.
    """

    title: str
    waveform: Array | None = None
    levels: Array | None = None


@dataclass(frozen=True)
class Scale:
    """Axes and colours of spectrograms.

    Attributes
    ----------
    frame, bin : float
        Seconds of a frame and kilohertz of a bin; 1 where the unit is not known.
    x, y, colour : str
        Labels of the axes and of the colour bar.
    low, high : float
        The range of the colours.
    """

    frame: float
    bin: float
    x: str = "time (s)"
    y: str = "frequency (kHz)"
    colour: str = "level (dB)"
    low: float = -DECIBELS
    high: float = 0.0


def levels_of(waveform: Array, loudest: float | None = None) -> Array:
    """Magnitudes `(bins, frames)` of a waveform in dB below `loudest`, by default the loudest of its own."""
    return decibels(magnitudes(waveform, WINDOW, HOP), loudest)


def decibels(magnitude: Array, loudest: float | None = None) -> Array:
    """Magnitudes of any sign in dB below `loudest`, by default their own."""
    size = np.abs(magnitude)
    reference = max(float(size.max()) if loudest is None else loudest, 1e-30)
    decibel: Array = 20 * np.log10(np.maximum(size / reference, 1e-6))
    return decibel


def plate_figure(plates: Sequence[Plate], rate: int, scale: Scale, *, close: bool = False) -> Figure:
    """Draw views of one utterance side by side: waveforms above spectrograms, in rows of up to five.

    Parameters
    ----------
    plates : sequence of Plate
        The views.
    rate : int
        Of the waveforms, hertz.
    scale : Scale
        Of the spectrograms, one for all.
    close : bool
        Whether waveforms are also shown from near, `CLOSE` seconds at the first one's loudest place.

    Returns
    -------
    Figure
        Pictures in it have few pixels, which no file enlarges.
    """
    columns = -(-len(plates) // -(-len(plates) // COLUMNS))  # rows of about the same length
    with styled() as style:
        waves = any(plate.waveform is not None for plate in plates)
        kinds = [*(["waveform"] if waves else []), *(["close"] if waves and close else []), "levels"]
        heights = [{"waveform": 0.8, "close": 0.8, "levels": 1.5}[kind] for kind in kinds]
        groups = -(-len(plates) // columns)
        figure = new_figure(max(4.4, 2.1 * columns), 0.5 + groups * (0.3 + 1.15 * sum(heights)))
        grid = figure.subplots(groups * len(kinds), columns, squeeze=False, height_ratios=heights * groups)
        for axes in grid.flat:
            axes.set_axis_off()
            axes.grid(False)
        image: Any = None
        for number, plate in enumerate(plates):
            row, column = divmod(number, columns)
            panels = dict(zip(kinds, grid[row * len(kinds) : (row + 1) * len(kinds), column], strict=True))
            if plate.waveform is not None:
                _draw_waveform(panels["waveform"], plate.waveform, rate, column == 0)
                if close:
                    _draw_close(panels["close"], plate.waveform, _loudest(plates), rate, column == 0)
            levels = plate.levels if plate.levels is not None else levels_of(plate.waveform)  # type: ignore[arg-type]
            image = _draw_levels(panels["levels"], levels, scale, column == 0, f"plate-{number}")
            top = panels[kinds[0]] if plate.waveform is not None else panels["levels"]
            room = figure.get_figwidth() / columns - 0.35
            lines = (wrapped(line, room, top.title.get_fontsize()) for line in plate.title.split("\n"))
            top.set_title("\n".join(lines), linespacing=style.linespacing)
        bars = [grid[row, column] for row in range(len(kinds) - 1, len(grid), len(kinds)) for column in range(columns)]
        figure.colorbar(image, ax=bars, label=scale.colour, aspect=18, pad=0.01, shrink=1 / groups)
    return figure


def smaller(picture: Array) -> Array:
    """A picture `(bins, frames)` of at most `PIXELS` in either direction: means over neighbours.

    Examples
    --------
    >>> smaller(np.ones((257, 100))).shape
    (86, 100)
    """
    for axis, size in enumerate(picture.shape):
        step = -(-size // PIXELS)
        starts = np.arange(0, size, step)
        counts = np.diff([*starts, size]).reshape([-1, 1] if axis == 0 else [1, -1])
        picture = np.add.reduceat(picture, starts, axis=axis) / counts
    return picture


def _draw_waveform(axes: Axes, waveform: Array, rate: int, first: bool) -> None:
    """A whole waveform by the range of its samples at each stroke."""
    axes.set_axis_on()
    edges = np.linspace(0, len(waveform), min(STROKES, len(waveform)) + 1).astype(int)
    low, high = (pick.reduceat(waveform, edges[:-1]) for pick in (np.minimum, np.maximum))
    axes.fill_between((edges[:-1] + edges[1:]) / (2 * rate), low, high, color=INK, linewidth=0.2)
    axes.set(xlim=(0, len(waveform) / rate), ylim=(-1.05, 1.05), yticks=[-1, 0, 1])
    axes.tick_params(labelleft=first)
    axes.set(xlabel="time (s)", ylabel="amplitude" if first else "")


def _draw_close(axes: Axes, waveform: Array, start: int, rate: int, first: bool) -> None:
    axes.set_axis_on()
    part = waveform[start : start + int(CLOSE * rate)]
    axes.plot(1000 * np.arange(len(part)) / rate, part, color=INK, linewidth=0.7)
    axes.set(xlim=(0, 1000 * CLOSE), ylim=(-1.05, 1.05), yticks=[-1, 0, 1])
    axes.tick_params(labelleft=first)
    axes.set(xlabel="time (ms)", ylabel="amplitude" if first else "")


def _draw_levels(axes: Axes, levels: Array, scale: Scale, first: bool, name: str) -> Any:
    axes.set_axis_on()
    bins, frames = levels.shape
    image = axes.imshow(
        smaller(levels),
        origin="lower",
        aspect="auto",
        cmap=matplotlib.colormaps["magma"].resampled(COLOURS),
        vmin=scale.low,
        vmax=scale.high,
        interpolation="none",
        extent=(0, frames * scale.frame, 0, bins * scale.bin),
    )
    image.set_gid(name)  # by default named after its content, which plain and decrypted share
    axes.tick_params(labelleft=first)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set(xlabel=scale.x, ylabel=scale.y if first else "")
    return image


def _loudest(plates: Sequence[Plate]) -> int:
    """Where the first waveform is loudest, early enough for `CLOSE` seconds to follow."""
    waveform = next(plate.waveform for plate in plates if plate.waveform is not None)
    return max(0, int(np.argmax(np.abs(waveform))) - 100)
