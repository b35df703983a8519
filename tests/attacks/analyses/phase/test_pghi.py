"""Heap integration against a plain heapq and against pghipy's numbers; Griffin-Lim against its definition."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
import torch

from wrongkey.attacks.analyses.phase.gabor import Lattice, PhaseGradient, TorchGabor
from wrongkey.attacks.analyses.phase.griffin_lim import griffin_lim
from wrongkey.attacks.analyses.phase.pghi import integrate, pghi
from wrongkey.attacks.analyses.phase.scores import spectral_convergence
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus

GABOR = TorchGabor(Lattice())


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    waveform = load_audio(open_corpus("bundled").utterances[0], 16_000)
    return torch.from_numpy(waveform).double()[:40_000]


def by_heapq(magnitude: np.ndarray, gradient: PhaseGradient, tolerance: float) -> np.ndarray:
    """The paper's algorithm, literally; NaN where there is no phase."""
    phase = np.full(magnitude.shape, np.nan)
    left = {tuple(at): magnitude[tuple(at)] for at in np.argwhere(magnitude > tolerance * magnitude.max())}
    while left:
        peak = max(left, key=left.__getitem__)
        phase[peak] = 0
        heap = [(-left.pop(peak), peak)]
        while heap:
            m, n = heapq.heappop(heap)[1]
            for dm, dn, slope in (
                (1, 0, gradient.frequency),
                (-1, 0, gradient.frequency),
                (0, 1, gradient.time),
                (0, -1, gradient.time),
            ):
                there = m + dm, n + dn
                if there in left:
                    phase[there] = phase[m, n] + (dm + dn) * (slope[m, n] + slope[there]) / 2
                    heapq.heappush(heap, (-left.pop(there), there))
    return phase


@pytest.mark.parametrize("tolerance", [1e-9, 0.3, 0.8])
def test_integration_is_that_of_a_plain_heap(tolerance: float) -> None:
    """Random gradients are not those of any phase, so every step must be taken in the same order; 0.8 makes islands."""
    rng = np.random.default_rng(1)
    magnitude = rng.uniform(size=(13, 17))
    gradient = PhaseGradient(*rng.standard_normal((2, 13, 17)))
    expected, found = by_heapq(magnitude, gradient, tolerance), integrate(magnitude, gradient, tolerance)
    integrated = np.isfinite(expected)
    np.testing.assert_allclose(found[integrated], expected[integrated], atol=1e-12)
    assert np.abs(found[~integrated]).max(initial=0) <= np.pi


def test_quiet_coefficients_get_seeded_random_phases() -> None:
    magnitude = np.full((5, 6), 1e-9)
    magnitude[2, 3] = 1.0
    gradient = PhaseGradient(np.ones((5, 6)), np.ones((5, 6)))
    one, again, other = (integrate(magnitude, gradient, 1e-6, seed) for seed in (0, 0, 1))
    assert one[2, 3] == 0
    np.testing.assert_array_equal(one, again)
    assert len(np.unique(one)) == 30 and not np.array_equal(one, other)


def test_plain_speech_is_reconstructed(speech: torch.Tensor) -> None:
    magnitude = GABOR.analyse(speech).abs()
    assert spectral_convergence(pghi(magnitude, GABOR, len(speech)), magnitude, GABOR) < -18


def test_as_good_as_pghipy(speech: torch.Tensor) -> None:
    """On the same magnitudes; pghipy's phases are those of windows that begin at their frame, and turn by π a bin."""
    pghipy = pytest.importorskip("pghipy")
    lattice = GABOR.lattice
    magnitude = GABOR.analyse(speech).abs()
    phase = pghipy.pghi(
        np.ascontiguousarray(magnitude.numpy().T), lattice.channels, lattice.hop, float(lattice.gamma)
    ).T
    bins, frames = np.ogrid[: lattice.bins, : magnitude.shape[1]]
    phase = phase - np.pi * bins - 2 * np.pi * (lattice.hop * bins * frames % lattice.channels) / lattice.channels
    theirs = GABOR.synthesise(torch.polar(magnitude, torch.from_numpy(phase)), len(speech))
    ours = pghi(magnitude, GABOR, len(speech))
    assert spectral_convergence(ours, magnitude, GABOR) < spectral_convergence(theirs, magnitude, GABOR) + 0.1


def test_level_changes_nothing_but_the_level(speech: torch.Tensor) -> None:
    magnitude = GABOR.analyse(speech[:8000]).abs()
    loud, quiet = pghi(magnitude, GABOR, 8000), pghi(1e-3 * magnitude, GABOR, 8000)
    assert spectral_convergence(1e3 * quiet, magnitude, GABOR) == pytest.approx(
        spectral_convergence(loud, magnitude, GABOR), abs=0.2
    )


def test_griffin_lim_converges_and_momentum_helps(speech: torch.Tensor) -> None:
    speech = speech[:16_000]
    magnitude = GABOR.analyse(speech).abs()
    reached = {
        (iterations, momentum): spectral_convergence(
            griffin_lim(magnitude, GABOR, len(speech), iterations=iterations, momentum=momentum), magnitude, GABOR
        )
        for iterations, momentum in ((0, 0.99), (60, 0.0), (60, 0.99))
    }
    assert reached[60, 0.99] < reached[60, 0.0] - 1 < reached[0, 0.99] - 6


def test_griffin_lim_goes_on_from_pghi(speech: torch.Tensor) -> None:
    speech = speech[:16_000]
    magnitude = GABOR.analyse(speech).abs()
    first = pghi(magnitude, GABOR, len(speech))
    phase = GABOR.analyse(first).angle()
    better = griffin_lim(magnitude, GABOR, len(speech), phase=phase, iterations=20)
    assert spectral_convergence(better, magnitude, GABOR) < spectral_convergence(first, magnitude, GABOR) - 1


def test_true_phases_are_a_fixed_point(speech: torch.Tensor) -> None:
    coefficients = GABOR.analyse(speech)
    again = griffin_lim(coefficients.abs(), GABOR, len(speech), phase=coefficients.angle(), iterations=3)
    assert (again - speech).abs().max() < 1e-9


def test_a_batch_is_its_rows(speech: torch.Tensor) -> None:
    magnitudes = torch.stack([GABOR.analyse(part).abs() for part in (speech[:6000], speech[9000:15_000])])
    for method in (lambda m: pghi(m, GABOR, 6000), lambda m: griffin_lim(m, GABOR, 6000, iterations=5)):
        batch = method(magnitudes)
        for row, magnitude in zip(batch, magnitudes, strict=True):
            assert (row - method(magnitude)).abs().max() < 1e-9


def test_silence_stays_silent() -> None:
    silence = torch.zeros(257, GABOR.lattice.frames(2000), dtype=torch.float64)
    assert pghi(silence, GABOR, 2000).abs().max() == 0
    assert griffin_lim(silence, GABOR, 2000, iterations=2).abs().max() == 0


@pytest.mark.parametrize("spoilt, word", [((256, 30), "257"), (-1.0, "negative"), (float("nan"), "finite")])
def test_what_is_no_magnitude_is_refused(spoilt: float | tuple[int, int], word: str) -> None:
    magnitude = torch.ones(spoilt) if isinstance(spoilt, tuple) else torch.full((257, 30), spoilt)
    with pytest.raises(BadInput, match=word):
        pghi(magnitude, GABOR, 2000)
    with pytest.raises(BadInput, match=word):
        griffin_lim(magnitude, GABOR, 2000)
