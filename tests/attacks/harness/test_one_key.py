"""Attacks on derived schemes: given, and scored on, what one matrix encrypts."""

import json

import numpy as np
import pytest
import torch

from tests.attacks.harness.test_suite import SALT, Blind, Told, speech
from wrongkey.attacks.base import Case, Threat
from wrongkey.attacks.harness import suite
from wrongkey.attacks.harness.evidence import ciphertext, enrolled_of, trial_of
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.keys import encrypt_query


def target_of(tmp_path, scheme: str) -> Target:
    return Target(speech(scheme=scheme), tmp_path)


def test_under_a_schedule_the_first_slots_are_attacked(tmp_path):
    plain, target = target_of(tmp_path, "rom"), target_of(tmp_path, "rom+schedule=0.5")
    whole, trial = (trial_of(one, SALT, Blind(), Case(), 0) for one in (plain, target))
    assert trial.victim == whole.victim and len(trial.queries) == len(whole.queries) > 1
    for part, query in zip(trial.queries, whole.queries, strict=True):
        assert len(part) == min(8_000, len(query)) and torch.equal(part, query[: len(part)])
    sent = ciphertext(target, trial, float("inf"))
    torch.testing.assert_close(sent[1], encrypt_query(trial.queries[1], trial.key, blocks="samples"))
    assert all(query.shape[-1] <= 8_000 for query in enrolled_of(target, trial).queries)


def test_under_nonces_the_longest_utterance_is_attacked(tmp_path):
    plain, target = target_of(tmp_path, "rom"), target_of(tmp_path, "rom+nonce")
    whole, trial = (trial_of(one, SALT, Blind(), Case(), 0) for one in (plain, target))
    (query,) = trial.queries
    assert len(query) == max(map(len, whole.queries)) and len(trial.utterances) == 1
    (both,) = trial_of(target_of(tmp_path, "rom+schedule=0.25+nonce"), SALT, Blind(), Case(), 0).queries
    assert torch.equal(both, query[:4_000])


@pytest.mark.parametrize("scheme", ["rom+nonce", "rom+schedule=0.5"])
def test_what_a_recovered_matrix_opens_is_scored(tmp_path, scheme):
    folder = suite.run_attacks(speech(scheme=scheme), [Told(), Blind()], tmp_path / "run", keys=2, workers=1)
    told = folder.rows("told")
    enough = told[told["given_known_blocks"] == 200]
    assert set(told["scheme"]) == {scheme}
    assert (enough["key_error"] < 1e-9).all() and (enough["snr"] > 140).all()
    assert (folder.rows("blind")["snr"] < 10).all()
    assert json.loads((tmp_path / "run/attacks/suite.json").read_text())["setting"]["scheme"] == scheme


def test_every_trial_has_a_key_of_its_own(tmp_path):
    target = target_of(tmp_path, "flipping+nonce")
    keys = {trial_of(target, SALT, Blind(), Case(), number).key.tobytes() for number in range(8)}
    assert len(keys) > 3
    key, again = (trial_of(target, SALT, Blind(), Case(), 1).key for _ in range(2))
    np.testing.assert_array_equal(key, again)


class Links(Blind):
    """Needs speech of many under one key."""

    name = "links"
    threat = Threat("Links.", frozenset({"ciphertext", "ciphertext of many"}))


def test_an_attack_that_needs_many_utterances_under_one_key_does_not_apply_to_nonces(tmp_path):
    folder = suite.run_attacks(speech(scheme="rom+nonce"), [Links()], tmp_path / "run", keys=2, workers=1)
    assert "every utterance has a key of its own" in json.dumps(folder.suite())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model": "tests.toys:raw3"}, "without --model and with --block"),
        ({"scheme": "rom+schedule=0.0001"}, "changes the key within a block"),
    ],
)
def test_bad_input_is_a_sentence(tmp_path, changed, sentence):
    with pytest.raises(BadInput, match=sentence):
        Target(speech(**{"scheme": "rom+nonce", **changed}), tmp_path)
