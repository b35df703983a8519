"""Adversaries who want no key: they train on ciphertext, or compare covariances, of speakers with known spectra."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from attacks.base import Evidence, Given, OtherSpeech, Setting
from attacks.informed import Informed
from attacks.linkability import CovarianceEmbedding, Linkability, joint_covariance
from evaluation.models.protocol import checked
from keys import correct_key, draw_keys, encrypt_query
from tests.toys import raw3

SPEAKERS, EACH, SAMPLES = 4, 6, 4_800


def speakers(seed, white=False):
    """Autoregressive noise, one resonance per speaker; or white noise, in which nobody can be told apart."""
    rng = np.random.default_rng(seed)
    queries, labels = [], []
    for speaker in range(SPEAKERS):
        angle = np.pi * (speaker + 1) / (SPEAKERS + 1)
        denominator = [1.0] if white else [1.0, -1.8 * np.cos(angle), 0.81]
        for _ in range(EACH):
            query = lfilter([1.0], denominator, rng.standard_normal(SAMPLES))
            queries.append(torch.from_numpy(query / query.std()).float())
            labels.append(f"s{speaker}")
    return OtherSpeech(tuple(queries), tuple(labels))


def under(speech, key):
    queries = tuple(encrypt_query(query, key, blocks="samples") for query in speech.queries)
    return OtherSpeech(queries, speech.labels)


def setting():
    return Setting("rom", "samples", 3, 3, 16_000, checked(raw3(), "toy"), "asv")


def evidence(variant, white=False):
    key = correct_key("rom", 3, 5)
    others = speakers(0, white)
    return key, Evidence(
        setting=setting(), given=Given(variant=variant), seed=1,
        public=setting().model, others=others, enrolled=under(others, key),
    )  # fmt: skip


def separation(model, speech):
    """How often a same-speaker pair has a larger cosine than a different-speaker pair: 0.5 is chance."""
    with torch.inference_mode():
        embeddings = torch.nn.functional.normalize(model.embed(torch.stack(speech.queries)), dim=-1)
    cosines = embeddings @ embeddings.T
    same = torch.tensor([[a == b for a in speech.labels] for b in speech.labels])
    same_pairs = same & ~torch.eye(len(same), dtype=torch.bool)
    return float((cosines[same_pairs][:, None] > cosines[~same]).double().mean())


def test_training_on_the_victims_key_learns_to_read_it():
    key, has = evidence("semi-informed")
    trained, untrained = Informed(steps=80).run(has), Informed().run(evidence("ignorant")[1])
    victims = under(speakers(9), key)
    assert trained.key is None and trained.objective < 0.7 * np.log(SPEAKERS)
    assert separation(trained.model, victims) > 0.9
    assert untrained.model is not trained.model and not trained.model.network.training


def test_there_is_nothing_to_learn_in_white_noise():
    key, has = evidence("semi-informed", white=True)
    trained = Informed(steps=80).run(has)
    assert separation(trained.model, under(speakers(9, white=True), key)) < 0.6


def test_a_lazy_adversary_trains_on_keys_of_his_own():
    has = evidence("lazy-informed")[1]
    first, again = (Informed(steps=5).run(has) for _ in range(2))
    assert first.objective == again.objective != Informed(steps=5).run(evidence("semi-informed")[1]).objective


def test_obstacles_are_sentences():
    asr = Setting("rom", "samples", 3, 3, 16_000, None, "asr")
    assert "not built" in Informed().obstacle(asr) and "trials" in Linkability().obstacle(asr)
    assert Informed().obstacle(setting()) is None and Linkability().obstacle(setting()) is None


@pytest.mark.parametrize("variant", ["one key", "across keys"])
def test_speakers_are_linked_by_covariances_and_white_noise_is_not(variant):
    key, has = evidence(variant)
    model = Linkability().run(has).model
    assert separation(model, under(speakers(9), key)) > 0.75  # mirrored spectra have the same eigenvalues
    white = Linkability().run(evidence(variant, white=True)[1]).model
    assert separation(white, under(speakers(9, white=True), key)) < 0.65


def test_covariances_of_ciphertext_are_those_of_speech_in_another_basis():
    keys = torch.from_numpy(draw_keys("rom", 4, 0, 0, 1))
    queries = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 400))).cumsum(-1)
    plain = joint_covariance(queries, 4, "samples")
    cipher = joint_covariance(encrypt_query(queries, keys[0], blocks="samples"), 4, "samples")
    whole = torch.block_diag(*[keys[0]] * 8)
    torch.testing.assert_close(cipher, whole.T @ plain @ whole)
    assert plain.shape == (2, 32, 32)
    torch.testing.assert_close(torch.linalg.eigvalsh(plain), torch.linalg.eigvalsh(cipher))


def test_every_query_gets_a_key_of_its_own_across_keys():
    model = CovarianceEmbedding(setting(), True, 0)
    query = speakers(0).queries[0][None].double()
    twice = model.embed(torch.cat([query, query]))
    torch.testing.assert_close(twice[0], twice[1], atol=1e-6, rtol=1e-6)  # eigenvalues do not see the key
    assert model.asked == 2
