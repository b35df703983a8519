"""The method's promise on the bundled models and voices: the correct key gives the plain model's EER, exactly."""

import pytest

from evaluation.experiment import Experiment, SweepConfig
from evaluation.metrics import eer
from evaluation.models.protocol import BUNDLED
from keys import SCHEMES


@pytest.mark.parametrize("variant", ["both", "test"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("model", BUNDLED)
def test_the_correct_key_gives_the_plain_eer(model, scheme, variant):
    experiment = Experiment(
        SweepConfig(model=model, corpus="bundled", trials="corpus", scheme=scheme, variant=variant, device="cpu")
    )
    plain, correct = experiment.plain(), experiment.explicit(experiment.correct)
    assert float((correct - plain).abs().max()) < 1e-5 * float(plain.abs().max())
    target = experiment.task.target
    assert float(eer(experiment.scores(correct[None]), target)) == float(eer(experiment.scores(plain[None]), target))


@pytest.mark.parametrize("model", BUNDLED)
def test_incorrect_keys_cost_an_unauthorised_user_something(model):
    """The bundled models verify the bundled voices well with the correct key, and worse with typical incorrect ones."""
    experiment = Experiment(SweepConfig(model=model, corpus="bundled", trials="corpus", device="cpu"))
    target = experiment.task.target
    plain = float(eer(experiment.scores(experiment.plain()[None]), target))
    incorrect = eer(experiment.scores(experiment.engine.embeddings(experiment.incorrect.batch(0, 10))), target)
    assert plain < 12
    assert float(incorrect.median()) > 1.5 * plain
