"""How many processes ask, and how much memory a pass may take."""

import pytest
import torch

from wrongkey.evaluation import hardware
from wrongkey.evaluation.hardware import Workers, memory_of_a_pass, worthwhile_workers

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("work", "start", "keys", "count"),
    [
        (1.0, 2.0, 20, 1),  # done before another process answers
        (60.0, 2.0, 1000, 8),
        (60.0, 2.0, 3, 3),  # no more than there are keys
        (60.0, 2.0, 1, 1),
        (2.5, 2.0, 20, 8),  # 2 + 2.5 / 8 < 2.5
        (2.2, 2.0, 20, 1),
        (2.2, 0.1, 20, 8),  # they are there already
    ],
)
def test_more_processes_are_taken_where_they_save_time(work, start, keys, count, monkeypatch):
    monkeypatch.setattr(hardware, "available_cores", lambda: 8)
    found = worthwhile_workers(work, start, keys, CPU)
    assert found.count == count
    assert f"{work:.1f} s of work" in found.why and f"{start:.1f} s until others answer" in found.why
    assert ("more would take longer" in found.why) == (count == 1)


def test_a_gpu_has_a_process_of_its_own():
    assert worthwhile_workers(1.0, 9.0, 20, torch.device("cuda:0")) == Workers(1, "one per GPU")


def test_every_core_has_its_part_of_the_memory(monkeypatch):
    monkeypatch.setattr(hardware, "available_cores", lambda: 1)
    whole = memory_of_a_pass(CPU)
    monkeypatch.setattr(hardware, "available_cores", lambda: 4)
    assert 2**20 < memory_of_a_pass(CPU) < whole / 3
