"""Victims who prepare speech before they encrypt it: what attacks are given, and what stays plain."""

import numpy as np
import pytest
import torch

from tests.narrow import of_type
from wrongkey.attacks.base import Case
from wrongkey.attacks.harness import target as target_module
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import ciphertext, enrolled_of, known_blocks, trial_of
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.salt import Salt
from wrongkey.attacks.harness.target import Target
from wrongkey.evaluation.corpora import load_audio
from wrongkey.keys import decrypt_query

SALT = Salt(bytes(range(32)))
ATTACK = open_attack("polyphase")
SECONDS = Case(seconds=2.0)


def target(scheme: str, folder, **settings) -> Target:
    return Target(AttackConfig("bundled", scheme=scheme, **({"block": 10} | settings)), folder)


def trial(of: Target, number: int = 0, salt: Salt = SALT):
    return trial_of(of, salt, ATTACK, SECONDS, number)


def ratio(plain: torch.Tensor, noisy: torch.Tensor) -> float:
    return float(10 * torch.log10((plain**2).sum() / ((noisy - plain) ** 2).sum()))


def test_ciphertext_is_of_prepared_speech(tmp_path):
    prepared, clean = target("rom+flat=15+noise=20", tmp_path), target("rom", tmp_path)
    one, other = trial(prepared), trial(clean)
    opened = decrypt_query(ciphertext(prepared, one, 2.0)[0], one.key, blocks="samples")
    torch.testing.assert_close(opened, one.queries[0][: len(opened)])
    recording = prepared.preparation.recording(other.queries[0].float(), 16_000).double()
    assert torch.corrcoef(torch.stack([recording, one.noiseless[0]]))[0, 1] > 0.999
    assert ratio(one.noiseless[0], one.queries[0]) == pytest.approx(20, abs=0.3)


def test_noise_is_as_secret_as_the_key(tmp_path):
    """Another trial or salt has other noise, and the run's seed, which an attack may know, does not give it."""
    noisy = target("rom+noise=20", tmp_path)
    one = trial(noisy)
    again, salted = trial(noisy), trial(noisy, salt=Salt(bytes(32)))
    heard = one.queries[0] - one.noiseless[0]
    assert torch.equal(again.queries[0], one.queries[0])
    public = noisy.preparation.noisy(one.noiseless[0][None], noisy.config.seed, one.utterances[0].id)[0]
    for other in (salted.queries[0] - salted.noiseless[0], public - one.noiseless[0]):
        assert abs(float(torch.corrcoef(torch.stack([heard, other]))[0, 1])) < 0.05


def test_known_plaintext_lacks_the_noise_that_its_ciphertext_has(tmp_path):
    noisy = target("rom+noise=20", tmp_path)
    one = trial(noisy)
    plain, cipher = known_blocks(noisy, one, 500, "clean")
    noise = cipher @ one.key.T - plain
    level = 10 * np.log10(np.mean([float((q**2).mean()) for q in one.noiseless]) / (noise**2).mean())
    assert 15 < level < 25


def test_background_speech_is_plain_and_enrolled_users_prepare_theirs(tmp_path):
    prepared, clean = target("rom+phase", tmp_path), target("rom", tmp_path)
    for ours, theirs in zip(prepared.background.queries, clean.background.queries, strict=True):
        assert torch.equal(ours, theirs)
    one = trial(prepared)
    enrolled = enrolled_of(prepared, one)
    assert enrolled.labels == prepared.background.labels
    opened = decrypt_query(enrolled.queries[0].double(), one.key, blocks="samples")
    expected = prepared.preparation.recording(prepared.background.queries[0], 16_000).double()
    torch.testing.assert_close(opened[: len(expected)], expected[: len(opened)], rtol=0, atol=1e-5)


def test_an_adaptive_attack_gets_background_speech_prepared_as_well(tmp_path):
    prepared, clean = target("rom+flat=15+noise=20", tmp_path), target("rom", tmp_path)
    for made, query in list(zip(prepared.background.as_users, prepared.background.queries, strict=True))[:3]:
        recording = prepared.preparation.recording(query, 16_000)
        assert ratio(recording.double(), made.double()) == pytest.approx(20, abs=0.3)
    assert clean.background.as_users is clean.background.queries


def test_a_recording_is_prepared_before_the_models_front_end(tmp_path):
    """The front end of toys is a gain of 10."""
    model = {"model": "tests.toys:raw10", "block": None}
    own, none = target("rom+flat=15", tmp_path, **model), target("rom+flat=15", tmp_path)
    assert torch.equal(own.background.prepared[0], 10 * none.background.prepared[0])


def test_the_adversarys_own_queries_are_not_prepared(tmp_path):
    model = {"model": "tests.toys:raw10", "block": None, "per_speaker": 2}
    prepared, clean = target("rom+flat=15", tmp_path, **model), target("rom", tmp_path, **model)
    torch.testing.assert_close(
        prepared.background_experiment.plain(), clean.background_experiment.plain(), rtol=0, atol=0
    )
    users, others = (of_type(torch.Tensor, one.experiment.plain()) for one in (prepared, clean))
    assert not torch.equal(users, others)


def test_a_victims_speech_is_read_once(tmp_path, monkeypatch):
    of = target("rom", tmp_path)
    read: list[str] = []

    def counted(one, *rest):
        read.append(one.id)
        return load_audio(one, *rest)

    monkeypatch.setattr(target_module, "load_audio", counted)
    _, utterances = of.victims[0]
    first, again = of.queries(utterances[:2]), of.queries(utterances[:2])
    assert read == [one.id for one in utterances[:2]]
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    monkeypatch.setattr(target_module, "KEPT_BYTES", 0)
    assert len(of.queries(utterances[2:3])) == len(of.queries(utterances[2:3])) == 1
    assert read[2:] == [utterances[2].id] * 2
