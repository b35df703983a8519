"""How many trials an attack has on a board, and with how much ciphertext."""

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from wrongkey.attacks.base import Case, CompleteAttack
from wrongkey.attacks.board import schedule
from wrongkey.attacks.board.schedule import Schedule, seconds_of, trials_of, worth_less
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.evaluation.run_folder.board_protocol import Attacks

MISS, HIT, HEARD = {"key_error": 1.4, "snr": 0.1}, {"key_error": 0.02, "snr": 34.0}, {"key_error": 0.3, "snr": 24.0}
PLAIN = Case(known_blocks=3)


def asked(**settings: Any) -> Attacks:
    shared: dict[str, Any] = {"names": ["mine"], "seconds": [5.0], "trials": 30, "fewest": 10, "costly_after": 60.0}
    return Attacks(**shared | settings)


def attack(wants_key=True, most_trials=None):
    return cast(CompleteAttack, SimpleNamespace(name="mine", wants_key=wants_key, most_trials=most_trials))


class Folder:
    """Trials as the harness runs them, each of so many CPU seconds; all break, or those with enough ciphertext do."""

    def __init__(self, seconds=1.0, least=0.0, before=0):
        self.seconds, self.least, self.table = seconds, least, pd.DataFrame()
        if before:
            self.run(PLAIN, before)

    def run(self, case, trials):
        amount = float("nan") if case.seconds is None else case.seconds
        outcome = MISS if amount < self.least else HIT
        row = {**outcome, "given": str(case), "given_seconds": amount, "seconds": self.seconds, "failed": ""}
        have = 0 if self.table.empty else int((self.table["given"] == str(case)).sum())
        self.table = pd.concat([self.table, pd.DataFrame([row] * max(trials - have, 0))], ignore_index=True)

    def rows(self, name):
        return self.table


def run(settings: Attacks, cases, folder, of=None):
    """What the schedule asks for, as pairs of seconds and trials, and what was shortened."""
    asking = Schedule(settings)
    found = []
    for group, trials in asking(of or attack(), cases, cast(AttackFolder, folder)):
        for case in group:
            found.append((case.seconds, trials))
            folder.run(case, trials)
    return found, asking.shortened


def test_a_quick_attack_has_all_trials():
    assert run(asked(), [PLAIN], Folder(1.0)) == ([(None, 10), (None, 30)], {})


def test_a_costly_attack_has_the_fewest():
    found, shortened = run(asked(), [PLAIN], Folder(61.0))
    assert found == [(None, 10)]
    assert shortened == {"mine": "mine: 10 of 30 trials, since one takes more than 60 s."}


def test_an_attack_beyond_its_budget_has_one_trial():
    found, shortened = run(asked(budget=600.0), [PLAIN], Folder(61.0))
    assert found == [(None, 1)]
    assert shortened["mine"] == "mine: 1 of 30 trials, since 10 of them would take more than the budget of 600 s."


def test_the_budget_is_that_of_all_cases():
    cases = [PLAIN, Case(known_blocks=4)]
    found, shortened = run(asked(budget=600.0), cases, Folder(15.0))
    assert found == [(None, 1), (None, 1), (None, 10), (None, 10)]
    assert shortened["mine"].startswith("mine: 10 of 30 trials, since 30 of them would take more than the budget")


def test_trials_of_an_earlier_session_are_not_called_missing():
    assert run(asked(), [PLAIN], Folder(61.0, before=30))[1] == {}
    assert run(asked(), [PLAIN], Folder(61.0, before=20))[1]["mine"].startswith("mine: 20 of 30 trials")


def test_a_number_of_its_own():
    assert run(asked(trials_of={"mine": 4}), [PLAIN], Folder())[0] == [(None, 4)]
    assert run(asked(), [PLAIN], Folder(), attack(wants_key=False, most_trials=3))[0] == [(None, 3)]


def test_the_most_ciphertext_comes_first_and_less_where_more_broke_something():
    cases = [Case(seconds=5.0), PLAIN, Case(seconds=75.0), Case(seconds=20.0), Case(seconds=75.0, variant="loud")]
    found, _ = run(asked(trials=10), cases, Folder(least=30.0))
    assert found == [(None, 10), (75.0, 10), (75.0, 10), (20.0, 10)]
    assert {seconds for seconds, _ in run(asked(trials=10), cases, Folder(least=10.0))[0]} == {None, 75.0, 20.0, 5.0}


def test_an_attack_that_does_not_apply_has_no_trials():
    assert run(asked(), [], Folder()) == ([], {})


def folder(*rows, failed=""):
    """Trials with 75 s of ciphertext."""
    table = pd.DataFrame([{**row, "given_seconds": 75.0, "failed": failed} for row in rows])
    return cast(AttackFolder, SimpleNamespace(rows=lambda name: table))


@pytest.mark.parametrize(
    "rows, expected", [([MISS] * 10, False), ([MISS] * 9 + [HIT], True), ([MISS, HEARD], True), ([], False)]
)
def test_less_is_worth_a_try_where_more_broke_something(rows, expected):
    assert worth_less(attack(), folder(*rows), 75.0) is expected


def test_another_amount_says_nothing_of_this_one():
    assert not worth_less(attack(), folder(HIT), 10.0)


def test_a_trial_that_broke_down_broke_no_key():
    assert not worth_less(attack(), folder(HIT, failed="an error"), 75.0)


@pytest.mark.parametrize(
    "why", ["the process of the attack died (BrokenProcessPool)", "The model that mine returned ended its process."]
)
def test_a_trial_whose_process_died_is_no_trial_and_took_no_time(why):
    rows = pd.DataFrame([{"given": case, "seconds": 8.0, "failed": ""} for case in "aab"])
    dead = pd.DataFrame([{"given": case, "seconds": 0.0, "failed": why} for case in "aaabb"])
    of = cast(AttackFolder, SimpleNamespace(rows=lambda name: pd.concat([rows, dead])))
    assert (trials_of(of, "mine"), seconds_of(of, "mine")) == (1, [8.0, 8.0])
    none = cast(AttackFolder, SimpleNamespace(rows=lambda name: dead))
    assert (trials_of(none, "mine"), seconds_of(none, "mine")) == (0, [])


DIED = "the process of the attack died (BrokenProcessPool)"


@pytest.mark.parametrize(
    ("given", "number", "why", "asks"),
    [
        ("75 s", 3, DIED, True),
        ("75 s", 25, DIED, False),  # a trial takes too long for more than the fewest
        ("5 s", 3, DIED, False),  # nothing is broken with more
        ("75 s", 3, f"died again: {DIED}", False),
        ("75 s", 3, "an error", False),
    ],
)
def test_only_a_trial_that_is_asked_for_and_died_once_is_asked_for_again(monkeypatch, given, number, why, asks):
    monkeypatch.setattr(schedule, "open_attack", lambda name: attack())
    rows = [
        {**MISS, "given": f"{amount} s", "given_seconds": float(amount), "trial": trial, "seconds": 61.0, "failed": ""}
        for amount in (75, 5)
        for trial in range(30)
    ]
    table = pd.DataFrame(rows)
    table.loc[(table["given"] == given) & (table["trial"] == number), "failed"] = why
    of = cast(AttackFolder, SimpleNamespace(rows=lambda name: table, suite=lambda: {"attacks": {"mine": {}}}))
    assert Schedule(asked()).asks_again(of) is asks
    assert Schedule(asked(names=["other"])).asks_again(of) is (why == DIED)  # such as random keys


def test_an_attack_without_a_key_has_every_amount():
    assert worth_less(attack(wants_key=False), folder(MISS), 75.0)
