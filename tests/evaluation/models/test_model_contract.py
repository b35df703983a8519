"""What every bundled model and every adapter keeps to; small random weights where the real ones are not at hand."""

from typing import cast

import numpy as np
import pytest
import torch

from tests.evaluation.models.test_open_model import NAMES
from wrongkey.evaluation.answers import as_hypothesis
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.models.asking import answer_function
from wrongkey.evaluation.models.modules import in_training
from wrongkey.evaluation.models.offered import BUNDLED, LOADERS
from wrongkey.evaluation.models.protocol import SceneClassifier
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys.blocks import Blocks

SECONDS = 1.0


@pytest.fixture(params=NAMES)
def spec(request, tmp_path, monkeypatch):
    monkeypatch.setattr("wrongkey.evaluation.models.adapters.rawnext.SEGMENT", 8_748)  # a seventh of its own
    return NAMES[request.param](tmp_path, monkeypatch)[0]


def answers(model):
    """Pieces of a second of noise, and what the model answers for the first of its tasks."""
    noise = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * model.sample_rate)).astype(np.float32)
    pieces = model.segments(model.front_end(torch.from_numpy(noise)))
    task = next(task for task, function in ASKED.items() if callable(getattr(model, function, None)))
    with torch.no_grad():
        return pieces, task, answer_function(model, task)(pieces)


def test_every_bundled_model_and_every_loader_is_here():
    assert {*BUNDLED, *LOADERS} <= set(NAMES)


def test_a_model_offers_what_the_protocol_names(spec):
    model = open_model(spec)
    assert model.name and isinstance(model.name, str) and model.sample_rate > 0
    assert model.blocks in (None, *Blocks) and (model.block_size is None or model.block_size > 0)
    assert not in_training(model)
    assert model.external or model.first_layer in dict(model.network.named_modules())
    assert all(weight.dtype != torch.float64 for weight in model.network.parameters())


def test_a_model_answers_each_piece_the_same_way_again(spec):
    model = open_model(spec)
    pieces, task, first = answers(model)
    assert pieces.ndim in (2, 3) and len(first) == len(pieces)
    _, _, again = answers(open_model(spec))
    if task == "asr":
        assert [as_hypothesis(heard) for heard in first] == [as_hypothesis(heard) for heard in again]
    else:
        assert first.ndim == 2 and bool(torch.isfinite(first).all()) and torch.equal(first, again)
    if task == "asc":
        classes = cast(SceneClassifier, model).classes
        assert first.shape[1] == len(classes) == len(set(classes))
