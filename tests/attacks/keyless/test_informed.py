"""Adversaries who want no key: they train on ciphertext, or compare covariances, of speakers with known spectra."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from tests.attacks.solvers.finite_schemes import SHIFTS
from tests.attacks.weights import tiny_classifier
from tests.narrow import of_type, present
from tests.toys import raw3
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Need, Setting
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import evidence_of, trial_of
from wrongkey.attacks.harness.salt import Salt
from wrongkey.attacks.harness.target import Target
from wrongkey.attacks.harness.trial import scored
from wrongkey.attacks.keyless.adaptive_front_end import Adapted
from wrongkey.attacks.keyless.held_out_people import HeldOut, training_sets
from wrongkey.attacks.keyless.informed import IGNORANT, LAZY, NEEDS, SAME_KEY, SEMI, Informed
from wrongkey.attacks.keyless.linkability import CovarianceEmbedding, Linkability, LinkabilitySettings, joint_covariance
from wrongkey.attacks.keyless.retraining import Retraining, Stage
from wrongkey.attacks.keyless.settings import InformedSettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.models.registry import checked
from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.vocabulary import NEEDS as PRICED
from wrongkey.keys import Blocks, correct_key, draw_keys, encrypt_query
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import SCHEMES

SPEAKERS, EACH, SAMPLES = 6, 5, 4_800
DULL = 0.2  # a pole's radius at which an untrained model takes some speakers for one another
SETTINGS = InformedSettings(
    guesses=16, starts=2, first_steps=30, rounds=2, steps=20, batch=12,
    searches=1, front_steps=25, layer_steps=25, whole_steps=200, runs=1, own_steps=200,
)  # fmt: skip


def speakers(seed, white=False, radius=0.9):
    """Autoregressive noise, one resonance per speaker, the sharper the nearer its pole's `radius` is to 1; or white
    noise, in which nobody can be told apart."""
    rng = np.random.default_rng(seed)
    queries, labels = [], []
    for speaker in range(SPEAKERS):
        angle = np.pi * (speaker + 1) / (SPEAKERS + 1)
        denominator = [1.0] if white else [1.0, -2 * radius * np.cos(angle), radius**2]
        for _ in range(EACH):
            query = lfilter([1.0], denominator, rng.standard_normal(SAMPLES))
            queries.append(torch.from_numpy(query / query.std()).float())
            labels.append(f"s{speaker}")
    return BackgroundSpeech(tuple(queries), tuple(labels))


def under(speech, key):
    queries = tuple(encrypt_query(query, key, blocks="samples") for query in speech.queries)
    return BackgroundSpeech(queries, speech.labels)


def setting():
    return Setting(SCHEMES["rom"], KeyCut("samples", 3), 16_000, checked(raw3(), "toy"), "asv")


def evidence(variant, white=False, radius=0.9):
    key = correct_key("rom", 3, 5)
    background = speakers(0, white, radius)
    return key, Evidence(
        setting=setting(), case=Case(variant=variant), seed=1,
        public=setting().model, background=background, enrolled=under(background, key),
    )  # fmt: skip


def separation(model, speech):
    """How often a same-speaker pair has a larger cosine than a different-speaker pair: 0.5 is chance."""
    with torch.inference_mode():
        embeddings = torch.nn.functional.normalize(model.embed(torch.stack(speech.queries)), dim=-1)
    cosines = embeddings @ embeddings.T
    same = torch.tensor([[a == b for a in speech.labels] for b in speech.labels])
    same_pairs = same & ~torch.eye(len(same), dtype=torch.bool)
    return float((cosines[same_pairs][:, None] > cosines[~same]).double().mean())


def of_classes(scheme):
    """Evidence of a classifier whose patterns a key scrambles, and the key."""
    key = correct_key(scheme, 4, 1)
    background = tiny_classifier.speech(4, 48)
    return key, Evidence(
        setting=tiny_classifier.setting(scheme, 4, tiny_classifier.trained(4)), case=Case(variant=SAME_KEY), seed=1,
        public=tiny_classifier.trained(4), background=background, enrolled=under(background, key),
    )  # fmt: skip


def accuracy(model, speech):
    with torch.inference_mode():
        answers = model.classify(torch.stack(speech.queries)).argmax(-1)
    return np.mean([f"class {answer}" == label for answer, label in zip(answers.tolist(), speech.labels, strict=True)])


@pytest.mark.parametrize("scheme", ["rom", "shuffling", "flipping", SHIFTS])
def test_a_front_end_learned_under_the_victims_key_undoes_it(scheme):
    key, has = of_classes(scheme)
    victims = under(tiny_classifier.speech(4, 60, seed=9), key)
    found = Informed(SETTINGS).run(has)
    assert accuracy(has.public, victims) < 0.75 and accuracy(found.model, victims) > 0.9
    assert found.key is None and found.measured["held-out error of the front end alone"] < 10
    front = of_type(Adapted, found.model).front.map.numpy()
    assert np.linalg.norm(front / np.linalg.norm(front) - key.T / 2) < 0.3


def test_speakers_are_told_apart_under_the_victims_key_after_training():
    key, has = evidence(SAME_KEY, radius=DULL)
    victims = under(speakers(9, radius=DULL), key)
    found = Informed(SETTINGS).run(has)
    assert separation(found.model, victims) > separation(has.public, victims) + 0.02
    assert found.measured["held-out loss after"] == found.objective
    assert found.measured["held-out loss after"] < found.measured["held-out loss before"]
    assert 0 < found.measured["best step"] <= found.measured["steps"] <= 250


def test_a_model_trained_under_keys_of_ones_own_works_under_others():
    key, has = evidence(SEMI, radius=DULL)
    victims = under(speakers(9, radius=DULL), key)
    found, again = (Informed(SETTINGS).run(has) for _ in range(2))
    assert separation(found.model, victims) > separation(has.public, victims) + 0.02
    assert found.measured == again.measured
    network = present(found.model).network
    assert not network.training and not any(w.requires_grad for w in network.parameters())


@pytest.mark.parametrize("variant", [SEMI, SAME_KEY])
def test_there_is_nothing_to_learn_in_white_noise_and_training_makes_nothing_worse(variant):
    key, has = evidence(variant, white=True)
    found = Informed(SETTINGS).run(has)
    assert separation(found.model, under(speakers(9, white=True), key)) < 0.6
    assert found.measured["held-out loss after"] <= found.measured["held-out loss before"]


def test_weights_that_held_out_people_do_not_confirm_are_not_kept():
    _, has = evidence(SEMI)
    learned, rest = training_sets(
        has.background, has.setting, 0, SETTINGS.held_out
    )  # names that are drawn by lot teach nothing
    shuffled = BackgroundSpeech(learned.queries, tuple(np.random.default_rng(0).permutation(learned.labels)))
    held = HeldOut(has.public, rest, has.setting, SETTINGS)
    model = setting().model
    training = Retraining(model, has.setting, shuffled, held, False, SETTINGS)
    trained = training.run([Stage(list(model.network.parameters()), 0.1, 50)], 0)
    assert trained.best == 0 < trained.steps and trained.after == trained.before == held.judge(model)
    first = setting().model.network.state_dict()
    assert all(torch.equal(value, first[name]) for name, value in model.network.state_dict().items())


def test_nobody_is_trained_on_and_held_out():
    learned, held = training_sets(speakers(0), setting(), 3, SETTINGS.held_out)
    assert set(learned.labels).isdisjoint(held.labels) and len(set(held.labels)) == 2
    with pytest.raises(BadInput, match="1 people with two utterances"):
        training_sets(BackgroundSpeech(learned.queries[:2], ("a", "a")), setting(), 0, SETTINGS.held_out)


def test_the_identity_before_a_model_changes_nothing():
    has = evidence(SAME_KEY)[1]
    queries = torch.stack(has.background.queries)
    adapted = Adapted(has.public, Blocks.SAMPLES, np.eye(3))
    torch.testing.assert_close(adapted.embed(queries), has.public.embed(queries))
    key = correct_key("rom", 3, 7)
    undone = Adapted(has.public, Blocks.SAMPLES, key.T).embed(encrypt_query(queries, key, blocks="samples"))
    torch.testing.assert_close(undone, has.public.embed(queries), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("variant", [SEMI, SAME_KEY])
def test_a_model_without_gradients_cannot_be_trained(variant):
    toy = raw3()
    toy.embed = torch.no_grad()(toy.embed)  # type: ignore[method-assign]
    with pytest.raises(BadInput, match="without gradients"):
        Informed(SETTINGS).run(replace(evidence(variant)[1], public=checked(toy, "toy")))


def test_the_ignorant_compare_encrypted_tests_with_plain_enrolment(tmp_path):
    few = open_corpus("bundled").speakers[:8]
    chosen = open_corpus("bundled").select(per_speaker=2, speakers=few).utterances
    (tmp_path / "few.txt").write_text("\n".join(u.id for u in chosen))
    config = AttackConfig("bundled", model="asv-raw3", scheme="rom", trials=1, only=str(tmp_path / "few.txt"))
    target = Target(config, tmp_path)
    attack = Informed()
    trial = trial_of(target, Salt(bytes(32)), attack, attack.cases(target.setting)[0], 0)
    trial = replace(trial, key=correct_key("rom", 3, 0))
    engine = target.experiment.engine
    ignorant, lazy = (
        Informed().run(replace(evidence(variant)[1], public=target.whole_model)) for variant in (IGNORANT, LAZY)
    )

    def error(recovery, key):
        return scored(target, replace(trial, key=key), recovery, wants_key=False, seen=0)["error"]

    plain = target.error_of(target.experiment, engine.plain())[0]
    assert error(ignorant, np.eye(3)) == pytest.approx(plain) == error(lazy, np.eye(3))
    sweep = replace(target.experiment.config, variant="test")
    tests_alone = target.experiment.__class__(sweep)  # a model under the identity, tests alone under the key
    answers = tests_alone.engine.answers(trial.key[None], model_key=np.eye(3))
    expected = target.error_of(tests_alone, answers)[0]
    assert error(ignorant, trial.key) == pytest.approx(expected, abs=1e-3) != error(lazy, trial.key)


def test_names_of_the_enrolled_are_for_those_who_need_them(tmp_path):
    """Linking hears many people and knows no names; the plain enrolment of the ignorant stays with the harness."""
    target = Target(AttackConfig("bundled", scheme="rom", block=3, trials=1), tmp_path)

    def handed(attack, variant):
        case = next(case for case in attack.cases(setting()) if case.variant == variant)
        return evidence_of(target, trial_of(target, Salt(bytes(32)), attack, case, 0), attack, case)[0]

    linking, same_key, ignorant = (
        handed(Linkability(), "one key"), handed(Informed(), SAME_KEY), handed(Informed(), IGNORANT)
    )  # fmt: skip
    assert set(linking.enrolled.labels) == {""} and set(same_key.enrolled.labels) == set(target.background.labels)
    assert len(linking.enrolled.queries) == len(linking.enrolled.labels) == len(target.background.queries)
    assert (ignorant.ciphertext, ignorant.known, ignorant.background, ignorant.enrolled) == ((), None, None, None)
    able = {one.name for one in ADVERSARIES if one.can(Linkability().threat.needs)}
    assert {"eavesdropper", "provider", "insider with names"} <= able and "unauthorised user" not in able
    assert [one.name for one in ADVERSARIES if one.can(NEEDS[IGNORANT])] == ["insider with names"]
    assert {need for adversary in ADVERSARIES for need in adversary.has} <= set(get_args(Need)) == set(PRICED)


def test_sounds_have_no_enrolment_to_be_ignorant_of():
    scenes = replace(setting(), task="asc")
    assert [case.variant for case in Informed().cases(scenes)] == [LAZY, SEMI, SAME_KEY]
    assert [case.variant for case in Informed().cases(setting())] == [IGNORANT, LAZY, SEMI, SAME_KEY]


@pytest.mark.parametrize("variant", [IGNORANT, LAZY, SEMI, SAME_KEY])
def test_missing_evidence_is_refused(variant):
    nothing = Evidence(setting(), Case(variant=variant), 0)
    with pytest.raises(BadInput, match="informed needs the public model"):
        Informed().run(nothing)
    if variant in (SEMI, SAME_KEY):
        with pytest.raises(BadInput, match=f"{variant}, needs labelled speech"):
            Informed().run(replace(nothing, public=setting().model))
    with pytest.raises(BadInput, match="linkability needs ciphertext"):
        Linkability().run(nothing)


def test_obstacles_are_sentences():
    asr = Setting(SCHEMES["rom"], KeyCut("samples", 3), 16_000, None, "asr")
    assert "not built" in (Informed().inapplicable(asr) or "") and "trials" in (Linkability().inapplicable(asr) or "")
    assert Informed().inapplicable(setting()) is None and Linkability().inapplicable(setting()) is None


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
    plain = joint_covariance(queries, 4, Blocks.SAMPLES, 32)
    cipher = joint_covariance(encrypt_query(queries, keys[0], blocks="samples"), 4, Blocks.SAMPLES, 32)
    whole = torch.block_diag(*[keys[0]] * 8)
    torch.testing.assert_close(cipher, whole.T @ plain @ whole)
    assert plain.shape == (2, 32, 32)
    torch.testing.assert_close(torch.linalg.eigvalsh(plain), torch.linalg.eigvalsh(cipher))


def test_every_query_gets_a_key_of_its_own_across_keys():
    model = CovarianceEmbedding(setting(), True, 0, LinkabilitySettings())
    query = speakers(0).queries[0][None].double()
    twice = model.embed(torch.cat([query, query]))
    torch.testing.assert_close(twice[0], twice[1], atol=1e-6, rtol=1e-6)  # eigenvalues do not see the key
    assert model.asked == 2
