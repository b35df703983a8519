"""Linkability against the published implementation's formula and the value that its documentation prints."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wrongkey.evaluation.metrics.linkage import bins_of, linkability


def slow(scores: NDArray[np.float64], target: NDArray[np.bool_], trapezoid: bool) -> float:
    """D_sys by a loop over bins: `2 LR / (1 + LR) - 1` weighted with the density of target trials."""
    edges = np.linspace(scores.min(), scores.max(), bins_of(int(target.sum())) + 1)
    width, density = edges[1] - edges[0], []
    for low, high in pairwise(edges):
        inside = (scores >= low) & ((scores < high) | ((high == edges[-1]) & (scores <= high)))
        same, other = (inside & target).sum() / target.sum(), (inside & ~target).sum() / (~target).sum()
        link = (1.0 if other == 0 else 2 * (same / other) / (1 + same / other) - 1) if same > other else 0.0
        density.append(link * same / width)
    return float(np.trapezoid(density, dx=width) if trapezoid else np.sum(density) * width)


@given(st.integers(0, 10_000), st.floats(-2, 3))
def test_linkability_is_that_of_a_loop_over_bins(seed: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    target = np.arange(150) < rng.integers(20, 130)
    scores = rng.standard_normal(150) + distance * target
    assert linkability(scores[None], target)[0] == pytest.approx(slow(scores, target, trapezoid=False), abs=1e-9)


def test_the_value_that_audmetric_documents() -> None:
    """`audmetric.linkability`, after the code of Maouche et al., prints 0.9748 for scores that separate fully.

    Its trapezoidal rule leaves half of the first and of the last bin out; nothing else differs.
    """
    state = np.random.RandomState(1)
    pairs = np.array([(state.uniform(0, 0.2), state.uniform(0.8, 1.0)) for _ in range(5000)])
    scores, target = pairs.ravel(), np.tile([True, False], 5000)
    assert slow(scores, target, trapezoid=True) == pytest.approx(0.9748, abs=1e-9)
    assert linkability(scores[None], target)[0] == pytest.approx(1)


def test_linkability_sees_two_heaps_and_scores_that_mislead() -> None:
    rng = np.random.default_rng(4)
    target = np.arange(4000) < 2000
    heaps = np.where(target, rng.choice([-3.0, 3.0], 4000), 0) + 0.1 * rng.standard_normal(4000)
    alike, wrong = rng.standard_normal(4000), rng.standard_normal(4000) - 20.0 * target
    assert linkability(np.stack([heaps, wrong]), target) == pytest.approx([1, 1])  # an EER of 50 and of 100 %
    assert linkability(np.stack([alike, np.zeros(4000)]), target) == pytest.approx([0.05, 0], abs=0.05)
