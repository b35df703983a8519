"""An experiment under other keys: what is taken over, and what is not."""

from dataclasses import replace

import torch

from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment

CONFIG = SweepConfig(
    model="tests.toys:raw10", corpus="bundled", variant="waveform", block=4, keys=2, per_speaker=2, device="cpu"
)


def test_other_keys_of_the_same_speech_answer_as_a_new_experiment():
    """The model, the speech and the plain answers are shared; the first experiment keeps its own keys."""
    first = Experiment(CONFIG)
    plain, before = first.plain(), first.answers(first.incorrect.batch(0, 2))
    config = replace(CONFIG, scheme="flipping", block=8, keys=3)
    other, anew = first.with_keys_of(config), Experiment(config)
    assert other is not None and other.engine is first.engine and other.plain() is plain
    assert (other.cut, other.total, other.identity()) == (anew.cut, anew.total, anew.identity())
    keys = anew.incorrect.batch(0, 3)
    torch.testing.assert_close(other.answers(keys), anew.answers(keys), rtol=0, atol=0)
    assert first.cut.block_size == 4
    torch.testing.assert_close(first.answers(first.incorrect.batch(0, 2)), before, rtol=0, atol=0)


def test_other_speech_or_a_model_under_a_key_is_not_taken_over():
    first = Experiment(CONFIG)
    assert first.with_keys_of(replace(CONFIG, seed=1)) is None
    assert first.with_keys_of(replace(CONFIG, block=10**6)) is None
    keyed = replace(CONFIG, model="tests.toys:raw3", variant="both", block=None)
    assert Experiment(keyed).with_keys_of(keyed) is None
