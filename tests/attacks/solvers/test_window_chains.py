"""The part of a key that shared samples give away, whatever the speech, and signals whose windows share none."""

import numpy as np
import pytest

from wrongkey.attacks.solvers.window_chains import window_chains
from wrongkey.errors import BadInput
from wrongkey.keys import draw_keys

SIZES = [(10, 5), (10, 2), (10, 1), (10, 3), (10, 7), (7, 2), (6, 4), (12, 9), (2, 1)]


def windows(signal, size, step):
    return np.lib.stride_tricks.sliding_window_view(signal, size)[::step]


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal(6_000)


@pytest.mark.parametrize(("size", "step"), SIZES)
@pytest.mark.parametrize("scheme", ["rom", "shuffling", "flipping", "signed-shuffling"])
def test_the_key_is_known_but_for_one_matrix_that_mixes_no_groups(noise, size, step, scheme):
    (key,) = draw_keys(scheme, size, 1, 0, 1)
    found = window_chains([windows(noise, size, step) @ key], range(1, size), monomial=scheme != "rom")
    assert found.step == step and found.gap > 1e6 and found.skew < 1e-6
    unknown = (key @ found.basis)[:step, :step]
    np.testing.assert_allclose(unknown @ unknown.T, np.eye(step), atol=1e-9)
    np.testing.assert_allclose(found.merged(unknown), key, atol=1e-9)
    if len(found.groups) == 2:
        first = found.groups[0]
        np.testing.assert_allclose(unknown[:first, first:], 0, atol=1e-9)
    if scheme != "rom":
        assert set(np.abs(unknown).round(9).ravel()) <= {0.0, 1.0}
    if scheme in ("shuffling", "flipping"):
        left = unknown if scheme == "shuffling" else np.diag(np.diagonal(unknown))
        np.testing.assert_allclose(unknown, np.abs(left) if scheme == "shuffling" else left, atol=1e-9)


def test_several_sequences_and_rounding_to_16_bits(noise):
    (key,) = draw_keys("rom", 10, 2, 0, 1)
    rows = [np.round(windows(part, 10, 3) @ key * 2**12) / 2**12 for part in np.split(noise, 4)]
    found = window_chains(rows, [3])
    unknown = (key @ found.basis)[:3, :3]
    assert np.abs(found.merged(unknown) - key).max() < 1e-3 and 100 < found.gap < 1e5


@pytest.mark.parametrize(("size", "step", "taken"), [(10, 5, 12), (10, 5, 5), (10, 3, 7), (6, 3, 4), (10, 10, 10)])
def test_other_windows_and_blocks_side_by_side_show_no_gap(noise, size, step, taken):
    (key,) = draw_keys("rom", size, 3, 0, 1)
    sent = (windows(noise, size, step) @ key).ravel()
    found = window_chains([sent[: len(sent) // taken * taken].reshape(-1, taken)], range(1, taken))
    assert found.gap < 10 or found.skew > 0.1


@pytest.mark.parametrize("step", [2, 4, 6])
def test_a_wrong_step_does_not_close(noise, step):
    (key,) = draw_keys("rom", 10, 4, 0, 1)
    found = window_chains([windows(noise, 10, 5) @ key], [step])
    assert found.gap < 10


def test_fewer_equations_than_unknowns_are_refused(noise):
    with pytest.raises(BadInput, match="20 pairs"):
        window_chains([windows(noise[:50], 10, 5)], [5])


def test_no_windows_are_refused_in_a_sentence():
    with pytest.raises(BadInput, match="no ciphertext of a whole window"):
        window_chains([], range(1, 4), monomial=False)
