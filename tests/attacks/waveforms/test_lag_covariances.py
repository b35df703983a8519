"""Lag covariances and what is averaged, clustered and judged from them."""

import numpy as np
import pytest
import torch
from scipy.linalg import toeplitz
from scipy.signal import lfilter

from wrongkey.attacks.waveforms.lag_covariances import (
    autocorrelations,
    block_rows,
    halves,
    lags_for,
    moving_energy,
    scalar_lags,
    segment_covariances,
    states,
    stationarity,
    toeplitz_sections,
)
from wrongkey.attacks.waveforms.predictability import entropy, lag_weights, prediction
from wrongkey.errors import BadInput
from wrongkey.keys import draw_keys

SIZE, ORDER, WHITE = 7, 16, 1e-3
AR = np.array([1.0, -1.2, 0.6])  # x[n] = 1.2 x[n-1] - 0.6 x[n-2] + white noise


def resonance(samples: int = 40_000, seed: int = 0) -> np.ndarray:
    return lfilter([1.0], AR, np.random.default_rng(seed).standard_normal(samples))


def rows(signal: np.ndarray, size: int = SIZE) -> np.ndarray:
    return signal[: len(signal) // size * size].reshape(-1, size)


def test_blocks_leave_out_tails_and_queries_shorter_than_a_block() -> None:
    cut = block_rows([torch.arange(7.0), torch.arange(2.0)], 3)
    assert len(cut) == 1
    assert cut[0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_sections_and_their_means_are_inverse() -> None:
    lags = np.arange(ORDER + 1.0)
    r = 0.8**lags * np.cos(lags)
    sections = toeplitz_sections(r, SIZE, lags_for(ORDER, SIZE))
    assert np.array_equal(sections[0], toeplitz(r[:SIZE]))
    assert sections[1, SIZE - 1, 0] == r[1]  # the last sample of a block and the first of the next
    assert np.allclose(autocorrelations(sections, ORDER), r)


def test_missing_block_lags_are_refused() -> None:
    with pytest.raises(BadInput, match="do not hold the scalar lags up to 16"):
        autocorrelations(np.zeros((2, SIZE, SIZE)), ORDER)


def test_autocorrelation_is_that_of_the_signal() -> None:
    """Up to sampling and the taper, that of the AR process: ρ(1) = 1.2 / 1.6 and ρ(2) = 1.2 ρ(1) - 0.6."""
    covariances = segment_covariances([rows(resonance())], lags_for(ORDER, SIZE), 1024, 512, 30)
    r = autocorrelations(covariances.mean(0), ORDER)
    assert np.allclose(r[:3], [1, 0.75, 0.3], atol=0.03)


def test_a_key_turns_covariances_and_changes_no_segment_or_state() -> None:
    rng = np.random.default_rng(1)
    signal = np.concatenate([resonance(20_000), rng.standard_normal(20_000), 1e-4 * rng.standard_normal(20_000)])
    key = draw_keys("rom", SIZE, 0, 0, 1)[0]
    plain, cipher = (segment_covariances([part], 2, 700, 350, 30) for part in (rows(signal), rows(signal) @ key))
    assert len(plain) == len(cipher) < 125  # the pause at the end is left out
    assert np.allclose(key.T @ plain @ key, cipher)
    (pooled, shares), (keyed, keyed_shares) = states(plain, 2, 0, 20, 30), states(cipher, 2, 0, 20, 30)
    assert np.allclose(shares, keyed_shares)
    assert shares.sum() == pytest.approx(1)
    assert np.allclose(key.T @ pooled @ key, keyed)


def test_states_tell_a_resonance_from_noise() -> None:
    signal = np.concatenate([resonance(20_000), np.random.default_rng(1).standard_normal(20_000)])
    pooled, shares = states(segment_covariances([rows(signal)], 2, 700, 350, 30), 2, 0, 20, 30)
    neighbours = sorted(autocorrelations(pooled, 2)[:, 1])
    assert np.allclose(neighbours, [0, 0.75], atol=0.05)
    assert np.allclose(shares, 0.5, atol=0.05)


def test_silence_and_short_ciphertext_are_refused() -> None:
    with pytest.raises(BadInput, match="give more ciphertext"):
        segment_covariances([np.ones((3, SIZE))], 1, 1024, 512, 30)
    with pytest.raises(BadInput, match="silent"):
        segment_covariances([np.zeros((400, SIZE))], 1, 1024, 512, 30)


def test_only_the_right_key_makes_a_signal_stationary() -> None:
    both = halves(segment_covariances([rows(resonance())], 2, 1024, 512, 30), 8)
    assert stationarity(both, 8).min() > 0.95
    shuffled = both[..., [1, 0, *range(2, SIZE)], :][..., [1, 0, *range(2, SIZE)]]
    assert stationarity(shuffled, 8).min() < 0.9


def test_prediction_finds_the_process() -> None:
    covariances = toeplitz_sections(_exact(), SIZE, lags_for(ORDER, SIZE))
    filters, variances = prediction(autocorrelations(covariances, ORDER)[None], white=0.0)
    assert np.allclose(filters[0, :3], AR)
    assert np.allclose(filters[0, 3:], 0, atol=1e-9)
    assert variances[0] == pytest.approx((1 - 0.6) / (1 + 0.6) * ((1 + 0.6) ** 2 - 1.2**2))


def test_lag_weights_are_the_derivatives_of_the_entropy() -> None:
    r, shares = np.stack([_exact(), 0.5 ** np.arange(ORDER + 1.0)]), np.array([0.3, 0.7])
    weights = lag_weights(r, shares, WHITE)
    for state, lag in ((0, 0), (0, 1), (1, 3)):
        step = np.zeros_like(r)
        step[state, lag] = 1e-6
        slope = (entropy(r + step, shares, WHITE) - entropy(r - step, shares, WHITE)) / 2e-6
        assert weights[state, lag] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_scalar_lags_run_on_from_block_to_block() -> None:
    assert scalar_lags(2, 1).tolist() == [[[0, 1], [-1, 0]], [[2, 3], [1, 2]]]


def _exact() -> np.ndarray:
    """Autocorrelation of the process, over its variance."""
    r = [1.0, 0.75]
    for _ in range(ORDER - 1):
        r.append(1.2 * r[-1] - 0.6 * r[-2])
    return np.array(r)


def test_the_energy_around_a_row_is_that_of_the_rows_there_are() -> None:
    assert moving_energy(np.array([[1.0], [3.0]]), 8).tolist() == [5.0, 5.0]
    assert moving_energy(np.full((7, 2), 3.0), 3).tolist() == [9.0] * 7
    assert moving_energy(np.array([[0.0], [0.0], [6.0], [0.0]]), 3).tolist() == [0.0, 12.0, 12.0, 18.0]
    assert len(moving_energy(np.empty((0, 4)), 5)) == 0
