"""Trials and workers of attacks that fail: a sentence, and everything else is kept."""

import re
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import pytest

from tests import faulty
from tests.attacks.harness.dawdling import Dawdling
from tests.narrow import present
from wrongkey.attacks.harness import planned, suite
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.trial import Attempt, run_trial
from wrongkey.errors import BadInput
from wrongkey.evaluation.processes import spread
from wrongkey.evaluation.processes.failures import SomeFailed
from wrongkey.evaluation.processes.late import HOPELESS
from wrongkey.reports.attacks.rows import load_attacks

NAME = "known-plaintext"  # quick


def run(folder, workers=1, trials=3, **settings):
    config = AttackConfig("bundled", block=4, trials=trials, seed=3, seconds=(1.0,))
    return suite.run_attacks(config, [NAME], folder, keys=4, workers=workers, **settings)


@pytest.fixture(autouse=True)
def one_case(monkeypatch):
    cases = planned.cases
    monkeypatch.setattr(planned, "cases", lambda attack, target: cases(attack, target)[:1])


def trials(folder) -> list[int]:
    rows = AttackFolder(folder).rows(NAME)
    return [] if rows.empty else sorted(rows["trial"])


def test_a_trial_that_fails_loses_no_other(tmp_path, monkeypatch):
    whole = run_trial

    def fails(target, salt, attempt, threads):
        if attempt.attack.name == NAME and attempt.number == 1:
            raise RuntimeError("the model gave up")
        return whole(target, salt, attempt, threads)

    monkeypatch.setattr(suite, "run_trial", fails)
    said = rf"^1 of 7 trials failed: trial 1 of {NAME}, .*\(RuntimeError: the model gave up\)\. The others are kept"
    with pytest.raises(SomeFailed, match=said):
        run(tmp_path)
    assert trials(tmp_path) == [0, 2]
    assert present(AttackFolder(tmp_path).suite())["ended"] is None

    monkeypatch.setattr(suite, "run_trial", whole)
    run(tmp_path)
    assert trials(tmp_path) == [0, 1, 2]
    assert present(AttackFolder(tmp_path).suite())["ended"]


def test_where_every_trial_fails_the_suite_stops(tmp_path, monkeypatch):
    tried = []

    def fails(target, salt, attempt, threads):
        tried.append(attempt.number)
        raise MemoryError

    monkeypatch.setattr(suite, "run_trial", fails)
    said = r"The first 8 trials all failed; the first was trial 0 of random-keys \(MemoryError\)"
    with pytest.raises(BadInput, match=said):
        run(tmp_path, trials=12)
    assert len(tried) == 8


def test_two_workers_give_the_rows_of_one(tmp_path):
    one = run(tmp_path / "1").rows(NAME)
    two = run(tmp_path / "2", workers=2, salt=tmp_path / "1/attacks/salt.json").rows(NAME)
    assert list(one["key_error"]) == list(two.sort_values("trial")["key_error"])


def test_a_worker_that_dies_is_a_sentence(tmp_path, monkeypatch):
    run(tmp_path, trials=1)
    monkeypatch.setattr(suite, "_in_worker", faulty.dying_trial)
    with pytest.raises(BadInput, match=rf"^A worker was killed \(SIGKILL.*\) at trial \d of {NAME}, .*what is done is"):
        run(tmp_path, workers=2)
    assert trials(tmp_path) == [0]


class Seated(Executor):
    """An executor that computes at once, and never what hangs, as long as that is said to.

    Parameters
    ----------
    hangs
        Whether a trial hangs, which it is asked each time.
    """

    def __init__(self, hangs: Callable[[Attempt], bool]) -> None:
        self.hangs, self.released = hangs, 0

    def submit(self, function, /, *arguments, **settings):
        future: Future[Any] = Future()
        if not self.hangs(arguments[3]):
            future.set_result(function(*arguments))
        return future

    def release(self, late, in_flight):
        self.released += 1
        return [future for future in in_flight if not future.done() and future not in late]


@pytest.fixture
def seated(monkeypatch):
    """Trials of the attack in this process; those hang whose numbers are here, and so often."""
    hanging: dict[int, int] = {}

    def hangs(attempt: Attempt) -> bool:
        if attempt.attack.name != NAME or not hanging.get(attempt.number):
            return False
        hanging[attempt.number] -= 1
        return True

    @contextmanager
    def processes(*asked):
        yield Seated(hangs)

    monkeypatch.setattr(spread, "processes", processes)
    return hanging


