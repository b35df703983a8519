"""Prediction: what can be predicted is, what cannot is not, and nothing is learned from the held-out keys."""

import numpy as np
import pytest
from scipy import stats

from wrongkey.attacks.analyses.rank_regression import (
    gaussian_kernels,
    out_of_fold,
    predict,
    spearman,
    spearman_interval,
    squares_kernel,
)
from wrongkey.errors import BadInput

rng = np.random.default_rng(0)
FEATURES = rng.normal(size=(200, 3))


def test_rank_correlation_agrees_with_scipy_with_ties():
    error = np.round(FEATURES[:, 0] + FEATURES[:, 1])
    assert spearman(FEATURES[:, 0], error) == pytest.approx(stats.spearmanr(FEATURES[:, 0], error).statistic)
    rho, low, high = spearman_interval(FEATURES[:, 0], error)
    assert low < rho < high
    assert np.isnan(spearman(np.ones(200), error))


def test_both_ends_of_a_measure_are_predicted():
    found = predict([squares_kernel(FEATURES)], FEATURES[:, 1] ** 2 + 0.1 * rng.normal(size=200))
    assert found.low > 0.8 and found.r2 > 0.6 and found.hits > 0.3


def test_noise_is_not_predicted():
    found = predict([squares_kernel(FEATURES)], np.random.default_rng(7).normal(size=200))
    assert found.low < 0 < found.high and found.r2 < 0.05 and found.hits < 0.4


def test_keys_near_each_other_score_alike():
    points = rng.uniform(-1, 1, size=(200, 2))
    error = np.sin(3 * points[:, 0]) * np.cos(3 * points[:, 1])
    assert predict(gaussian_kernels(points), error).low > 0.9
    assert predict([squares_kernel(points)], error).rho < 0.9


def test_a_held_out_key_does_not_teach():
    kernels = [squares_kernel(FEATURES)]
    target = FEATURES[:, 0].copy()
    target -= target.mean()
    before = out_of_fold(kernels, target, seed=3)
    fold = np.random.default_rng(3).permutation(200) % 10
    changed = target.copy()
    held = np.flatnonzero(fold == 4)
    changed[held[:2]] += [5.0, -5.0]  # the mean, which is known, stays
    np.testing.assert_allclose(out_of_fold(kernels, changed, seed=3)[held], before[held], atol=1e-9)


def test_constant_features_predict_nothing_and_few_keys_are_refused():
    np.testing.assert_array_equal(squares_kernel(np.ones((5, 2))), 0)
    with pytest.raises(BadInput, match="10 keys are too few"):
        predict([np.eye(10)], np.arange(10.0))
