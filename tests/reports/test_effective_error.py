"""Errors that an adversary may turn round, and their intervals."""

import numpy as np

from wrongkey.reports.effective_error import effective_error, effective_interval


def test_an_eer_and_its_mirror_are_worth_the_same() -> None:
    errors = np.linspace(0, 100, 41)
    np.testing.assert_array_equal(effective_error(errors), np.minimum(errors, 100 - errors))
    assert np.isnan(effective_error(np.nan)) and effective_error(50.0) == 50


def test_an_interval_stays_around_its_error() -> None:
    error, low, high = effective_interval([30.0, 52.0, np.nan], [25.0, 45.0, np.nan], [34.0, 58.0, np.nan])
    np.testing.assert_array_equal(error, [30, 48, np.nan])
    np.testing.assert_array_equal(low, [25, 42, np.nan])
    np.testing.assert_array_equal(high, [34, 55, np.nan])
