"""The attack `shared-samples`: keys of overlapping windows that it must find, and inputs on which it must find none."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.narrow import present
from tests.toys import Toy, overlapping
from wrongkey.attacks.base import Case, Evidence, Recovery, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms import shared_samples
from wrongkey.attacks.waveforms.shared_samples import SharedSamples
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.completed import completed
from wrongkey.evaluation.windows import windowed
from wrongkey.keys import draw_keys, get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Group
from wrongkey.keys.windows import Windows


def setting(scheme: str, size: int, step: float, model: Any = None) -> Setting:
    return Setting(get_scheme(scheme), KeyCut("samples", size), 16_000 * size / step, model)


def attacked(about: Setting, sent) -> Recovery:
    """What the attack makes of ciphertext that is stored in 16 bits."""
    scale = 2**15 / max(float(one.abs().max()) for one in sent)
    stored = tuple(torch.round(one * scale) / scale for one in sent)
    return SharedSamples().run(Evidence(about, Case(), 0, ciphertext=stored))


def encrypted(voice, windows: Windows, key):
    return [(windows.cut(one).reshape(-1, windows.kernel) @ torch.from_numpy(key)).flatten() for one in voice]


@pytest.mark.parametrize(
    ("scheme", "size", "step"),
    [
        ("rom", 10, 5),
        ("rom", 10, 3),
        ("rom", 7, 2),
        ("rom", 9, 1),
        ("rom", 8, 6),
        ("shuffling", 10, 5),
        ("shuffling", 8, 1),
        ("flipping", 10, 2),
        ("signed-shuffling", 10, 4),
    ],
)
def test_keys_of_windows_are_found_from_ciphertext_alone(voice, scheme, size, step):
    (key,) = draw_keys(f"{scheme}+windows", size, 5, 0, 1)
    found = attacked(setting(f"{scheme}+windows", size, step), encrypted(voice, Windows(size, step), key))
    assert found.success_claimed and found.measured["step"] == step
    assert key_error(present(found.key), key, "samples") < (0.05 if scheme == "rom" else 1e-9)
    merged = present(found.key)
    np.testing.assert_allclose(merged @ merged.T, np.eye(size), atol=1e-9)


def test_a_key_is_claimed_whatever_is_left_of_it(voice):
    """Of an order of two samples every second one is the identity, and of three every sixth."""
    for size, step, index in product((6, 7), (2, 3), range(4)):
        (key,) = draw_keys("shuffling+windows", size, 5, index, 1)
        found = attacked(setting("shuffling+windows", size, step), encrypted(voice, Windows(size, step), key))
        assert found.success_claimed and key_error(present(found.key), key, "samples") == 0


def test_the_step_of_a_model_is_public_and_dilated_windows_share_samples_further_apart(voice):
    torch.manual_seed(0)
    toy = Toy("toy-dilated", nn.Conv1d(1, 6, 8, stride=3, dilation=2), 6)
    model = windowed(completed(toy, "toy"))
    (key,) = draw_keys("rom+windows", 8, 6, 0, 1)
    found = attacked(setting("rom+windows", 8, 3, model), encrypted(voice, Windows(8, 3, dilation=2), key))
    assert found.success_claimed and found.measured["step"] == 3
    assert key_error(present(found.key), key, "samples") < 0.05


@pytest.mark.parametrize(("size", "step", "taken"), [(10, 5, 12), (10, 5, 5), (6, 2, 4), (10, 10, 10), (1, 1, 10)])
def test_other_windows_blocks_and_plain_speech_are_not_claimed(voice, size, step, taken):
    (key,) = draw_keys("rom", size, 7, 0, 1)
    sent = [one[: len(one) // taken * taken] for one in encrypted(voice, Windows(size, step), key)]
    found = attacked(setting("rom+windows", taken, 5), sent)
    assert found.success_claimed is False and "No samples are seen" in found.note


def test_the_step_of_another_model_is_not_claimed(voice):
    (key,) = draw_keys("rom", 10, 8, 0, 1)
    model = windowed(completed(overlapping(), "toy"))
    found = attacked(setting("rom+windows", 10, 5, model), encrypted(voice, Windows(10, 4), key))
    assert found.success_claimed is False


@pytest.mark.parametrize("scheme", ["rom", "shuffling", "flipping", "signed-shuffling"])
def test_windows_of_white_noise_give_the_shared_part_and_no_claim(scheme):
    noise = torch.from_numpy(np.random.default_rng(9).standard_normal((2, 60_000)))
    (key,) = draw_keys(scheme, 10, 9, 0, 1)
    found = attacked(setting(f"{scheme}+windows", 10, 5), encrypted(noise, Windows(10, 5), key))
    assert found.measured["gap"] > 10 and not found.success_claimed


@pytest.mark.parametrize(
    ("scheme", "model", "says"),
    [
        ("rom", None, "encrypts blocks"),
        ("rom+turns=2+windows", None, "multiplies several"),
        ("invertible+windows", None, "invertible only"),
        ("rom+windows", Toy("toy-blocks", nn.Conv1d(1, 6, 10, stride=10), 6), "share no samples"),
    ],
)
def test_what_it_is_not_for_is_said(scheme, model, says):
    sent = None if model is None else windowed(completed(model, "toy"))
    about = Setting(get_scheme(scheme), KeyCut("samples", 10), 32_000, sent)
    assert says in present(SharedSamples().inapplicable(about))


@pytest.mark.parametrize("raising", [1, 2])
def test_an_attack_that_has_too_little_leaves_it_to_the_next(voice, monkeypatch, raising):
    (key,) = draw_keys("flipping+windows", 10, 5, 0, 1)
    sent = encrypted(voice, Windows(10, 5), key)
    sign_chain = shared_samples.ON_BLOCKS[Group.SIGNS][0]

    class TooLittle:
        def run(self, evidence):
            raise BadInput("Too little.")

    tried = (TooLittle,) * raising + ((sign_chain,) if raising == 1 else ())
    monkeypatch.setitem(shared_samples.ON_BLOCKS, Group.SIGNS, tried)
    if raising == 2:
        with pytest.raises(BadInput, match="Too little"):
            attacked(setting("flipping+windows", 10, 5), sent)
    else:
        assert attacked(setting("flipping+windows", 10, 5), sent).success_claimed
