"""States of ciphertext: what the key cannot change."""

import numpy as np
import pytest
import torch

from wrongkey.attacks.waveforms.linear_prediction_settings import DEFAULTS
from wrongkey.attacks.waveforms.speech_states import cluster, k_means, pooled, segment_covariances, speech_states
from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys

from .toy_speech import toy_blocks


def test_a_key_turns_covariances_and_changes_no_cluster() -> None:
    plain = toy_blocks(4, 2.0, 0)
    key = torch.from_numpy(draw_keys("rom", 4, 0, 0, 1)[0])
    mine = speech_states(plain, 3, 5, 1, 16_000.0, DEFAULTS)
    theirs = speech_states([blocks @ key for blocks in plain], 3, 5, 1, 16_000.0, DEFAULTS)
    assert mine.covariances.shape == (5, 4, 4, 4) and (mine.size, mine.lags) == (4, 3)
    assert torch.allclose(mine.weights, theirs.weights)
    assert torch.allclose(key.mT @ mine.covariances @ key, theirs.covariances, atol=1e-10)


def test_segments_have_trace_n_and_pauses_are_left_out() -> None:
    (blocks,) = toy_blocks(4, 2.0, 0)
    loud = segment_covariances([blocks], 1, 16_000.0, DEFAULTS)
    quiet = segment_covariances([torch.cat([blocks, 1e-4 * blocks])], 1, 16_000.0, DEFAULTS)
    assert torch.allclose(loud[:, 0].diagonal(dim1=-2, dim2=-1).sum(-1), torch.tensor(4.0, dtype=torch.float64))
    assert len(loud) <= len(quiet) < len(loud) + 4  # and those across the edge


def test_k_means_finds_separate_clusters() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    labels = k_means(np.eye(3)[truth] * 10 + rng.standard_normal((60, 3)), 3, seed=0, rounds=30)
    assert len({(a, b) for a, b in zip(truth, labels, strict=True)}) == 3


def test_states_are_weighted_means_and_few_segments_make_few_states() -> None:
    segments = torch.rand(20, 2, 3, 3, dtype=torch.float64)
    states = pooled(segments, torch.tensor([0] * 5 + [2] * 15))
    assert torch.allclose(states.weights, torch.tensor([0.25, 0.75], dtype=torch.float64))
    assert torch.allclose(states.covariances[0], segments[:5].mean(0))
    assert len(cluster(segments, 8, 0, DEFAULTS).weights) <= 2


def test_ciphertext_that_is_short_or_silent_is_refused() -> None:
    with pytest.raises(BadInput, match="longer"):
        speech_states([torch.ones(5, 4)], 2, 4, 0, 16_000.0, DEFAULTS)
    with pytest.raises(BadInput, match="silent"):
        speech_states([torch.zeros(4000, 4)], 2, 4, 0, 16_000.0, DEFAULTS)
