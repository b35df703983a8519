"""Whether a front end leaves waveforms as they are is asked of the model, and recorded in run folders."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from tests import toys
from wrongkey.evaluation.front_end import front_end_of, probe_waveform
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.models.registry import open_model

CHANGES = {
    "gain": lambda x: x * 10,
    "pre-emphasis": lambda x: torch.cat([x[:1], x[1:] - 0.97 * x[:-1]]),
    "no mean": lambda x: x - x.mean(),
    "trimmed": lambda x: x[x.abs() > 0],
    "16 bit": lambda x: (x * 2**15).round() / 2**15,
    "frames": lambda x: x.reshape(-1, 100).T,
}


def model(front_end, rate=16_000):
    return SimpleNamespace(front_end=front_end, sample_rate=rate)


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_a_sample_is_a_front_end_of_its_own(name):
    assert front_end_of(model(CHANGES[name])) == "own"


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_model_that_reads_the_waveform_itself(rate):
    assert probe_waveform(rate).shape == (rate,)
    assert front_end_of(model(lambda waveform: waveform, rate)) == "waveform"


def test_bundled_models_are_asked_and_not_named():
    assert front_end_of(open_model("asv-raw3")) == "own"  # pre-emphasis
    assert front_end_of(cast(Model, toys.raw3())) == "own"  # a gain


def test_nothing_is_known_of_a_front_end_that_fails():
    assert front_end_of(model(lambda waveform: waveform.missing())) is None


def test_the_question_draws_no_random_numbers():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    assert front_end_of(model(lambda waveform: waveform + torch.rand(len(waveform)))) == "own"
    np.testing.assert_array_equal(torch.rand(4), expected)
