"""Measures of keys against explicit encryption and against keys whose measures are known."""

import numpy as np
import pytest
import torch

from wrongkey.attacks.analyses.key_measures import (
    MEASURES,
    band_response,
    change_of_moments,
    ciphertext_mismatch,
    eigen_angles,
    euclidean_distance,
    first_layer_distance,
    geodesic_distance,
    geodesic_steps,
    measure_keys,
    relative_keys,
    signed_permutation_distance,
    sparsity,
    speech_moments,
)
from wrongkey.errors import BadInput
from wrongkey.keys import correct_key, draw_keys, encrypt_query
from wrongkey.keys.key_cut import KeyCut


def rotation(angle: float, size: int = 3) -> np.ndarray:
    matrix = np.eye(size)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def speech(count: int = 3, samples: int = 240, seed: int = 0) -> list[torch.Tensor]:
    """Low-pass noise."""
    noise = np.random.default_rng(seed).normal(size=(count, samples))
    return [torch.from_numpy(np.cumsum(row) - np.cumsum(row).mean()) for row in noise]


@pytest.mark.parametrize(
    ("blocks", "shape", "block"), [("samples", (240,), 6), ("tiles", (6, 12), 3), ("frames", (6, 10), 6)]
)
def test_distances_are_those_of_encrypted_speech(blocks, shape, block):
    cut = KeyCut(blocks, block)
    size = cut.size
    queries = list(torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    keys, correct = draw_keys("rom", size, 0, 0, 4), correct_key("rom", size, 0)
    found = euclidean_distance(relative_keys(keys, correct), speech_moments(queries, cut))
    for u, query in enumerate(queries):
        right = encrypt_query(query, correct, blocks=blocks)
        for k, key in enumerate(keys):
            wrong = encrypt_query(query, key, blocks=blocks)
            assert found[k, u] == pytest.approx(float((wrong - right).norm() / query.norm()))


def test_the_correct_key_and_its_negative_are_the_ends_of_every_distance():
    correct = correct_key("rom", 4, 1)
    moments = speech_moments(speech(), KeyCut("samples", 4)).sum(0)
    kernels = np.random.default_rng(0).normal(size=(4, 6))
    keys = np.stack([correct, -correct])
    measured = measure_keys(keys, correct, moments, KeyCut("samples", 4), kernels, (moments, moments))
    assert list(measured) == list(MEASURES)
    ends = {
        **dict.fromkeys(("euclidean", "frobenius", "first_layer"), (0, 2)),
        **dict.fromkeys(("euclidean_unsigned", "moments", "ciphertext_moments", "signed_permutation"), (0, 0)),
        **dict.fromkeys(("trace_size", "sparsity", "determinant", "band_1", "band_4"), (1, 1)),
        **dict.fromkeys(("geodesic", "angle_mean", "angle_smallest"), (0, np.pi)),
        "trace": (1, -1),
        "angles_near_zero": (1, 0),
    }
    for name, (same, opposite) in ends.items():
        np.testing.assert_allclose(measured[name], [same, opposite], atol=2e-6, err_msg=name)


def test_ciphertext_tells_what_the_relative_key_does():
    """Without the correct key: from ciphertext and own plain speech, which here is the victim's."""
    correct, keys = correct_key("rom", 5, 3), draw_keys("rom", 5, 3, 0, 8)
    cut = KeyCut("samples", 5)
    moments = speech_moments(speech(), cut).sum(0)
    ciphertext = speech_moments([encrypt_query(q, correct, blocks="samples") for q in speech()], cut).sum(0)
    expected = change_of_moments(relative_keys(keys, correct), moments)
    np.testing.assert_allclose(ciphertext_mismatch(keys, ciphertext, moments), expected, rtol=1e-9)
    white = np.eye(5)
    np.testing.assert_allclose(ciphertext_mismatch(keys, correct.T @ white @ correct, white), 0, atol=1e-12)


def test_the_first_layer_distance_is_that_of_its_outputs():
    correct, keys = correct_key("rom", 3, 0), draw_keys("rom", 3, 0, 0, 3)
    blocks = np.random.default_rng(1).normal(size=(50, 3)) @ np.diag([3.0, 1.0, 0.2])
    kernels = np.random.default_rng(2).normal(size=(3, 4))
    relative = relative_keys(keys, correct)
    plain = blocks @ kernels
    expected = [np.linalg.norm(blocks @ r @ kernels - plain) / np.linalg.norm(plain) for r in relative]
    np.testing.assert_allclose(first_layer_distance(relative, blocks.T @ blocks, kernels), expected)


def test_a_rotation_is_as_long_as_its_angle_and_a_reflection_is_half_a_turn():
    reflection = np.diag([1.0, 1.0, -1.0])
    angles = eigen_angles(np.stack([rotation(0.3), rotation(3.0), reflection]))
    np.testing.assert_allclose(np.sort(angles), [[0.0, 0.3, 0.3], [0.0, 3.0, 3.0], [0.0, 0.0, np.pi]], atol=1e-6)
    np.testing.assert_allclose(geodesic_distance(angles), [0.3 * 2**0.5, 3 * 2**0.5, np.pi], atol=1e-5)


def test_the_nearest_signed_permutation_is_found_among_all():
    from itertools import permutations, product

    keys = draw_keys("rom", 3, 5, 0, 5)
    signed = [np.eye(3)[list(p)] * s for p in permutations(range(3)) for s in product((-1, 1), repeat=3)]
    expected = [min(np.linalg.norm(key - p) for p in signed) for key in keys]
    np.testing.assert_allclose(signed_permutation_distance(keys), expected)
    np.testing.assert_allclose(signed_permutation_distance(np.stack(signed)), 0)


def test_sparsity_runs_from_a_hadamard_matrix_to_a_permutation():
    hadamard = np.array([[1.0, 1], [1, -1]]) / 2**0.5
    np.testing.assert_allclose(sparsity(np.stack([hadamard, np.eye(2)[::-1]])), [0, 1], atol=1e-12)
    assert sparsity(np.ones((1, 1, 1))) == 1


def test_the_response_of_a_band_is_the_energy_of_a_tone_that_stays_at_its_frequency():
    key, block, turns = draw_keys("rom", 4, 0, 0, 1)[0], 4, 10
    bin_ = 7  # of 40: within the second quarter of the band
    tone = np.exp(2j * np.pi * bin_ * np.arange(block * turns) / (block * turns))
    keyed = (tone.reshape(-1, block) @ key).reshape(-1)
    spectrum = np.abs(np.fft.fft(keyed)) ** 2
    wave = np.exp(2j * np.pi * bin_ / 40 * np.arange(block)) / 2
    assert spectrum[bin_] / spectrum.sum() == pytest.approx(abs(wave.conj() @ key.T @ wave) ** 2)
    # Flipping every second sample moves the low half of the band to the high half, and leaves nothing where it was.
    flip = np.diag([1.0, -1.0, 1.0, -1.0])
    assert band_response(flip[None], KeyCut("samples", 4)).max() < 0.1
    np.testing.assert_allclose(band_response(np.eye(4)[None], KeyCut("samples", 4)), 1)


def test_the_bands_of_spectrograms_are_groups_of_bins():
    swapped = np.eye(4)[[1, 0, 2, 3]]  # of frames of four bins: the first two change places
    np.testing.assert_allclose(band_response(swapped[None], KeyCut("frames", 4))[0], [0, 0, 1, 1])
    within = np.eye(4)[[1, 0, 2, 3]]  # of 2 x 2 tiles: two frames of the first bin change places
    np.testing.assert_allclose(band_response(within[None], KeyCut("tiles", 2))[0], [1, 1])


def test_geodesic_steps_have_their_length_and_share_their_directions():
    steps = geodesic_steps(5, [0.01, 0.3], 4, seed=1)
    assert steps.shape == (2, 4, 5, 5)
    np.testing.assert_allclose(steps @ steps.swapaxes(-1, -2), np.broadcast_to(np.eye(5), steps.shape), atol=1e-12)
    for length, some in zip((0.01, 0.3), steps, strict=True):
        np.testing.assert_allclose(geodesic_distance(eigen_angles(some)) / 5**0.5, length, atol=2e-6)
    np.testing.assert_allclose(np.linalg.matrix_power(steps[0, 0], 30), steps[1, 0], atol=1e-9)
    error = np.linalg.norm(steps[0] - np.eye(5), axis=(1, 2)) / 5**0.5
    np.testing.assert_allclose(error, 0.01, rtol=1e-3)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(BadInput, match="no speech"):
        speech_moments([], KeyCut("samples", 3))
    with pytest.raises(BadInput, match="one element"):
        geodesic_steps(1, [0.1], 2, seed=0)
