"""Processes inside processes, and processes that hold much."""

import multiprocessing
import os
import time

from wrongkey.evaluation.processes.pool import processes

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


def test_a_process_that_holds_what_it_prepared_is_kept():
    with processes(1, 1, keep=False) as pool:
        pool.submit(int).result()  # loky compares with what a process holds after its first call
        assert pool.submit(holds_much).result() == pool.submit(holds_much).result()
