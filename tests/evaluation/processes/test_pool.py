"""Processes that are started early, that stay, that hold much, and that have processes of their own."""

import multiprocessing
import os
import subprocess
import sys
import time
from typing import Any, cast

import pytest
from joblib import cpu_count

from wrongkey.evaluation.processes import pool as pool_module
from wrongkey.evaluation.processes.pool import is_ready, processes, started

MUCH = 350_000_000  # bytes; loky takes 300 MB for a leak


def uses_another():
    """Leave a process idle, which waits five minutes for work."""
    with processes(1, 1, purpose="inner") as pool:
        pool.submit(int).result()


def holds_much(held=[]):  # noqa: B006 - it stays in the process
    held.append(b"x" * MUCH)
    time.sleep(1.1)  # loky looks once a second
    return os.getpid()


def test_a_process_ends_though_it_has_an_idle_one_of_its_own():
    process = multiprocessing.get_context("spawn").Process(target=uses_another)
    process.start()
    process.join(60)
    ended = process.exitcode
    process.kill()
    assert ended == 0


@pytest.mark.parametrize("forked", ["True", "False"])
def test_processes_that_are_killed_with_others_of_their_own_leave_no_warning(forked):
    """Found by benchmarks.faults: Ctrl-C in an attack with two workers told of leaked semaphores."""
    if forked == "True" and sys.platform != "linux":
        pytest.skip("processes are forked on Linux alone")
    code = f"""
from tests.evaluation.processes.test_pool import uses_another
from wrongkey.evaluation.processes import pool
pool.FORKED = {forked}
with pool.processes(1, 1, keep=False) as outer:
    outer.submit(uses_another).result()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_that_holds_what_it_prepared_is_kept():
    with processes(1, 1, keep=False) as pool:
        pool.submit(int).result()  # loky compares with what a process holds after its first call
        assert pool.submit(holds_much).result() == pool.submit(holds_much).result()


def test_what_is_started_is_taken_and_kept_for_the_next_sweep(monkeypatch):
    monkeypatch.setattr(pool_module, "FORKED", False)  # otherwise only what they are forked from is started
    threads = max(int(cpu_count()), 1)
    with started(None):
        assert is_ready(1, threads)
        with processes(1, threads) as pool:
            first = pool.submit(os.getpid).result(120)
        with started(None), processes(1, threads) as pool:
            assert pool.submit(os.getpid).result(120) == first != os.getpid()
            assert not is_ready(1, threads)
    assert is_ready(1, threads)
    assert not is_ready(2, threads)


def test_a_pool_that_is_taken_while_the_user_stops_the_command_is_killed():
    class Stopped:
        killed = 0

        def submit(self, *work):
            raise KeyboardInterrupt

        def kill(self):
            Stopped.killed += 1

    key = ("no", "other")
    pool_module._idle[key] = cast(Any, Stopped())
    with pytest.raises(KeyboardInterrupt):
        pool_module._taken(key)
    assert Stopped.killed == 1 and key not in pool_module._idle


def test_what_nobody_took_ends_with_a_sweep_that_fails(monkeypatch):
    monkeypatch.setattr(pool_module, "FORKED", False)
    threads = max(int(cpu_count()) // 2, 1)
    with pytest.raises(ValueError, match="no such model"), started(2):
        (pool,) = pool_module._idle.values()
        workers = list(pool._loky._processes.values())
        raise ValueError("no such model")
    assert len(workers) == 2
    assert not is_ready(2, threads)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode is not None
