"""The method's promise on the bundled models and voices: the correct key gives the plain model's answers."""

import pytest
import torch

from tests.narrow import of_type
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.experiment import Experiment, key_cut_of
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.models.offered import BUNDLED
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.keys import SCHEMES, SecretKey

VERIFIERS = [name for name, (task, _) in BUNDLED.items() if task == "asv"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", BUNDLED)
def test_the_correct_key_gives_the_plain_answers(name, scheme):
    model = open_model(name)
    cut = key_cut_of(model, None, None)
    waveform = torch.from_numpy(load_audio(open_corpus("bundled").utterances[0]))
    key = SecretKey.from_seed(scheme, cut.block_size, cut.dims, seed=0)
    assert exactness(model, key, cut.blocks, waveform).relative < 1e-5


@pytest.mark.parametrize("variant", ["both", "test"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("model", VERIFIERS)
def test_the_correct_key_gives_the_plain_eer(model, scheme, variant):
    experiment = Experiment(
        SweepConfig(model=model, corpus="bundled", trials="corpus", scheme=scheme, variant=variant, device="cpu")
    )
    found = experiment.plain(), experiment.explicit(experiment.correct)
    plain, correct = (of_type(torch.Tensor, answers) for answers in found)
    assert float((correct - plain).abs().max()) < 1e-5 * float(plain.abs().max())
    target = of_type(SpeakerVerification, experiment.task).target
    assert float(eer(experiment.scores(correct), target)) == float(eer(experiment.scores(plain), target))


@pytest.mark.parametrize("model", VERIFIERS)
def test_incorrect_keys_cost_an_unauthorised_user_something(model):
    """The bundled models verify the bundled voices well with the correct key, and worse with typical incorrect ones."""
    experiment = Experiment(SweepConfig(model=model, corpus="bundled", trials="corpus", device="cpu"))
    target = of_type(SpeakerVerification, experiment.task).target
    plain = float(eer(experiment.scores(experiment.plain()), target))
    incorrect = eer(experiment.scores(experiment.answers(experiment.incorrect.batch(0, 10))), target)
    assert plain < 12
    assert float(incorrect.median()) > 1.5 * plain
