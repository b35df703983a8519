"""The attack `oblique-polyphase`: invertible keys that it must find, and inputs on which it must say that it failed."""

import numpy as np
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.agreement import agreement_of
from wrongkey.attacks.waveforms.block_spectra import tones
from wrongkey.attacks.waveforms.oblique_polyphase import NOT_DRAWN, ObliquePolyphase, largest_condition
from wrongkey.attacks.waveforms.oblique_spectra import DEFAULTS, fitted
from wrongkey.errors import BadInput
from wrongkey.keys import draw_keys, get_scheme
from wrongkey.keys.key_cut import KeyCut


def attacked(queries, size, key=None, scheme="invertible"):
    rows = [one[: len(one) // size * size] for one in queries]
    if key is not None:
        rows = [(one.reshape(-1, size) @ torch.from_numpy(key)).flatten() for one in rows]
    about = Setting(get_scheme(scheme), KeyCut("samples", size), 16_000)
    return ObliquePolyphase().run(Evidence(about, Case(), 0, ciphertext=tuple(rows)))


@pytest.mark.parametrize(("size", "condition"), [(3, 10), (3, 1000), (4, 2)])
def test_the_key_of_a_voice_is_found_from_ciphertext_alone(voice, size, condition):
    scheme = f"invertible+condition={condition}"
    (key,) = draw_keys(scheme, size, 1, 0, 1)
    found = attacked(voice, size, key, scheme)
    assert found.success_claimed and key_error(present(found.key), key, "samples") < 0.05
    assert np.linalg.norm(present(found.key)) == pytest.approx(np.sqrt(size))
    assert found.measured["condition"] == pytest.approx(np.linalg.cond(key), rel=0.2)


def test_a_key_that_the_scheme_does_not_draw_is_not_claimed(voice):
    (key,) = draw_keys("invertible+condition=1000", 3, 2, 0, 1)
    assert np.linalg.cond(key) > 20
    found = attacked(voice, 3, key, "invertible+condition=10")
    assert found.note == NOT_DRAWN and not found.success_claimed


@pytest.mark.parametrize("size", [3, 4])
def test_white_noise_and_plain_speech_are_not_claimed(voice, size):
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 60_000)))
    assert not attacked(list(noise), size).success_claimed
    assert not attacked(voice, size).success_claimed


def test_the_mirrored_key_of_bright_speech_is_not_claimed(voice):
    for _ in range(3):
        voice = [torch.cat([one[:1], one[1:] - 0.97 * one[:-1]]) for one in voice]
    (key,) = draw_keys("invertible", 2, 1, 0, 1)
    found = attacked(voice, 2, key)
    assert "harmonics" in found.measured
    assert not found.success_claimed or key_error(present(found.key), key, "samples") < 0.05


def test_keys_in_turn_are_found_and_nothing_beside_them(voice):
    (key,) = draw_keys("invertible+turns=2", 6, 1, 0, 1)
    found = attacked(voice, 6, key, "invertible+turns=2")
    assert found.success_claimed and key_error(present(found.key), key, "samples") < 0.05
    outside = present(found.key).reshape(2, 3, 2, 3)
    assert not outside[0, :, 1].any() and not outside[1, :, 0].any()
    assert found.measured["condition"] == pytest.approx(
        max(np.linalg.cond(key[:3, :3]), np.linalg.cond(key[3:, 3:])), rel=0.2
    )


@pytest.mark.parametrize(
    ("scheme", "size"), [("invertible+condition=3+turns=4", 12), ("invertible+turns=2+order=2", 12)]
)
def test_no_key_is_worse_conditioned_than_its_scheme_allows(scheme, size):
    about = get_scheme(scheme)
    worst = largest_condition(about, size)
    drawn = max(np.linalg.cond(key) for key in draw_keys(scheme, size, 0, 0, 2000))
    assert 0.6 * worst < drawn <= worst
    assert largest_condition(get_scheme("rom"), size) == np.inf


def test_other_blocks_are_not_claimed(voice):
    (key,) = draw_keys("invertible", 5, 2, 0, 1)
    sent = [(one[: len(one) // 5 * 5].reshape(-1, 5) @ torch.from_numpy(key)).flatten() for one in voice]
    assert not attacked(sent, 3).success_claimed


def test_directions_of_tones_determine_a_matrix_up_to_its_scale():
    truth = torch.from_numpy(draw_keys("invertible", 4, 3, 0, 1)[0])
    known = tones(torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64), 4)
    columns = truth.to(known.dtype) @ known
    columns = (
        columns / columns.norm(dim=1, keepdim=True) * torch.polar(torch.ones(1, 1, 4), torch.rand(3, 1, 4)).to(known)
    )
    near = truth + 0.05 * torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = fitted(near, columns, known, DEFAULTS)
    torch.testing.assert_close(found / found.norm(), truth / truth.norm(), rtol=0, atol=1e-6)


def test_keys_agree_whatever_their_sign_and_scale():
    rows = [np.random.default_rng(0).normal(size=(200, 4))]
    one, other = (draw_keys("invertible", 4, seed, 0, 1)[0] for seed in (0, 1))
    assert agreement_of(one.T, -2 * one.T, rows) == pytest.approx(1)
    assert agreement_of(one.T, other.T, rows) < 0.95


def test_silence_is_refused_in_a_sentence():
    with pytest.raises(BadInput, match="silent"):
        attacked([torch.zeros(20_000, dtype=torch.float64)], 4)


@pytest.mark.parametrize(
    ("scheme", "blocks", "size", "says"),
    [
        ("rom", "samples", 4, "polyphase"),
        ("invertible", "tiles", 4, "tones"),
        ("invertible", "samples", 64, "2 to 32"),
    ],
)
def test_what_it_is_not_for_is_said(scheme, blocks, size, says):
    about = Setting(get_scheme(scheme), KeyCut(blocks, size), 16_000)
    assert says in present(ObliquePolyphase().inapplicable(about))
