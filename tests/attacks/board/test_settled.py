"""Which attacks a cell still needs, after those that were run."""

from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from wrongkey.attacks.board.settled import needed, settling
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.results import AttackFolder

LISTENING = frozenset({"ciphertext"})


def folder(successes, failed=0, cases=None, **about):
    """An attack `mine` with one case, in which some trials recovered the key and `failed` ones were ended."""
    rows = pd.DataFrame(
        {
            "given": "5 s",
            "key_error": [0.01 if success else 1.4 for success in successes] + [0.01] * failed,
            "failed": [""] * len(successes) + ["an error"] * failed,
        }
    )
    suite = {"attacks": {"mine": {"needs": ["ciphertext"], "cases": cases or {}, **about}}}
    return cast(AttackFolder, SimpleNamespace(suite=lambda: suite, rows=lambda name: rows))


def test_a_case_that_recovers_most_keys_settles():
    assert settling(folder([True] * 7 + [False] * 3), ["mine"], 10) == {LISTENING}


@pytest.mark.parametrize("successes", [[True] * 9, [True] * 6 + [False] * 4])
def test_few_trials_or_some_failures_settle_nothing(successes):
    assert settling(folder(successes), ["mine"], 10) == set()


def test_an_attack_that_has_fewer_trials_by_the_protocol_settles_with_all_of_them():
    assert settling(folder([True] * 5), ["mine"], 10, {"mine": 5}) == {LISTENING}
    assert settling(folder([True] * 4), ["mine"], 10, {"mine": 5}) == set()
    assert settling(folder([True] * 9), ["mine"], 10, {"mine": 20}) == set()


def test_trials_that_an_exception_ended_settle_nothing():
    assert settling(folder([True] * 9, failed=5), ["mine"], 10) == set()


def test_a_case_has_needs_of_its_own():
    found = settling(folder([True] * 10, cases={"5 s": {"needs": ["known plaintext"]}}), ["mine"], 10)
    assert found == {frozenset({"known plaintext"})}


def test_an_attack_that_wants_no_key_settles_nothing():
    assert settling(folder([True] * 10, wants_key=False), ["mine"], 10) == set()


@pytest.mark.parametrize(
    "name, settled, expected",
    [
        ("linear-prediction", [LISTENING], False),  # whoever can run it has ciphertext
        ("learned-key", [LISTENING], False),  # a provider has ciphertext as well
        ("informed", [frozenset({"encrypted model"})], True),  # an insider with names has no encrypted model
        ("answers-only", [LISTENING], True),  # an unauthorised user has no ciphertext
        ("linear-prediction", [], True),
    ],
)
def test_an_attack_is_needed_while_somebody_who_can_run_it_has_nothing_that_settles(name, settled, expected):
    assert needed(open_attack(name), settled) is expected
