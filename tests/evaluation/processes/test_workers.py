"""Keys, workers and whole processes that fail: a sentence, and everything else is kept."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from tests import faulty
from tests.hanging import NotAtFirst
from wrongkey.errors import BadInput
from wrongkey.evaluation import sweep as sweeping
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.processes import elsewhere, spread, watch, workers
from wrongkey.evaluation.processes import pool as pool_module
from wrongkey.evaluation.processes.dispatch import Call, Refusal, TookTooLong, collect, described, sheltered
from wrongkey.evaluation.processes.failures import SomeFailed
from wrongkey.evaluation.processes.late import HOPELESS, Late
from wrongkey.evaluation.processes.lists import Lists
from wrongkey.evaluation.processes.pool import TITLE, processes
from wrongkey.evaluation.processes.watch import Watch, some_of
from wrongkey.evaluation.processes.workers import Answered, Shard
from wrongkey.evaluation.sweep import sweep
from wrongkey.reports import load_run

KEYS, BAD = 20, {10, 13}
FEW = Path(__file__).parents[2] / "data/two_speakers.txt"


def config(model: str, **settings) -> SweepConfig:
    shared: dict[str, Any] = {"corpus": "bundled", "only": str(FEW), "replicates": 0, "device": "cpu", "keys": KEYS}
    return SweepConfig(model=f"tests.faulty:{model}", **shared | settings)


def scores(folder: Path) -> pd.DataFrame:
    """EERs of incorrect keys, by key."""
    table = pd.concat(pd.read_parquet(file) for file in (folder / "scores").glob("incorrect-*.parquet"))
    return table[table.metric == "eer"].set_index("key_index").value.sort_index()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """What the same network answers where nothing fails."""
    return scores(sweep(config("sound"), tmp_path_factory.mktemp("sound") / "run", workers=1).path)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("raising", r"RuntimeError: an entry is too large"),
        ("silent", "nan|NaN"),
        ("out_of_memory", "Memory of cpu ran out in a pass of one segment"),
    ],
)
def test_a_key_that_fails_loses_no_other(model, said, sound, tmp_path, monkeypatch):
    asked = config(model, keep_outputs=True)
    for _ in range(2):
        with pytest.raises(
            SomeFailed, match=rf"^2 of 20 keys failed; the first was number 10 \(.*({said}).*\)\. The others"
        ) as why:
            sweep(asked, tmp_path / "run", workers=1)
        assert "\n" not in str(why.value)
        found = scores(tmp_path / "run")
        assert set(found.index) == set(range(KEYS)) - BAD
        np.testing.assert_allclose(found, sound.drop(BAD), atol=1e-4)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["ended"] is None
    assert [one["key"] for one in manifest["failed_keys"]] == sorted(BAD)
    assert re.search(rf"^2 incorrect keys have no score, .* \(key 10 first: .*({said})", manifest["cautions"][-1])
    assert manifest["cautions"][-1].endswith("all numbers are of the 18 others")
    assert any("2 incorrect keys have no score" in line for line in load_run(tmp_path / "run").cautions)

    monkeypatch.setattr(faulty, "LIMITS", {0: np.inf})
    sweep(asked, tmp_path / "run", workers=1)
    np.testing.assert_allclose(scores(tmp_path / "run"), sound, atol=1e-4)
    kept = pd.concat(pd.read_parquet(file) for file in (tmp_path / "run/outputs").glob("incorrect-*.parquet"))
    assert sorted(kept.key_index) == list(range(KEYS))
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["ended"] and not manifest["failed_keys"]
    assert not any("no score" in line for line in manifest["cautions"])


def test_shards_lie_around_the_keys_that_fail():
    answered = workers.answer(Experiment(config("raising")), 8, 16)
    assert [(shard.start, shard.stop) for shard in answered.shards] == [(8, 10), (11, 13), (14, 16)]
    assert [row["key_index"] for row in answered.shards[1].rows if row["metric"] == "eer"] == [11, 12]
    assert [failure.number for failure in answered.failures] == [10, 13]


def test_a_sound_shard_is_computed_once(monkeypatch):
    experiment, calls = Experiment(config("sound")), []
    answers = experiment.answers

    def counted(keys):
        calls.append(len(keys))
        return answers(keys)

    monkeypatch.setattr(experiment, "answers", counted)
    workers.answer(experiment, 0, 8)
    assert calls == [8]


def test_where_every_key_fails_the_sweep_stops(tmp_path, monkeypatch):
    tried = []

    def fails(experiment, start, stop):
        tried.append(start)
        raise RuntimeError("no driver")

    monkeypatch.setattr(workers, "_shard", fails)
    monkeypatch.setattr(sweeping, "_shard_size", lambda *asked: 1)
    said = r"The first 8 keys all failed; the first was number 0 \(RuntimeError: no driver\)"
    with pytest.raises(BadInput, match=said):
        sweep(config("sound", keys=12), tmp_path / "run", workers=1)
    assert max(tried) == 7


def test_keys_that_fail_again_do_not_stop_an_extension(tmp_path, monkeypatch):
    shard = workers._shard

    def fails_below_10(experiment, start, stop):
        if start < 10:
            raise RuntimeError("a bad key")
        return shard(experiment, start, stop)

    monkeypatch.setattr(sweeping, "_shard_size", lambda *asked: 1)
    sweep(config("sound", keys=11), tmp_path / "run", workers=1)
    for file in (tmp_path / "run/scores").glob("incorrect-0000000*"):
        file.unlink()
    monkeypatch.setattr(workers, "_shard", fails_below_10)
    with pytest.raises(SomeFailed, match="10 of 12 keys failed"):
        sweep(config("sound", keys=12), tmp_path / "run", workers=1)
    assert set(scores(tmp_path / "run").index) == {10, 11}


def test_what_fails_beside_the_keys_ends_the_sweep_with_a_sentence(tmp_path, monkeypatch):
    def fails(experiment, start, stop):
        raise OSError(5, "the disk went away")

    monkeypatch.setattr(workers, "answer", fails)
    with pytest.raises(BadInput, match=r"^The work stopped \(OSError: .*the disk went away\): what is done is kept"):
        sweep(config("sound"), tmp_path / "run", workers=1)


def test_errors_that_cannot_travel_come_back_from_workers_as_a_sentence(sound, tmp_path):
    said = r"2 of 20 keys failed; the first was number 10 \(Local: an error of its own kind\)"
    with pytest.raises(SomeFailed, match=said):
        sweep(config("unpicklable"), tmp_path / "run", workers=2)
    np.testing.assert_allclose(scores(tmp_path / "run"), sound.drop(BAD), atol=1e-4)


def test_a_model_that_opens_in_the_caller_only_is_a_sentence(tmp_path):
    with pytest.raises(BadInput, match=r"FileNotFoundError.*weights\.pt") as why:
        sweep(config("for_the_caller_only"), tmp_path / "run", workers=2)
    assert "\n" not in str(why.value)


def test_a_worker_that_dies_is_a_sentence_and_the_run_goes_on_from_there(sound, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match=r"A worker was killed \(SIGKILL\(-9\).*\) at key.* what is done is kept"):
        sweep(config("dying"), tmp_path / "run", workers=2)
    assert not children()
    monkeypatch.setattr(faulty, "LIMITS", {0: np.inf})
    sweep(config("dying"), tmp_path / "run", workers=1)
    np.testing.assert_allclose(scores(tmp_path / "run"), sound, atol=1e-4)


@pytest.fixture
def has_not_hung():
    met = faulty.has_hung(os.getpid())
    met.unlink(missing_ok=True)
    yield
    met.unlink(missing_ok=True)


def test_the_shard_of_a_worker_that_hangs_is_given_to_another(sound, tmp_path, has_not_hung):
    """However often the start of a worker takes longer on a busy machine."""
    begin = time.monotonic()
    sweep(config("sound", keys=1), tmp_path / "measured", workers=1)
    timeout = 5 + 5 * (time.monotonic() - begin)
    said: list[str] = []
    sweep(config("hanging_once"), tmp_path / "run", workers=1, timeout=timeout, report=said.append)
    np.testing.assert_allclose(scores(tmp_path / "run"), sound, atol=1e-4)
    assert any(re.search("took longer than --timeout .* s and will be given to another worker", line) for line in said)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["late_shards"] >= 1 and manifest["ended"]


class Seated(Executor):
    """An executor whose calls are done at once, but for shards with one of some keys, which hang.

    Parameters
    ----------
    bad
        The keys.
    """

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.tried, self.killed = bad, list[set[int]](), 0

    def submit(self, function, /, *arguments, **settings):
        start, stop = arguments[-2:]
        keys = set(range(start, stop))
        self.tried.append(keys)
        future: Future[Any] = Future()
        if not keys & self.bad:
            future.set_result(Answered([Shard(start, stop, [], None)]))
        return future

    def release(self, late, in_flight):
        self.killed += 1
        return [future for future in in_flight if not future.done() and future not in late]


def given(executor: Seated, monkeypatch, worked: bool = True, slots: int = 1) -> tuple[list[Answered], Watch]:
    """What is answered to two shards of four keys each by an executor, and who watched."""
    monkeypatch.setattr(spread, "processes", lambda *asked: nullcontext(executor))

    def asked(ask, experiment, identity, calls, count, scheduler, watch, timeout, late):
        return spread.spread(workers.run_shard, calls, count, scheduler, watch, timeout, late=late)

    monkeypatch.setattr(workers, "asked", asked)
    nobody: Any = None
    with Watch("shard", None, str) as watching:
        shards = [(0, 4), (4, 8)]
        return list(workers.answers(nobody, nobody, shards, slots, None, watching, 0.02, worked=worked)), watching


def test_a_model_that_always_hangs_ends_the_run(monkeypatch):
    executor = Seated(set(range(8)))
    with pytest.raises(BadInput, match=r"^Keys 0 … \d took longer than --timeout 0\.02 s: what is done is kept"):
        given(executor, monkeypatch, worked=False)
    assert executor.killed == HOPELESS


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("bad", [set(), {3}, {0, 7}, {4, 5}, set(range(8))])
def test_only_the_keys_under_which_a_model_hangs_are_given_up(bad, slots, monkeypatch):
    """Every other key is answered once, and late keys after those that are not."""
    executor = Seated(bad)
    answered, watching = given(executor, monkeypatch, slots=slots)
    done = [key for one in answered for shard in one.shards for key in range(shard.start, shard.stop)]
    failures = [failure for one in answered for failure in one.failures]
    assert sorted(done) == sorted(set(range(8)) - bad)
    assert sorted(failure.number for failure in failures) == sorted(bad)
    assert {failure.reason for failure in failures} <= {"no answer within --timeout 0.02 s"}
    assert executor.tried[:2] == [{0, 1, 2, 3}, {4, 5, 6, 7}]
    assert watching.late >= 2 * len(bad) and bool(watching.late) == bool(executor.killed)


def test_a_call_whose_answer_is_needed_is_given_to_another_worker_once(monkeypatch):
    executor, found = Seated({1}), []
    monkeypatch.setattr(spread, "processes", lambda *asked: nullcontext(executor))
    calls = [Call(f"chains {start}", (start, start + 2)) for start in (0, 2)]
    with (
        pytest.raises(TookTooLong, match=r"^Chains 0 took longer than --timeout 0\.02 s: what is done is kept"),
        Watch("shard", None, str) as watching,
    ):
        for answer in spread.spread(abs, calls, 1, None, watching, 0.02, late=Late(watching, worked=True)):
            found.append(answer)
    assert executor.tried == [{0, 1}, {2, 3}, {0, 1}] and len(found) == 1


def test_the_questions_of_the_self_checks_are_given_to_another_process(monkeypatch):
    experiment = Experiment(config("sound"))
    monkeypatch.setattr(elsewhere, "processes", lambda *asked: nullcontext(NotAtFirst()))
    found = elsewhere.ask_elsewhere(experiment, [0, 1], workers=1, timeout=0.1, report=None)
    assert found.difference(elsewhere.asked_here(experiment, [0, 1])) < 1e-4


def passes_of(experiment: Experiment) -> tuple[int, int | None]:
    return experiment.engine.batch.rows, experiment.engine.batch.elements


def test_another_process_makes_the_passes_of_this_one(monkeypatch):
    """It has some utterances alone: their segments may be longer than those that the rows were measured with."""
    experiment = Experiment(config("sound"))
    experiment.engine.batch.take(16, 100)
    monkeypatch.setattr(elsewhere, "processes", lambda *asked: nullcontext(NotAtFirst(0)))
    monkeypatch.setattr(elsewhere, "asked_here", lambda there, numbers: passes_of(there))
    asked: Any = elsewhere.ask_elsewhere(experiment, [0, 1], workers=1, timeout=None, report=None)
    assert asked == (16, 100)
    identity = tuple(experiment.identity().items())
    worker = workers._prepare(experiment.config, identity, workers.Batch.of(experiment), Lists(), None)
    assert passes_of(worker) == (16, 100)


def test_processes_are_replaced_where_one_hangs():
    calls = [Call("the first", (3600.0,)), Call("the second", (0.0,))]
    with processes(1, 1) as pool, Watch("call", None, str) as watching:
        first = pool.submit(os.getpid).result(60)
        late = Late(watching, worked=True, given_up=lambda call, reason: reason)
        found = list(collect(pool, time.sleep, calls, 1, watching, timeout=2.0, again=late.again))
        assert pool.submit(os.getpid).result(60) != first
    assert found.count("no answer within --timeout 2 s") >= 1 and len(found) == 2
    assert first not in children()


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_must_be_one(timeout, tmp_path):
    with pytest.raises(BadInput, match="--timeout"):
        sweep(config("raising"), tmp_path / "run", timeout=timeout)


def test_what_takes_long_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "MINUTE", 0.1)
    said: list[str] = []
    sweep(config("slow"), tmp_path / "run", workers=1, report=said.append)
    waited = r"no shard for \d+ minutes; 10 of 20 keys done; busy with keys 10 … 14"
    assert any(re.fullmatch(waited, line) for line in said), said


def test_the_watch_counts_from_the_last_arrival(monkeypatch):
    monkeypatch.setattr(watch, "MINUTE", 0.2)
    said: list[str] = []
    with Watch("trial", said.append, lambda: "1 of 3 trials") as watching:
        watching.busy = ["trial 1", "trial 2"]
        wait_for(lambda: said)
        watching.heard()
        wait_for(lambda: len(said) > 1)
    line = r"no trial for (a minute|\d minutes); 1 of 3 trials done; busy with trial 1 and trial 2"
    assert all(re.fullmatch(line, one) for one in said), said
    assert some_of("abcdefg") == "a, b, c, d and 3 more"


def test_a_call_that_hangs_is_reported_while_others_arrive(monkeypatch):
    moment, said = [0.0], []
    monkeypatch.setattr(watch, "monotonic", lambda: moment[0])
    watching = Watch("shard", None, lambda: "9 of 90 keys")
    watching.busy = ["keys 0 … 8", "keys 9 … 17"]
    for minute in range(1, 7):  # every 30 s another shard arrives from the second worker
        for half in range(2):
            moment[0] += 30.0
            watching.heard()
            watching.busy = ["keys 0 … 8", f"keys {9 * (2 * minute + half)}"]
        said.append(watching._line(moment[0]))
    assert said[0] is None  # twice what the others take
    assert said[1] == "busy with keys 0 … 8 for 2 minutes; 9 of 90 keys done"
    assert said[5] == "busy with keys 0 … 8 for 6 minutes; 9 of 90 keys done"


def test_errors_in_one_line():
    assert described(ValueError("one\n  two\x1b[31m")) == "ValueError: one two\\x1b[31m"
    assert described(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert described(BadInput("Say so.")) == "Say so"
    assert len(described(ValueError("x" * 9999))) < 400
    assert sheltered(int, "7") == 7
    assert sheltered(int, "") == Refusal(
        "The work stopped (ValueError: invalid literal for int() with base 10: ''): what is done is kept, and the same "
        "command continues."
    )
    with pytest.raises(KeyboardInterrupt):
        sheltered(exec, "raise KeyboardInterrupt")


class NeverFirst(Executor):
    """An executor whose first call never ends; the others are done at once."""

    def submit(self, function, /, *arguments, **settings):
        future: Future[Any] = Future()
        if arguments[-1] > 0:
            future.set_result(function(*arguments, **settings))
        return future


def test_what_is_done_is_handed_over_before_a_late_call_ends_the_run():
    calls, found = [Call(f"number {i}", (i,)) for i in range(3)], []
    with pytest.raises(BadInput, match=r"^Number 0 took longer than --timeout 0\.2 s"):
        for answer in collect(NeverFirst(), abs, calls, 2, Watch("shard", None, str), timeout=0.2):
            found.append(answer)
    assert sorted(found) == [1, 2]


def test_a_model_that_ends_its_process_is_a_sentence():
    with (
        processes(1, 1) as pool,
        pytest.raises(BadInput, match=r"^Key 7 got no answer from a worker \(SystemExit: 3\)"),
    ):
        list(collect(pool, exec, [Call("key 7", ("raise SystemExit(3)",))], 1, Watch("shard", None, str)))
    with pytest.raises(BadInput, match=r"A worker ended by itself \(EXIT\(3\)\) at key 7"), processes(1, 1) as pool:
        list(collect(pool, os._exit, [Call("key 7", (3,))], 1, Watch("shard", None, str)))


@pytest.mark.filterwarnings("error")
def test_processes_are_kept_after_good_work_and_killed_after_bad():
    with processes(1, 1) as pool:
        first = pool.submit(os.getpid).result(60)
    with processes(1, 1) as pool:
        assert pool.submit(os.getpid).result(60) == first
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: first not in children())
    with processes(1, 1) as pool:
        second = pool.submit(os.getpid).result(60)
        assert second != first
    with pytest.raises(KeyboardInterrupt), processes(1, 1) as pool:
        calls = [pool.submit(time.sleep, 3600) for _ in range(9)]
        raise KeyboardInterrupt
    assert all(call.exception(60) for call in calls)
    assert second not in children()


def test_a_process_may_need_much_memory_after_its_first_call():
    """As for a corpus, after the few utterances of the self-checks: loky takes that for a leak."""
    with processes(1, 1, keep=False) as pool:
        first = pool.submit(os.getpid).result(60)
        pool.submit(exec, "import builtins, time; builtins.corpus = b'x' * 350_000_000; time.sleep(1.1)").result(60)
        assert pool.submit(os.getpid).result(60) == first


def test_ctrl_c_waits_until_a_process_is_started():
    begun = []
    with pytest.raises(KeyboardInterrupt), pool_module._held_back():
        signal.raise_signal(signal.SIGINT)
        begun.append(True)
    assert begun
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_workers_outlive_the_thread_that_started_them():
    found = []

    def work():
        with processes(1, 1) as pool:
            found.append(pool.submit(os.getpid).result(60))

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        time.sleep(0.3)  # in which the end of the thread would reach them
    assert found[0] == found[1]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at the processes of Linux")
def test_no_process_is_left_of_a_killed_caller_or_after_ctrl_c(tmp_path):
    faults = ["kill-caller", "stubborn", "interrupt"]
    asked = [sys.executable, "-m", "benchmarks.faults", *faults, "--rounds", "1", "--rows", str(tmp_path / "rows.csv")]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[3])
    assert done.stdout.count("| 1 | 1 |") == 3, done.stdout + done.stderr


def children() -> set[int]:
    """Workers of this process that are still there."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if process.name() == TITLE.decode() and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
    return found


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_processes_that_are_not_kept_are_not_taken_again():
    found = []
    for keep in (False, True, True):
        with processes(1, 1, keep) as executor:
            found.append(executor.submit(os.getpid).result())
    assert found[0] != found[1] == found[2]


def test_a_key_that_fails_alone_is_asked_once(monkeypatch):
    experiment, asked = Experiment(config("raising")), []
    shard = workers._shard

    def noted(experiment, start, stop):
        asked.append((start, stop))
        return shard(experiment, start, stop)

    monkeypatch.setattr(workers, "_shard", noted)
    answered = workers.answer(experiment, 10, 11)
    assert asked == [(10, 11)] and not answered.shards and [one.number for one in answered.failures] == [10]
