"""The EER of bootstrap replicates by sums of blocks, against the walk over all trials."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.metrics import resampled_eer as metrics
from wrongkey.evaluation.metrics.bootstrap import speaker_weights
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.metrics.resampled_eer import BLOCK, resampled_eer, shares_for_resampling


def drawn(trials: int, boots: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of four keys, of which some tell speakers apart and some mislead, and how often each trial counts."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(trials, generator=generator) < 0.4
    target[:2] = torch.tensor([True, False])
    scores = torch.randn(4, trials, generator=generator) + torch.tensor([[-1.0], [0.0], [1.0], [9.0]]) * target
    weights = torch.randint(0, 5, (boots, trials), generator=generator).float()
    weights[:, :2] = 1
    return scores, target, weights


def both(scores: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return resampled_eer(scores, target, shares_for_resampling(target, weights)), eer(scores, target, weights)


@pytest.mark.parametrize("trials", [2, BLOCK - 1, BLOCK, BLOCK + 1, 7 * BLOCK, 5000])
@pytest.mark.parametrize("steps", [None, 8, 1, 0])
def test_it_is_the_eer_of_the_walk_bit_for_bit(trials: int, steps: int | None) -> None:
    """Also where scores are tied within a block and across blocks, and where all are."""
    scores, target, weights = drawn(trials, 30)
    if steps is not None:
        scores = (scores * steps).round()
    found, expected = both(scores, target, weights)
    assert torch.equal(found, expected) and found.shape == (4, 30)


@given(st.integers(0, 10**6), st.integers(2, 300), st.integers(1, 4))
def test_few_trials_and_replicates_are_those_of_the_walk(seed: int, trials: int, steps: int) -> None:
    scores, target, weights = drawn(trials, 3, seed)
    found, expected = both((scores * steps).round(), target, weights)
    assert torch.equal(found, expected)


def test_weights_of_speakers_in_float64_and_float32() -> None:
    """In float64, sums round in the order in which they are made."""
    speakers = np.random.default_rng(1).integers(0, 12, (3000, 2))
    speakers[::2, 1] = speakers[::2, 0]
    target = torch.from_numpy(speakers[:, 0] == speakers[:, 1])
    scores = torch.randn(3, 3000, generator=torch.Generator().manual_seed(4), dtype=torch.float64) + target
    weights = torch.from_numpy(speaker_weights(target, speakers, 40, 5))
    found, expected = both(scores, target, weights)
    assert torch.equal(found, expected) and found.std(1).min() > 0.1
    found, expected = both(scores, target, weights.double())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_chunks_of_replicates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, target, weights = drawn(500, 20)
    whole, _ = both(scores, target, weights)
    for elements in (1, 500 * 7, 500 * 20):
        monkeypatch.setattr(metrics, "_ELEMENTS", elements)
        assert torch.equal(both(scores, target, weights)[0], whole)


def test_degenerate_input_is_refused() -> None:
    scores, target, weights = drawn(20, 2)
    shares = shares_for_resampling(target, weights)
    with pytest.raises(BadInput, match="NaN"):
        resampled_eer(torch.full_like(scores, float("nan")), target, shares)
    with pytest.raises(BadInput, match="negative"):
        shares_for_resampling(target, -weights)
    with pytest.raises(BadInput, match="no target or no non-target"):
        shares_for_resampling(target, weights * target)


def test_scores_of_one_key_and_of_bfloat16() -> None:
    target = torch.tensor([True, False, True, False, False])
    scores = torch.tensor([0.5, 0.25, -0.5, 0.75, -1.0])
    shares = shares_for_resampling(target, torch.ones(2, 5))
    found = resampled_eer(scores, target, shares)
    assert found.shape == (1, 2) and found[0].tolist() == [eer(scores[None], target).item()] * 2
    assert torch.equal(resampled_eer(scores[None].bfloat16(), target, shares), found)
