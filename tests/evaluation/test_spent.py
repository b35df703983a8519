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

    def __init__(self, queries: Queries, now: list[float]) -> None:
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
    assert begin._seconds_per_key(experiment) == expected
    assert sweeping._shard_size(experiment, 1000, 1) == expected


def test_a_gpu_is_waited_for_before_the_clock_is_read(monkeypatch):
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    hardware.clock(CPU)
    assert not waited
    hardware.clock(torch.device("cuda:1"))
    assert waited == [torch.device("cuda:1")]
