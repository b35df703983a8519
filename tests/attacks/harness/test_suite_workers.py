"""Trials and workers of attacks that fail: a sentence, and everything else is kept."""

import pytest

from tests import faulty
from tests.narrow import present
from wrongkey.attacks.harness import planned, suite
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.trial import run_trial
from wrongkey.errors import BadInput
from wrongkey.evaluation.processes.failures import SomeFailed

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


def test_a_trial_that_hangs_ends_the_run_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "_in_worker", faulty.hanging_trial)
    with pytest.raises(BadInput, match=r"^Trial 0 of random-keys took longer than --timeout 0\.5 s"):
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
