"""What every registered attack keeps to: one table over all of them."""

import re
from dataclasses import fields

import numpy as np
import pytest

from tests import toys
from tests.narrow import present
from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.attack_settings import settings_of
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import evidence_of, needs_of, trial_of
from wrongkey.attacks.harness.handed import blank
from wrongkey.attacks.harness.offered import attack_names
from wrongkey.attacks.harness.planned import inapplicable
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.salt import Salt
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.keys import draw_keys, get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Scheme

# Parts of the evidence that each need grants; the oracles by their names.
GRANTED = {
    "ciphertext": {"ciphertext"},
    "ciphertext of many": {"enrolled"},
    "known plaintext": {"known"},
    "chosen plaintext": {"encrypt"},
    "public model": {"public"},
    "encrypted model": {"encrypted"},
    "answers": {"ask", "error", "background"},
    "other speech": {"background"},
    "labelled ciphertext": {"enrolled"},
    "plain enrolment": set(),  # the harness enrols with it
}
PARTS = ("ciphertext", "known", "public", "encrypted", "background", "enrolled")
ATTACKS = pytest.mark.parametrize("name", attack_names())


def eight_keys(size: int) -> np.ndarray:
    return draw_keys("rom", size, 0, 0, 8)


LISTED = Scheme(  # a user's: eight orthogonal keys, which form no group that an attack knows
    "listed",
    words=lambda size: 1,
    matrices=lambda size, words: eight_keys(size)[(words[:, 0] % 8).astype(np.int64)],
    space=lambda size: 8,
    unrank=lambda size, ranks: eight_keys(size)[ranks],
    rank=lambda matrices: np.zeros(len(matrices), dtype=np.int64),
)
SCHEMES = [*map(get_scheme, ("shuffling", "flipping", "rom")), LISTED]
MODELS = [
    (toys.raw3, "asv"),
    (toys.texts_only, "asr"),
    (toys.batch_normalised, "asv"),
    (toys.subsampled, "asc"),
    (toys.recurrent, "asv"),
]


def public_setting(scheme, model, task):
    return Setting(scheme, KeyCut.for_layer(model.network.get_submodule(model.first_layer)), 16_000, blank(model), task)


@pytest.fixture(scope="module")
def settings():
    """Every scheme with every kind of blocks, without a model and with several."""
    speech = [Setting(scheme, KeyCut("samples", 4), 16_000) for scheme in SCHEMES]
    return speech + [public_setting(scheme, make(), task) for scheme in SCHEMES for make, task in MODELS]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """Two utterances of each of eight voices, half of them victims, under a key of three samples."""
    folder = tmp_path_factory.mktemp("contract")
    corpus = open_corpus("bundled")
    few = corpus.select(per_speaker=2, speakers=corpus.speakers[:8]).utterances
    (folder / "few.txt").write_text("".join(f"{utterance.id}\n" for utterance in few))
    return Target(AttackConfig("bundled", model="tests.toys:raw3", only=str(folder / "few.txt")), folder)


@ATTACKS
def test_it_opens_under_its_name(name):
    attack = open_attack(name)
    assert attack.name == name and attack.threat.needs <= GRANTED.keys()
    assert re.fullmatch(r"[A-Z].*\.", attack.threat.adversary, flags=re.S), "a sentence for the report"


@ATTACKS
def test_a_reason_not_to_apply_is_a_whole_sentence(name, settings):
    attack = open_attack(name)
    for setting in settings:
        reason = inapplicable(attack, setting)
        if reason is None:
            assert attack.cases(setting), "where it applies, it has cases"
        else:
            names = "|".join(re.escape(named) for named in (name, getattr(setting.model, "name", name)))
            assert re.fullmatch(rf"([A-Z]|--\w|{names}).*\.", reason, flags=re.S), reason


@ATTACKS
def test_without_evidence_it_says_what_is_missing(name, settings):
    attack = open_attack(name)
    for setting in settings:
        if inapplicable(attack, setting) is None:
            for case in attack.cases(setting):
                with pytest.raises(BadInput, match=r"\.$"):
                    attack.run(Evidence(setting, case, seed=0))


@ATTACKS
def test_it_sees_what_its_threat_model_names_and_no_more(name, target):
    attack, salt = open_attack(name), Salt(bytes(32))
    applies = inapplicable(attack, target.setting) is None
    cases = attack.cases(target.setting) if applies else [Case()]
    for needs in {needs_of(attack, case) for case in cases}:
        assert needs <= attack.threat.needs
        case = Case(seconds=1.0, known_blocks=4, needs=needs)
        handed, oracles = evidence_of(target, trial_of(target, salt, attack, case, 0), attack, case)
        seen = {part for part in PARTS if getattr(handed, part)} | handed.asks
        assert seen == set().union(*(GRANTED[need] for need in needs))
        assert set(oracles.functions) == handed.asks and handed.setting.model is None
        if "enrolled" in seen and "labelled ciphertext" not in needs:
            assert set(present(handed.enrolled).labels) == {""}, "nobody's name"


def test_nobody_is_a_victim_and_a_background_speaker(target):
    victims = {victim for victim, _ in target.victims}
    assert victims and victims.isdisjoint(target.background.labels) and victims.isdisjoint(target.asked.labels)


@ATTACKS
def test_its_settings_are_frozen_recordable_and_documented(name):
    attack = open_attack(name)
    settings = attack.settings
    if settings is None:
        assert settings_of(attack) == {}
        return
    recorded = settings_of(attack)
    documented = "\n".join(kind.__doc__ or "" for kind in type(settings).__mro__)  # each class says what it adds
    assert recorded and settings_of(open_attack(name)) == recorded
    for field in fields(settings):
        assert re.search(rf"^\s*(\w+, )*{field.name}(, \w+)* : ", documented, flags=re.M), f"{field.name} says nothing"


def test_the_public_setting_holds_no_weights(target):
    assert not any(tensor.any() for tensor in target.setting.model.network.state_dict().values())
