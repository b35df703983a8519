"""Intervals grow with the spread and with hanging on few keys; what cannot be trusted gets no bits."""

from dataclasses import replace

import numpy as np
import pytest

from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.evaluation.strength.estimate import Reading, bits_of, counted, estimate, half_width

GOOD = Reading(-4.0, 0.04, 7, 15_000, [0.3, 0.4], 1.5, 60)


def readings(*log10: float, **changes) -> list[Reading]:
    return [replace(GOOD, **{"log10_probability": number, **changes}) for number in log10]


def test_the_estimate_is_the_mean_of_the_runs():
    found = estimate(readings(-4.0, -4.0, np.log10(4e-4)))
    assert found.probability == pytest.approx(2e-4)
    assert found.bits == pytest.approx(-np.log2(2e-4))
    assert present(found.bits_low) < present(found.bits) < present(found.bits_high)
    assert present(found.low) < present(found.probability) < present(found.high)


def test_the_interval_grows_with_the_spread_and_with_the_genealogy():
    close, apart = (half_width(np.array(logs), 0.04) for logs in ([0.0, 0.1, 0.2], [0.0, 0.5, 1.0]))
    assert close < apart
    assert half_width(np.zeros(3), 0.04) < half_width(np.zeros(3), 0.4)
    assert half_width(np.zeros(9), 0.04) < half_width(np.zeros(3), 0.04)
    assert half_width(np.zeros(1), 0.04) > 1.96 * 0.2  # one run has but its own word


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (readings(-4.0, -4.1) + readings(-4.0, log10_probability=None), "1 of 3 repetitions ended above the goal"),
        (readings(-4.0, -4.1, -4.2, moved=0.06), "a chain accepted 0.06 moves"),
        (readings(-4.0, -4.1, -4.2, ancestors=3), "descend from 3 of the first population"),
        (readings(-4.0, -4.1, -5.3), "differ by a factor of 20"),
    ],
)
def test_what_cannot_be_trusted_gets_no_bits_but_a_sentence(bad, why):
    found = estimate(bad)
    assert found.bits is found.bits_low is found.bits_high is found.probability is None
    assert why in found.why_not and found.why_not.endswith(".")
    assert found.readings == bad


def test_a_counted_space_has_no_interval():
    found = counted(4, 64)
    assert (found.bits, found.bits_low, found.bits_high) == (4.0, 4.0, 4.0)
    assert counted(0, 64).why_not == "None of all 64 keys comes that close."
    assert counted(64, 64).bits == 0


def test_bits_are_never_negative():
    assert bits_of(1.0000001) == 0 and bits_of(None) is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"within": (0.0,)}, "--within must be points above 0, not 0"),
        ({"within": (1.0, -2.0)}, "--within must be points above 0, not -2"),
        ({"within": (float("nan"),)}, "--within must be points above 0"),
        ({"within": ()}, "--within names no points"),
        ({"within": (1.0, 1.0)}, "twice"),
        ({"share": 0.0}, "--share must be above 0"),
        ({"share": 0.6}, "--share must be above 0 and at most 0.5"),
        ({"population": 20}, "--population 20 is too small"),
        ({"moves": 0}, "--moves must be at least 1"),
        ({"repetitions": 0}, "--repetitions must be at least 1"),
    ],
)
def test_settings_outside_their_limits_are_one_sentence(settings, why):
    with pytest.raises(BadInput, match=why):
        StrengthConfig(**settings)