def late(folder) -> tuple[int, list[tuple[int, str]]]:
    """How many trials were late, and the numbers of those that have no row, with the reason."""
    suite = present(AttackFolder(folder).suite())
    return suite["late_trials"], [(one["trial"], one["reason"]) for one in suite["failed_trials"]]


def test_a_trial_that_hangs_once_is_given_to_another_worker(tmp_path, seated):
    whole = run(tmp_path / "whole").rows(NAME)
    said: list[str] = []
    seated[1] = 1
    run(tmp_path / "run", timeout=0.1, salt=tmp_path / "whole/attacks/salt.json", report=said.append)
    rows = AttackFolder(tmp_path / "run").rows(NAME)
    assert list(rows.sort_values("trial")["key_error"]) == list(whole["key_error"])
    assert late(tmp_path / "run") == (1, [])
    assert any(
        re.search(r"^Trial 1 of .* took longer .* 0\.1 s and will be given to another worker$", line) for line in said
    )
    assert present(AttackFolder(tmp_path / "run").suite())["ended"]


def test_a_trial_that_hangs_again_is_left_out_and_named(tmp_path, seated):
    seated[1] = 2
    why = "no answer within --timeout 0.1 s"
    with pytest.raises(
        SomeFailed, match=rf"^1 of 7 trials failed: trial 1 of {NAME}, .* \({why}\)\. The others are kept"
    ):
        run(tmp_path, timeout=0.1)
    assert trials(tmp_path) == [0, 2]
    assert late(tmp_path) == (2, [(1, why)])
    assert present(AttackFolder(tmp_path).suite())["ended"] is None
    (caution,) = [line for line in present(load_attacks(tmp_path)).cautions if "no result" in line]
    assert caution.startswith("1 trial has no result") and f"{NAME}, trial 1 first: {why}" in caution

    run(tmp_path, timeout=0.1)  # which tries it again
    assert trials(tmp_path) == [0, 1, 2]
    assert late(tmp_path) == (2, [])
    assert not any("no result" in line for line in present(load_attacks(tmp_path)).cautions)


def test_an_attack_that_always_hangs_keeps_no_other_from_running(tmp_path, seated):
    seated.update(dict.fromkeys(range(5), 9))
    other = Dawdling(run_seed=3, seconds=0.0, log=tmp_path / "log.txt")
    config = AttackConfig("bundled", block=4, trials=5, seed=3, seconds=(1.0,))
    with pytest.raises(
        SomeFailed, match=r"^5 of \d+ trials failed; the first was trial 0 of .* \(no trial was done within"
    ):
        suite.run_attacks(config, [NAME, other], tmp_path, keys=4, workers=1, timeout=0.1)
    assert trials(tmp_path) == []
    assert len(AttackFolder(tmp_path).rows(other.name)) == 5
    assert late(tmp_path)[0] == HOPELESS


def test_what_failed_is_not_tried_again_by_the_same_command(tmp_path, seated):
    """Where the schedule asks for a case a second time."""
    seated[1] = 2

    def twice(attack, cases, folder):
        yield cases, 2
        yield cases, 3

    with pytest.raises(SomeFailed, match=rf"^1 of \d+ trials failed: trial 1 of {NAME}"):
        run(tmp_path, timeout=0.1, schedule=twice)
    assert trials(tmp_path) == [0, 2]


def test_where_every_trial_hangs_the_run_ends_in_time(tmp_path, monkeypatch):
    """In processes that are killed, and replaced by others."""
    monkeypatch.setattr(suite, "_in_worker", faulty.hanging_trial)
    with pytest.raises(BadInput, match=r"^Trial \d of random-keys took longer than --timeout 0\.5 s"):
        run(tmp_path, workers=1, timeout=0.5)


def test_guesses_that_fail_keep_no_other_attack_from_running(tmp_path, monkeypatch):
    def fails(*asked):
        raise SomeFailed("1 of 8 keys failed")

    monkeypatch.setattr(Guessing, "sweep", fails)
    config = AttackConfig("bundled", model="tests.toys:raw3", per_speaker=2, trials=1)
    with pytest.raises(SomeFailed, match="1 of 8 keys failed"):
        suite.run_attacks(config, [NAME], tmp_path, keys=8, workers=1)
    assert trials(tmp_path) == [0]
    assert AttackFolder(tmp_path).rows(Guessing.name).empty
