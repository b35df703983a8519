"""How many processes ask, and how much memory a pass may take."""

from typing import cast

import pytest
import torch

from tests import toys
from wrongkey.errors import BadInput
from wrongkey.evaluation import hardware
from wrongkey.evaluation.hardware import is_out_of_memory, memory_of_a_pass, worthwhile_workers
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.probe import probe

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("alone", "shared", "most", "count"),
    [(1.0, 2.1, 8, 1), (60.0, 9.5, 8, 8), (60.0, 22.0, 3, 3), (60.0, 70.0, 1, 1), (2.5, 2.5, 8, 1)],
)
def test_more_processes_are_taken_where_they_save_time(alone, shared, most, count):
    found = worthwhile_workers(alone, shared, most)
    assert found.count == count
    if most > 1:
        assert f"{alone:.1f} s of work in one process, {shared:.1f} s in {most} with their start" in found.why
        assert ("more would take longer" in found.why) == (count == 1)


def test_every_core_has_its_part_of_the_memory(monkeypatch):
    monkeypatch.setattr(hardware, "available_cores", lambda: 4)
    monkeypatch.setattr(hardware, "free_memory", lambda: 10**8)
    assert memory_of_a_pass(CPU) == 25 * 10**6


def test_a_pass_does_not_fill_a_gpu(monkeypatch):
    """Workspaces of cuDNN are no tensors, and free memory lies in pieces."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (700, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 400)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    assert memory_of_a_pass(torch.device("cuda:1")) == pytest.approx(0.8 * (700 + 400 - 100))


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("could not create a memory object"),
    getattr(torch, "AcceleratorError", RuntimeError)(
        "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"
    ),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
]


@pytest.mark.parametrize("error", [MemoryError("no room"), *OUT_OF_MEMORY])
def test_libraries_say_in_their_own_words_that_memory_ran_out(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("could not create a memory object"), OSError()])
def test_other_errors_do_not_say_it(error):
    assert not is_out_of_memory(error)


def raising(error: Exception):
    def embed(queries):
        raise error

    return embed


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_a_model_is_not_blamed_where_memory_runs_out(error):
    said = r"^Memory ran out while model mine was asked \(.*\): free some"
    with pytest.raises(BadInput, match=said) as why, model_at_fault("mine"):
        raise error
    model = toys.raw3()
    model.embed = raising(error)  # type: ignore[method-assign]
    with pytest.raises(type(error)):  # for model_at_fault
        probe(cast(Model, model), "asv", torch.zeros(1, 3000), "utterance 1", CPU, torch.float32, keyed=False)
    assert "mend" not in str(why.value) and "\n" not in str(why.value)
    with pytest.raises(BadInput, match="Model mine fails"), model_at_fault("mine"):
        raise RuntimeError("a bug")
