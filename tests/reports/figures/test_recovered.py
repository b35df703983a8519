"""Spectrograms of recordings, and the curve of evidence."""

import numpy as np
import pytest

from wrongkey.reports.figures.recovered import RANGE, block_structure_figure, levels, spectrograms_figure


def test_a_tone_is_a_line_at_its_frequency():
    tone = np.sin(2 * np.pi * 2_000 * np.arange(16_000) / 16_000)
    shown = levels(tone, 16_000)
    assert shown.max() == 0 and shown.min() == -RANGE
    loudest = shown.argmax(0) * 8_000 / (len(shown) - 1)
    assert np.abs(loudest - 2_000).max() < 50


@pytest.mark.parametrize("length", [1, 20, 100_000])
def test_recordings_of_any_length_and_silence_are_drawn(length):
    figure = spectrograms_figure([("silent", np.zeros(length)), ("one $x$\nand two", np.ones(length))], 16_000)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles == ["silent", "one $x$ and two"]
    assert figure.axes[0].get_ylim() == (0, 8)


def test_the_curve_names_the_block_size_and_what_was_drawn():
    figure = block_structure_figure([2, 3, 5], np.array([1.0, 1.0, 0.1]), np.ones(3), 5, "rom", "recovered")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["M = 5, as was said", "ciphertext", "recovered"]
    assert np.asarray(figure.axes[0].lines[1].get_ydata()) == pytest.approx([1.0, 1.0, 0.1])
