"""What the whitening front ends do to signals whose spectra are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter, welch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.whitening import flattened, phase_only, prediction_error, window_of

RATE = 16_000
FRONT_ENDS = {
    "flat": lambda waveform, rate: flattened(waveform, rate, 15),
    "phase": phase_only,
    "lpc": lambda waveform, rate: prediction_error(waveform, rate, 16),
}


def coloured(samples: int = 2 * RATE, pole: float = 0.95) -> Tensor:
    """Noise of a falling spectrum, as speech has, and of a level that rises."""
    noise = np.random.default_rng(0).standard_normal(samples)
    return torch.from_numpy(lfilter([1.0], [1.0, -pole], noise) * np.linspace(0.1, 1.0, samples))


def tilt(waveform: Tensor) -> float:
    """Power of the lower half of the band over that of the upper half, in dB."""
    _, power = welch(waveform.numpy(), nperseg=512)
    return float(10 * np.log10(power[1:128].sum() / power[128:-1].sum()))


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(FRONT_ENDS)),
    samples=st.integers(1, 3000),
    rate=st.sampled_from([8_000, 11_025, 16_000, 44_100]),
    double=st.booleans(),
)
def test_length_level_and_type_stay_at_any_rate(name: str, samples: int, rate: int, double: bool) -> None:
    waveform = torch.from_numpy(np.random.default_rng(samples).standard_normal(samples))
    waveform = waveform if double else waveform.float()
    changed = FRONT_ENDS[name](waveform, rate)
    assert changed.shape == waveform.shape and changed.dtype == waveform.dtype
    assert changed.isfinite().all()
    torch.testing.assert_close(changed.norm(), waveform.norm(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_falling_spectrum_becomes_level(name):
    assert tilt(coloured()) > 15
    assert abs(tilt(FRONT_ENDS[name](coloured(), RATE))) < 1


def test_silence_stays_silent():
    """Half of the recording is digital silence: no front end makes sound of it."""
    waveform = torch.cat([coloured(RATE), torch.zeros(RATE, dtype=torch.float64)])
    for change in FRONT_ENDS.values():
        changed = change(waveform, RATE)
        assert changed[RATE + window_of(RATE) :].abs().max() < 1e-6 * changed.abs().max()


def test_a_mean_over_many_bins_takes_less_of_the_spectrum_away():
    steady = torch.from_numpy(lfilter([1.0], [1.0, -0.95], np.random.default_rng(1).standard_normal(2 * RATE)))
    tilts = [tilt(flattened(steady, RATE, bins)) for bins in (15, 60, window_of(RATE) // 2 + 1)]
    assert tilts == sorted(tilts) and tilts[-1] > 5


def test_the_prediction_error_of_an_autoregressive_signal_is_what_drove_it():
    innovations = np.random.default_rng(2).standard_normal(2 * RATE)
    signal = torch.from_numpy(lfilter([1.0], [1.0, -1.6, 0.8], innovations))
    found = prediction_error(signal, RATE, 8).numpy()
    middle = slice(RATE // 2, -RATE // 2)
    assert np.corrcoef(found[middle], innovations[middle])[0, 1] > 0.97


def test_more_bins_or_coefficients_than_a_window_has_are_refused():
    with pytest.raises(BadInput, match=r"^The option flat=258 .* at 16,000 Hz: give 1 to 257\.$"):
        flattened(coloured(), RATE, 258)
    with pytest.raises(BadInput, match=r"^The option lpc=257 .* at 16,000 Hz: give 1 to 256\.$"):
        prediction_error(coloured(), RATE, 257)
