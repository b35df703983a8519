"""Several GPUs and processes, proven without one: which device a process takes, waits for, and gives memory back on."""

import multiprocessing
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from wrongkey.errors import BadInput
from wrongkey.evaluation.begin import choose_processes
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.engine import BatchSize
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import Workers, choose_device
from wrongkey.evaluation.planning.cost import timed
from wrongkey.evaluation.processes import workers
from wrongkey.evaluation.processes.dispatch import Call
from wrongkey.evaluation.processes.watch import Watch

GPU = torch.device("cuda", 0)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("asked", "process", "taken"),
    [
        ("cuda", "LokyProcess-3", "cuda:1"),
        ("auto", "ForkedProcess-4", "cuda:0"),
        ("cuda:0", "LokyProcess-3", "cuda:0"),
        ("cuda", "MainProcess", "cuda"),
        ("cpu", "LokyProcess-3", "cpu"),
    ],
)
def test_each_process_takes_its_own_gpu(asked, process, taken, two_gpus, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "name", process)
    assert str(choose_device(asked)) == taken


def test_what_a_process_opens_is_on_its_own_gpu(two_gpus, monkeypatch):
    """Whoever makes an experiment: workers of sweeps and self-checks, of `strength`, and trials of attacks."""
    monkeypatch.setattr(multiprocessing.current_process(), "name", "LokyProcess-3")
    taken = []

    def stop(experiment: Experiment) -> None:
        taken.append(str(experiment.device))
        raise BadInput("enough")

    monkeypatch.setattr(Experiment, "_draw_keys", stop)
    with pytest.raises(BadInput, match="enough"):
        Experiment(SweepConfig(model="asv-raw3", corpus="bundled", device="cuda"))
    assert taken == ["cuda:1"]


def test_a_sweep_has_a_process_for_each_gpu(two_gpus):
    experiment = cast(Experiment, SimpleNamespace(device=torch.device("cuda")))  # of whose keys none is timed
    assert choose_processes(experiment, 20, None, None, 9.0) == Workers(2, "one per GPU")


def test_memory_of_a_gpu_is_given_back_before_other_processes_compute(monkeypatch):
    happened: list[str] = []

    def spread(*asked: Any, **settings: Any) -> list[Any]:
        happened.append("computed")
        return []

    engine = SimpleNamespace(batch=BatchSize())
    asked = {"config": SweepConfig(model="none", corpus="none"), "device": GPU, "engine": engine}
    experiment = SimpleNamespace(files_for_others=None, **asked)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: happened.append("given back"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(workers, "spread", spread)
    answers = workers.asked(
        workers.answer, cast(Experiment, experiment), {}, [Call("key 0", (0, 1))], 2, None, cast(Watch, None)
    )
    assert not list(answers) and happened == ["given back", "computed"]


def test_costs_wait_for_the_gpus_that_are_used(two_gpus, monkeypatch):
    """The model may be on the second one; to wait for one that is not used would take memory there."""
    waited: list[int] = []
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda number: 100 * number)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda number=0: waited.append(number))
    timed(lambda: None)
    assert waited == [1, 1]
