"""A user's attack may be anything: what is wrong with it is one sentence, before any trial runs."""

from dataclasses import dataclass

import pytest

from wrongkey.attacks.base import Case, Recovery, Threat
from wrongkey.attacks.harness import suite
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.errors import BadInput


class Mine:
    """An attack that a user could write, which gives up."""

    name = "mine"
    family = 1
    threat = Threat("Gives up.", frozenset({"ciphertext"}))

    def inapplicable(self, setting):
        return None

    def cases(self, setting):
        return [Case(seconds=1.0)]

    def run(self, evidence):
        return Recovery(None)


def changed(**parts):
    return type("Changed", (Mine,), parts)()


def raising(error):
    def fails(*asked):
        raise error

    return fails


def threat(adversary="Wants it all.", needs=frozenset({"ciphertext"})):
    return {"threat": Threat(adversary, needs)}


def case(**parts):
    return returning(Case(**parts))


def returning(one):
    return {"cases": lambda self, setting: [one]}


@dataclass
class Unfrozen:
    steps: int = 1


OPENED = [
    ({"name": "../../evil"}, r"The name of attack 'Changed' is '\.\./\.\./evil': give letters"),
    ({"name": ""}, "The name of attack 'Changed' is '': give letters"),
    ({"name": 3}, "The name of attack 'Changed' is 3: give letters"),
    ({"name": "random-keys"}, "has the name 'random-keys', which the harness uses itself: rename it"),
    ({"name": "incorrect-keys"}, "'incorrect-keys', which the harness uses"),
    ({"name": "suite"}, "'suite', which the harness uses"),
    ({"name": "list"}, "'list', which the harness uses"),
    ({"name": property(raising(RuntimeError("gone")))}, r"Attack 'Changed' fails while it is looked at \(RuntimeError"),
    ({"family": "a"}, "family of attack 'Changed' is 'a': give a whole number from 0 up"),
    ({"threat": "none"}, "threat of attack 'Changed' is 'none': give a wrongkey.attacks.base.Threat"),
    (threat(needs=["ciphertext"]), "needs of attack 'Changed' is of type list: give a frozenset"),
    (
        threat(needs=frozenset({"cipher"})),
        "Attack 'Changed' needs 'cipher', which is not known: give some of 'ciphertext'",
    ),
    (threat(adversary=None), "threat.adversary of attack 'Changed' is None: give a sentence"),
    ({"run": None}, "run of attack 'Changed' is None: give a method"),
    ({"most_trials": "3"}, "most_trials of attack 'Changed' is '3': give a whole number from 1 up"),
    ({"most_trials": 0}, "most_trials of attack 'Changed' is 0"),
    ({"wants_key": "no"}, "wants_key of attack 'Changed' is 'no': give True or False"),
    ({"claims": "speech"}, "claims of attack 'Changed' is 'speech': give 'key' or 'use'"),
    ({"wants_key": False, "asset": "money"}, "asset of attack 'Changed' is 'money': give 'use' or 'identity'"),
    ({"settings": Unfrozen()}, "The settings of attack 'mine' are not a frozen dataclass"),
]
ASKED = [
    ({"inapplicable": raising(ValueError("no"))}, r"Attack 'mine' fails in inapplicable \(ValueError: no\): mend it"),
    ({"inapplicable": raising(SystemExit(3))}, r"Attack 'mine' ended the program \(exit 3\): mend it"),
    (
        {"inapplicable": lambda self, setting: True},
        "'mine' returned True from inapplicable: return a sentence, or None",
    ),
    ({"cases": raising(KeyError("x"))}, r"Attack 'mine' fails in cases \(KeyError: 'x'\): mend it"),
    ({"cases": lambda self, setting: None}, r"Attack 'mine' fails in cases \(TypeError"),
    (returning(5.0), "Attack 'mine' returned 5.0 from cases: return a list of Case"),
    (case(seconds="5"), "seconds of attack 'mine, cases' is '5': give a number above 0"),
    (case(known_blocks=0), "known_blocks of attack 'mine, cases' is 0: give a whole number"),
    (case(queries=1.5), "queries of attack 'mine, cases' is 1.5: give a whole number"),
    (case(quality="perfect"), "quality of attack 'mine, cases' is 'perfect': give 'clean', '16 bit', '10 dB'"),
    (case(variant=3), "variant of attack 'mine, cases' is 3: give a text"),
    (case(needs=frozenset({"answers"})), "'mine' has a case that needs answers, which its threat does not name"),
]


@pytest.mark.parametrize(("parts", "sentence"), OPENED)
def test_an_attack_of_another_kind_is_refused_where_it_is_opened(parts, sentence):
    with pytest.raises(BadInput, match=sentence):
        open_attack(changed(**parts))


@pytest.mark.parametrize(("parts", "sentence"), ASKED)
def test_what_an_attack_says_of_itself_is_refused_before_any_trial(tmp_path, parts, sentence):
    with pytest.raises(BadInput, match=sentence):
        run([changed(**parts)], tmp_path / "run")
    assert not list(tmp_path.rglob("*.parquet"))


def test_settings_are_refused_before_any_trial(tmp_path):
    with pytest.raises(BadInput, match="The settings of attack 'mine'"):
        run([changed(settings=Unfrozen())], tmp_path / "run")
    assert not list(tmp_path.rglob("*.parquet"))


def test_two_attacks_of_one_name_are_refused(tmp_path):
    with pytest.raises(BadInput, match="Two attacks are named 'mine': rename one, or run them into two folders"):
        run([Mine(), changed(family=2)], tmp_path / "run")


def test_what_an_attack_leaves_out_is_filled_in_and_what_it_has_is_kept():
    bare, full = open_attack(Mine()), open_attack(changed(most_trials=3, wants_key=False, asset="use"))
    assert (bare.settings, bare.most_trials, bare.wants_key, bare.claims, bare.asset) == (None, None, True, "key", None)
    assert (full.settings, full.most_trials, full.wants_key, full.asset) == (None, 3, False, "use")
    assert open_attack(bare) is bare and bare.name == "mine"


def run(attacks, folder):
    return suite.run_attacks(AttackConfig("bundled", block=4, trials=1), attacks, folder, keys=1, workers=1)
