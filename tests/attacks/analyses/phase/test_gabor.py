"""The Gabor transform in torch: exact inversion, a plain sum as oracle, ltfatpy's numbers, and the phase gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wrongkey.attacks.analyses.phase.gabor import Lattice, LtfatGabor, TorchGabor, open_gabor, phase_gradient
from wrongkey.attacks.analyses.phase.pghi import integrate
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus

LATTICES = [Lattice(), Lattice(32, 128), Lattice(16, 256), Lattice(64, 128)]


@pytest.fixture
def chirp() -> torch.Tensor:
    """A second of two chirps at 16 kHz, with an even louder half: a signal with ridges and a Nyquist region."""
    time = torch.arange(16_000, dtype=torch.float64) / 16_000
    low, high = (
        torch.sin(2 * torch.pi * (300 * time + 600 * time**2)),
        torch.sin(2 * torch.pi * (5000 - 900 * time) * time),
    )
    return (low + 0.3 * high) * (0.2 + time)


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    return torch.from_numpy(load_audio(open_corpus("bundled").utterances[0], 16_000)).double()[:40_000]


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("samples", [1, 777, 5000])
def test_synthesis_inverts_analysis(lattice: Lattice, samples: int) -> None:
    signals = torch.randn(2, 3, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gabor = TorchGabor(lattice)
    coefficients = gabor.analyse(signals)
    assert coefficients.shape == (2, 3, lattice.bins, lattice.frames(samples))
    assert (gabor.synthesise(coefficients, samples) - signals).abs().max() < 1e-10


def test_single_precision_stays_single_and_inverts_to_its_rounding() -> None:
    signal = torch.randn(3000, generator=torch.Generator().manual_seed(0))
    coefficients = TorchGabor(Lattice()).analyse(signal)
    assert coefficients.dtype == torch.complex64
    assert (TorchGabor(Lattice()).synthesise(coefficients, 3000) - signal).abs().max() < 1e-5


def test_analysis_is_the_sum_of_its_definition() -> None:
    lattice = Lattice(8, 32)
    signal = np.random.default_rng(0).standard_normal(70)
    length = lattice.length(70)
    filled = np.pad(signal, (0, length - 70))
    position = (np.arange(length) + length // 2) % length - length // 2
    wraps = [np.exp(-np.pi * (position + wrap * length) ** 2 / lattice.gamma) for wrap in (-1, 0, 1)]
    window = np.sum(wraps, axis=0)
    window /= np.linalg.norm(window)
    expected = [
        [
            np.sum(filled * np.roll(window, 8 * n) * np.exp(-2j * np.pi * m * np.arange(length) / 32))
            for n in range(length // 8)
        ]
        for m in range(17)
    ]
    found = TorchGabor(lattice).analyse(torch.from_numpy(signal)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_torch_and_ltfatpy_agree(lattice: Lattice) -> None:
    pytest.importorskip("ltfatpy")
    signal = torch.randn(3000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = TorchGabor(lattice), LtfatGabor(lattice)
    coefficients = theirs.analyse(signal)
    assert (ours.analyse(signal) - coefficients).abs().max() < 1e-9
    assert (theirs.synthesise(coefficients, 3000) - signal).abs().max() < 1e-10
    assert (ours.synthesise(coefficients, 3000) - signal).abs().max() < 1e-9


def test_phase_gradient_is_that_of_the_transform(chirp: torch.Tensor) -> None:
    """Against the phases themselves, where there is energy."""
    gabor = TorchGabor(Lattice())
    coefficients = gabor.analyse(chirp).numpy()
    magnitude = np.abs(coefficients)
    gradient = phase_gradient(magnitude, gabor.lattice)
    loud = magnitude > 0.1 * magnitude.max()
    for axis, slope in ((1, gradient.time), (0, gradient.frequency)):
        first, second = (slice(None, -1), slice(1, None))
        before, after = (first, second) if axis == 0 else ((slice(None), first), (slice(None), second))
        step = np.angle(
            coefficients[after] * coefficients[before].conj() * np.exp(-0.5j * (slope[before] + slope[after]))
        )
        assert np.median(np.abs(step[loud[before] & loud[after]])) < 0.05


def convergence(magnitude: np.ndarray, phase: np.ndarray, gabor: TorchGabor, samples: int) -> float:
    signal = gabor.synthesise(torch.from_numpy(magnitude * np.exp(1j * phase)), samples)
    again = gabor.analyse(signal).abs().numpy()
    return float(20 * np.log10(np.linalg.norm(again - magnitude) / np.linalg.norm(magnitude)))


@pytest.mark.parametrize("level", [1.0, 1e-4, 1e4])
def test_ltfatpy_gradient_survives_half_spectra_and_levels(speech: torch.Tensor, level: float) -> None:
    """Regression: gabphasegrad fed with the half spectrum, at its own level, loses decibels (docs: the trap)."""
    ltfatpy = pytest.importorskip("ltfatpy")
    gabor, lattice = TorchGabor(Lattice()), Lattice()
    magnitude = gabor.analyse(speech).abs().numpy() * level
    right = LtfatGabor(lattice).phase_gradient(magnitude)
    ours = phase_gradient(magnitude, lattice)
    loud = magnitude > 0.03 * magnitude.max()
    for theirs, own in ((right.time, ours.time), (right.frequency, ours.frequency)):
        assert np.abs(theirs - own)[loud].max() < 1e-6
    good = convergence(magnitude, integrate(magnitude, right), gabor, len(speech))
    assert abs(good - convergence(magnitude, integrate(magnitude, ours), gabor, len(speech))) < 0.5

    length = magnitude.shape[1] * lattice.hop
    window = {"name": "gauss", "tfr": lattice.gamma / length}
    time, frequency = ltfatpy.gabphasegrad("abs", magnitude, window, lattice.hop, difforder=2)
    start = lattice.hop * np.arange(magnitude.shape[1])
    trap = type(right)(time * lattice.hop * 2 * np.pi / length, -(frequency + start) * 2 * np.pi / lattice.channels)
    assert good < convergence(magnitude, integrate(magnitude, trap), gabor, len(speech)) - 3


def test_gradient_of_silence_is_finite() -> None:
    silence = np.zeros((257, 40))
    gradient = phase_gradient(silence, Lattice())
    assert np.isfinite(gradient.time).all() and np.isfinite(gradient.frequency).all()


@pytest.mark.parametrize("hop, channels", [(0, 512), (100, 512), (512, 512), (128, 100)])
def test_lattices_without_a_transform_are_refused(hop: int, channels: int) -> None:
    with pytest.raises(BadInput, match=str(channels)):
        Lattice(hop, channels)


def test_backends() -> None:
    assert isinstance(open_gabor(backend="torch"), TorchGabor)
    with pytest.raises(BadInput, match="octave"):
        open_gabor(backend="octave")  # type: ignore[arg-type]


def test_coefficients_of_another_signal_are_refused() -> None:
    gabor = TorchGabor(Lattice())
    with pytest.raises(BadInput, match="257 bins"):
        gabor.synthesise(gabor.analyse(torch.ones(4000)), 9000)
