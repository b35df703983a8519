"""Processes that are forked from one that has imported what they need."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.forkserver import ForkServer
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from threadpoolctl import threadpool_info

from wrongkey.errors import BadInput
from wrongkey.evaluation.processes import forks
from wrongkey.evaluation.processes import pool as pool_module
from wrongkey.evaluation.processes.dispatch import Call, collect
from wrongkey.evaluation.processes.pool import TITLE, Pool, is_ready, processes, started
from wrongkey.evaluation.processes.watch import Watch

pytestmark = pytest.mark.skipif(not pool_module.FORKED, reason="processes are forked on Linux alone")

CALLER = """
import os, sys, threading, time
from wrongkey.evaluation.processes.pool import TITLE, Pool, is_ready, processes, started
print("began", flush=True)
def use():
    with processes(2, 1) as pool:
        first, second = pool.submit(ids, 1.0), pool.submit(ids, 1.0)
        print(*{*first.result(60), *second.result(60)}, flush=True)
        pool.submit(time.sleep, 300)
        time.sleep(300)
from tests.evaluation.processes.test_forks import ids
if sys.argv[1] == "thread":
    threading.Thread(target=use, daemon=True).start()
    time.sleep(300)
else:
    use()
"""


def ids(seconds=0.0):
    time.sleep(seconds)
    return os.getpid(), os.getppid()


def facts():
    return {
        "ids": ids(),
        "threads of the server": len(os.listdir(f"/proc/{os.getppid()}/task")),
        "name": psutil.Process().name(),
        "drawn": float(np.random.random()),  # as an attack may that sets no seed
        "variable": os.environ.get("WRONGKEY_SEEN"),
        "threads": (os.environ["OMP_NUM_THREADS"], torch.get_num_threads(), blas_threads()),
        "imported": "wrongkey.evaluation.experiment" in sys.modules,
    }


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def forked(threads=1):
    """Facts of a new process."""
    with processes(1, threads, keep=False, purpose="facts") as pool:
        return pool.submit(facts).result(60)


def test_processes_are_forked_from_one_that_has_a_single_thread():
    first, second = forked(), forked()
    assert first["ids"][0] != second["ids"][0]
    assert first["ids"][1] == second["ids"][1] not in (os.getpid(), first["ids"][0], second["ids"][0])
    assert first["threads of the server"] == 1  # others would be missing in a fork, with the locks that they hold
    assert psutil.Process(first["ids"][1]).ppid() == os.getpid()
    assert first["imported"] and first["name"] == TITLE.decode()


def test_a_forked_process_is_as_one_that_was_started_anew(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = forked()
    monkeypatch.setenv("WRONGKEY_SEEN", "yes")
    after = forked(3)
    assert (before["variable"], after["variable"]) == (None, "yes")
    assert (before["threads"], after["threads"]) == (("1", 1, {1}), ("3", 3, {3}))
    assert before["drawn"] != after["drawn"]


def test_numbers_of_threads_that_the_user_sets_are_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert forked(4)["threads"] == ("2,1", 2, {3})


@pytest.mark.parametrize("value", ["", "many", "0", "-2"])
def test_numbers_of_threads_that_are_none_stop_nobody(value, monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, value)
    assert forked(2)["threads"][1:] == (2, {2})


def test_signals_are_handled_while_the_first_imports(monkeypatch):
    """Another source, whose import would take longer than anybody waits."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(pool_module, "SOURCE", "tests.evaluation.processes.endless")
    pool = Pool(1, 1)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    handler = signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    begin = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            pool.submit(int)
    finally:
        signal.signal(signal.SIGALRM, handler)
        pool.kill()
    assert time.monotonic() - begin < 30


def test_without_a_place_for_its_socket_each_process_imports_for_itself(monkeypatch, tmp_path):
    forks._forget(pool_module._source())
    monkeypatch.setitem(multiprocessing.current_process().__dict__["_config"], "tempdir", str(tmp_path / ("x" * 100)))
    with processes(1, 1, keep=False, purpose="without a place") as pool:
        assert pool.submit(ids).result(60)[1] == os.getpid()


def test_what_cannot_be_started_stops_no_other_process(monkeypatch):
    with processes(1, 1, keep=False, purpose="one") as pool:
        server = pool.submit(ids).result(60)[1]
        monkeypatch.setattr(ForkServer, "connect_to_new_process", full)
        with pytest.raises(OSError, match="too many"), processes(1, 1, keep=False, purpose="another") as other:
            other.submit(ids)
        assert pool.submit(ids).result(60)[1] == server


def full(server, descriptors):
    raise OSError(errno.EMFILE, "too many open files")


def test_a_fork_of_the_caller_keeps_nothing_alive(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(CALLER.replace("print(*", "os.fork() or time.sleep(60)\n        print(*"))
    assert ends_when_killed(program, "main")


def test_several_start_at_once_where_one_has_imported():
    with started(None):
        assert is_ready(1, 1) and is_ready(7, 2)
        with processes(7, 2) as pool:
            assert pool.submit(int).result(60) == 0


def test_a_server_that_was_killed_is_started_again():
    server = forked()["ids"][1]
    os.kill(server, signal.SIGKILL)
    assert forked()["ids"][1] != server


def test_a_server_that_is_killed_during_a_call_is_named():
    said = "^A worker ended at key 7 with exit code 255, .* the process that workers are forked from was killed"
    with pytest.raises(BadInput, match=said), processes(1, 1) as pool:
        list(collect(pool, kill_server, [Call("key 7", ())], 1, Watch("shard", None, str)))


def kill_server():
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def test_a_server_ends_without_taking_pytorch_apart():
    code = f"import atexit; atexit.register(print, 'apart'); import {pool_module.SOURCE}; print('imported', flush=True)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "imported\n", "")


@pytest.mark.parametrize("thread", ["main", "thread"])
def test_processes_do_not_run_the_program_again_and_end_with_it_though_it_is_killed(tmp_path, thread):
    program = tmp_path / "program.py"  # without ``if __name__ == "__main__"``, as in a notebook
    program.write_text(CALLER)
    assert ends_when_killed(program, thread)


def ends_when_killed(program, thread):
    """Whether server and workers end when the program is killed."""
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    asked = [sys.executable, str(program), thread]
    with subprocess.Popen(asked, env=path, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "began\n"
        there = [int(word) for word in caller.stdout.readline().split()]
        assert len(there) == 3 and all(psutil.pid_exists(one) for one in there)
        caller.kill()
    deadline = time.monotonic() + 30
    while any(map(is_alive, there)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(is_alive, there))


def is_alive(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
