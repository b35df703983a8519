"""The attack `independent-components`: a key from moments beyond the second, which second moments do not show."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from tests.narrow import present
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.waveforms.agreement import agreement_of
from wrongkey.attacks.waveforms.component_matching import Components, Statistics, ordered, signs_of
from wrongkey.attacks.waveforms.fast_ica import independent, level, whitened
from wrongkey.attacks.waveforms.independent_components import IndependentComponents
from wrongkey.attacks.waveforms.independent_components_settings import DEFAULTS
from wrongkey.attacks.waveforms.stationary_moments import Misfit
from wrongkey.errors import BadInput
from wrongkey.keys import correct_key, get_scheme
from wrongkey.keys.key_cut import KeyCut

SIZE = 4
SETTING = Setting(get_scheme("rom"), KeyCut("samples", SIZE), 16_000.0)


def impulsive(seed, samples=80_000):
    """White but impulsive, as the residual of speech is: an all-pass of skewed pulses, none of which is alike."""
    rng = np.random.default_rng(seed)
    pulses = rng.exponential(size=samples) ** 2 * (rng.random(samples) < 0.2)
    dispersed = lfilter([0.5, 1.0], [1.0, 0.5], pulses - pulses.mean())
    return dispersed + 0.05 * rng.standard_normal(samples)


def run(waveform, background):
    cipher = (torch.from_numpy(np.ascontiguousarray(waveform)),)
    return IndependentComponents().run(Evidence(SETTING, Case(), 0, ciphertext=cipher, background=background))


@pytest.fixture(scope="module")
def background():
    return BackgroundSpeech((torch.from_numpy(impulsive(1)),), ("",))


def test_the_key_of_white_impulsive_sound_is_found(background):
    key = correct_key("rom", SIZE, 3)
    recovery = run((impulsive(2).reshape(-1, SIZE) @ key).ravel(), background)
    assert abs(np.trace(present(recovery.key) @ key.T)) / SIZE > 0.99
    assert recovery.success_claimed is None and "two halves" in recovery.note.lower()
    np.testing.assert_allclose(recovery.key @ recovery.key.T, np.eye(SIZE), atol=1e-9)


def test_no_success_is_claimed_in_white_noise(background):
    assert run(np.random.default_rng(0).standard_normal(80_000), background).success_claimed is False


def test_no_success_is_claimed_where_nothing_was_encrypted(background):
    assert run(impulsive(2), background).success_claimed is False


def test_no_success_is_claimed_where_every_block_has_a_key_of_its_own(background):
    rows = impulsive(2).reshape(-1, 1, SIZE)
    keys, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((len(rows), SIZE, SIZE)))
    assert run((rows @ keys).ravel(), background).success_claimed is False


def test_silence_is_refused_in_a_sentence(background):
    with pytest.raises(BadInput, match="silent"):
        run(np.zeros(8000), background)


def test_components_are_found_up_to_order_and_signs():
    mixing = correct_key("rom", SIZE, 0)
    sources = np.random.default_rng(0).laplace(size=(40_000, SIZE))
    found = independent(whitened([sources @ mixing])[0], np.random.default_rng(1), DEFAULTS) @ mixing.T
    assert np.abs(found).max(0) == pytest.approx(np.ones(SIZE), abs=0.01)


def test_order_and_signs_follow_from_the_statistics():
    sources = [impulsive(5).reshape(-1, SIZE)]
    order, signs = np.array([2, 0, 3, 1]), np.array([1.0, -1.0, 1.0, 1.0])
    target = Statistics.of(sources, DEFAULTS.clipped)
    found = Statistics.of([sources[0][:, order] * signs], DEFAULTS.clipped)
    again = min(
        (ordered(found, target, np.random.default_rng(seed)) for seed in range(8)),
        key=lambda one: found.cost(target, one),
    )
    np.testing.assert_array_equal(again, np.argsort(order))
    best = signs_of(found, target, again)[0]
    assert abs((best * signs[again]).sum()) == SIZE


def test_only_the_right_key_leaves_moments_that_do_not_depend_on_the_place():
    rows = [impulsive(6).reshape(-1, SIZE) @ correct_key("rom", SIZE, 1)]
    misfit = Misfit(rows, 50)
    right = misfit.of(correct_key("rom", SIZE, 1))
    assert right < 0.05 < misfit.of(np.eye(SIZE))
    assert misfit.of(misfit.descended(correct_key("rom", SIZE, 1))) <= right


def test_loudness_is_taken_out_and_pauses_are_left_out():
    rows = impulsive(7, 8000).reshape(-1, SIZE)
    rows[:1000] *= 10
    rows[-200:] = 0
    (kept,) = level([rows], DEFAULTS)
    assert len(kept) < len(rows)
    assert (kept[:900] ** 2).mean() == pytest.approx((kept[-400:] ** 2).mean(), rel=0.2)


def test_keys_agree_whatever_their_sign():
    rows = [np.random.default_rng(0).standard_normal((100, SIZE))]
    key = correct_key("rom", SIZE, 0)
    assert agreement_of(key, -key, rows) == pytest.approx(1)


def test_public_components_are_orthogonal():
    public = Components.of([impulsive(1).reshape(-1, SIZE)], 0, DEFAULTS)
    np.testing.assert_allclose(public.demixing @ public.demixing.T, np.eye(SIZE), atol=1e-9)


@pytest.mark.parametrize(
    ("scheme", "blocks", "size", "word"),
    [("rom", "frames", 4, "frames"), ("rom", "samples", 20, "2 to 12"), ("flipping", "samples", 4, "sign-chain")],
)
def test_what_it_is_not_for_is_said(scheme, blocks, size, word):
    setting = Setting(get_scheme(scheme), KeyCut(blocks, size), 16_000.0)
    assert word in present(IndependentComponents().inapplicable(setting))
