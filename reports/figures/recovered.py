"""What `wrongkey recover` shows: spectrograms of a recording before and after, and the structure of its blocks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from wrongkey.reports.figures.spectrograms import decibels
from wrongkey.reports.figures.style import GREY, legend_below, new_figure, scheme_colours, styled, tidy
from wrongkey.reports.spectrogram import magnitudes

WINDOW, STEP = 0.025, 0.00625  # seconds of a window, and from one to the next
RANGE = 70.0  # decibels below the loudest of a panel
MOST_FRAMES = 3000  # of a panel: no printer shows more columns
WIDTH, HEIGHT = 7.0, 1.75  # inches of a panel

Array = NDArray[np.floating]


def spectrograms_figure(panels: Sequence[tuple[str, Array]], rate: int) -> Figure:
    """Spectrograms of waveforms `(samples,)`, one below the other on one time axis, each in dB relative to its loudest.

    panels: title and waveform of each. rate: samples per second.
    """
    with styled():
        figure = new_figure(WIDTH, 0.5 + HEIGHT * len(panels))
        rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for number, (axes, (title, waveform)) in enumerate(zip(rows, panels, strict=True)):
            image = axes.imshow(
                levels(waveform, rate),
                origin="lower",
                aspect="auto",
                cmap="magma",
                vmin=-RANGE,
                vmax=0,
                extent=(0, len(waveform) / rate, 0, rate / 2000),
                interpolation="none",
            )
            image.set_gid(f"spectrogram-{number}")
            axes.grid(False)
            axes.set_title(tidy(title), fontsize=9, loc="left")
            axes.set_ylabel("kHz")
        rows[-1].set_xlabel("seconds")
        figure.colorbar(image, ax=list(rows), label="dB relative to the loudest", fraction=0.03, pad=0.01)
    return figure


def levels(waveform: Array, rate: int) -> Array:
    """Levels `(bins, frames)` in dB relative to the loudest, from -RANGE to 0."""
    window = max(16, round(WINDOW * rate))
    step = min(window, max(1, round(STEP * rate), len(waveform) // MOST_FRAMES))
    return np.maximum(decibels(magnitudes(waveform, window, step)), -RANGE)


def block_structure_figure(
    sizes: Sequence[int], before: Array, after: Array, block_size: int, scheme: str, result: str
) -> Figure:
    """Stationarity (0 to 1) in blocks of each of `sizes`, before and after decryption; `result` names the latter."""
    with styled():
        figure = new_figure(WIDTH, 3.4)
        axes = figure.subplots()
        axes.axvline(block_size, color=GREY, linewidth=1, linestyle=":", label=f"M = {block_size}, as was said")
        axes.plot(sizes, before, "o-", color=GREY, markersize=4, label="ciphertext")
        axes.plot(sizes, after, "s-", color=scheme_colours([scheme])[scheme], markersize=4, label=result)
        axes.set(xlabel="cut into blocks of … samples", ylabel="stationarity at the worst place", ylim=(-0.03, 1.05))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_title(
            "Plain speech is alike at every place of a block of any size; encrypted blocks are not", fontsize=9
        )
        legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure
