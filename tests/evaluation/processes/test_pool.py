"""Processes that are started before they are needed, and that stay from one sweep to the next."""

import os

import pytest
from joblib import cpu_count

from wrongkey.evaluation.processes import pool as pool_module
from wrongkey.evaluation.processes.pool import is_ready, processes, started


def test_what_is_started_is_taken_and_kept_for_the_next_sweep():
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


def test_what_nobody_took_ends_with_a_sweep_that_fails():
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
