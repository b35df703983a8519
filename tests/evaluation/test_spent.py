"""How long a key is going to take, by what some of its segments do. The clock counts elements here."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from wrongkey.evaluation import begin, hardware
from wrongkey.evaluation import sweep as sweeping
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.queries import Queries, QueryGroup

CPU = torch.device("cpu")
SHORT = QueryGroup(torch.zeros(200, 10), torch.arange(200))
LONG = QueryGroup(torch.zeros(50, 300), torch.arange(200, 250))
PER_ELEMENT = 0.001  # seconds


class Counted:
    """An experiment whose engine takes some time for every element that it is asked about, and nothing else does."""

    reading = 2.0  # seconds

    def __init__(self, queries: Queries, now: list[float], can_be_mapped: bool = False) -> None:
        self.can_be_mapped = can_be_mapped
        self.device, self.now = CPU, now
        self.engine = self.of(queries)
        self.task = SimpleNamespace(measure=lambda scores: [])

    def of(self, queries: Queries) -> Any:
        def plain(rows: int | None = None) -> None:
            self.now[0] += PER_ELEMENT * queries.elements

        return SimpleNamespace(queries=queries, on=self.of, plain=plain)

    def plain(self) -> torch.Tensor:
        return torch.zeros(1, 250, 4)

    def scores(self, answers: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1, 5)


@pytest.mark.parametrize("groups", [(SHORT,), (SHORT, LONG)])
def test_short_segments_do_not_stand_for_long_ones(groups, monkeypatch):
    now, queries = [0.0], Queries(groups)
    experiment = cast(Experiment, Counted(queries, now))
    monkeypatch.setattr(begin, "clock", lambda device: now[0])
    monkeypatch.setattr(sweeping, "clock", lambda device: now[0])
    monkeypatch.setattr(sweeping, "keys_per_shard", lambda seconds, *of: seconds)
    expected = pytest.approx(PER_ELEMENT * queries.elements)
    assert begin.seconds_per_key(experiment, 1) == expected
    assert sweeping._shard_size(experiment, 1000, 1) == expected


@pytest.mark.parametrize(
    ("keys", "ready", "mapped", "expected"),
    [
        (20, True, False, (1, "more would take longer: 4.0 s of work in one process, 4.5 s in 4 with their start")),
        (20, False, False, (1, "more would take longer: 4.0 s of work in one process, 6.0 s in 4 with their start")),
        (20, True, True, (4, "one per core or key: 4.0 s of work in one process, 2.5 s in 4 with their start")),
        (60, True, False, (4, "one per core or key: 12.0 s of work in one process, 7.5 s in 4 with their start")),
        (2, True, False, (1, "more would take longer: 0.4 s of work in one process, 3.2 s in 2 with their start")),
        (1, True, False, (1, "one core or key")),
    ],
)
def test_processes_are_chosen_by_what_a_key_takes_with_one_thread_and_with_all(
    keys, ready, mapped, expected, monkeypatch
):
    """A key takes 0.3 s with one thread, 0.2 s with two or four; model and speech take 3 s, of which 2 the speech."""
    monkeypatch.setattr(hardware, "available_cores", lambda: 4)
    monkeypatch.setattr(begin, "is_ready", lambda count, threads: ready)
    monkeypatch.setattr(begin, "seconds_per_key", lambda experiment, threads: 0.3 if threads == 1 else 0.2)
    experiment = cast(Experiment, Counted(Queries((SHORT,)), [0.0], mapped))
    assert begin.choose_processes(experiment, keys, None, None, 3.0) == hardware.Workers(*expected)


def test_a_gpu_is_waited_for_before_the_clock_is_read(monkeypatch):
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    hardware.clock(CPU)
    assert not waited
    hardware.clock(torch.device("cuda:1"))
    assert waited == [torch.device("cuda:1")]
