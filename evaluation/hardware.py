"""Where a sweep runs: devices, precisions, threads."""

from __future__ import annotations

import multiprocessing
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import joblib
import torch

from wrongkey.errors import BadInput
from wrongkey.evaluation.freed_memory import give_back
from wrongkey.evaluation.memory import free_memory

PRECISIONS = {
    "float64": torch.float64,
    "float32": torch.float32,
    "tf32": torch.float32,  # float32 storage, TensorFloat-32 products on NVIDIA GPUs
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
REDUCED = ("tf32", "bfloat16", "float16")

# Largest difference between the encrypted and the plain model's embeddings that rounding alone explains, relative
# to the largest embedding entry. The first layer's kernels are rounded once more after the key, and the rounding
# then passes through the whole network, so the limits are wide multiples of each precision's epsilon.
TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "tf32": 2e-2, "bfloat16": 2e-1, "float16": 2e-2}

GPU_SHARE = 0.8  # of a GPU's free memory that a pass may take by the tensors it holds
OUT_OF_MEMORY = (  # errors that are no torch.OutOfMemoryError
    "can't allocate memory",  # PyTorch on a CPU
    "could not create a memory object",  # oneDNN
    "CUDA error: out of memory",  # torch.AcceleratorError, of calls beside PyTorch's allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def choose_device(name: str) -> torch.device:
    """``cpu``, ``cuda`` (or ``cuda:1``), or ``auto``: a GPU where there is one. Raises BadInput.

    A worker process takes a GPU of its own (`own_gpu`) where this machine has several and none was named.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(own_gpu(name))
    except RuntimeError:
        raise BadInput(f"The device {name!r} is unknown: choose cpu, cuda or auto.") from None
    if device.type not in ("cpu", "cuda"):
        raise BadInput(f"The device {name!r} is not supported: choose cpu, cuda or auto.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BadInput(f"The device {name!r} was asked for but PyTorch sees no GPU here: use --device cpu or auto.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"The device {name!r} does not exist: PyTorch sees {torch.cuda.device_count()} GPU(s).")
    return device


def own_gpu(device: str) -> str:
    """One GPU for each process where this machine has several and none was named: by the number of the process."""
    if device != "cuda" or torch.cuda.device_count() < 2:
        return device
    number = re.search(r"\d+$", multiprocessing.current_process().name)
    return f"cuda:{int(number[0]) % torch.cuda.device_count()}" if number else device


def choose_precision(name: str) -> torch.dtype:
    """The dtype of a precision's name; ``tf32`` also switches the GPU's products. Raises BadInput."""
    if name not in PRECISIONS:
        raise BadInput(f"The precision {name!r} is unknown: choose one of {', '.join(PRECISIONS)}.")
    # cuDNN takes TF32 for convolutions unless told otherwise: float32 has to mean float32.
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    return PRECISIONS[name]


def choose_workers(workers: int | None, device: torch.device) -> int:
    """Processes of a sweep: given, or one per core on a CPU (each with one thread) and one per GPU."""
    if workers is None:
        if device.type == "cpu":
            return available_cores()
        return 1 if device.index is not None else torch.cuda.device_count()
    if workers < 1:
        raise BadInput(f"--workers must be at least 1, not {workers}.")
    return workers


@dataclass(frozen=True)
class Workers:
    """How many processes ask, and why: what a manifest says."""

    count: int
    why: str


def worthwhile_workers(alone: float, shared: float, most: int) -> Workers:
    """Processes of a sweep on a CPU that nobody named a number for: the most there can be, or this one alone.

    Parameters
    ----------
    alone
        Seconds that this process would take for all keys, with a thread for each core.
    shared
        Seconds that so many processes would take together, from their start on: this one does not compute meanwhile.
    most
        One for each core, or for each key; two at least.
    """
    estimate = f"{_seconds(alone)} of work in one process, {_seconds(shared)} in {most} with their start"
    if shared < alone:
        return Workers(most, f"one per core or key: {estimate}")
    return Workers(1, f"more would take longer: {estimate}")


def _seconds(amount: float) -> str:
    return f"{amount:,.1f} s"


def available_cores() -> int:
    """Cores that this process may use: affinity and container quotas included."""
    return int(joblib.cpu_count())


def threads_each(processes: int) -> int:
    """Threads of each of some processes that share the cores."""
    return max(available_cores() // processes, 1)


@contextmanager
def threads_of_this_process(count: int) -> Iterator[None]:
    """PyTorch's threads in this process inside the block, as where its workers share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let the C library keep what a layer frees for the next layer: up to twice the speed on a CPU.

    glibc returns large blocks to the system at once, and every activation then costs page faults; freeing one block
    just under 32 MB raises its threshold permanently (mallopt(3), M_MMAP_THRESHOLD). Other C libraries are unaffected.
    """
    torch.empty(7_500_000).fill_(0)


def release_unused(device: torch.device) -> None:
    """Give back GPU memory that PyTorch keeps for later, and memory that the C library keeps: others would lack it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    give_back()


def clock(device: torch.device) -> float:
    """Seconds by the clock, once the device has done what it was told: a GPU works on behind the program's back."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def memory_of_a_pass(device: torch.device) -> float:
    """Bytes that a pass may take: most of what is free on a GPU; of this machine's memory an equal part for each core.

    What a pass holds is counted by its tensors (`PeakMemory`): workspaces of libraries and gaps between blocks are not.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return GPU_SHARE * (torch.cuda.mem_get_info(device)[0] + unused)
    return free_memory() / available_cores()


class MemoryRanOut(BadInput):
    """The memory of a device ran out even in the smallest pass: no fault of the model that was asked."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of PyTorch, of a library that it calls, of Python, or of ours says that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError | MemoryRanOut):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in OUT_OF_MEMORY)


def describe_device(device: torch.device) -> str:
    """The name that a manifest keeps: the GPU's, or the number of cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {available_cores()} cores"


def kind_of(described: str) -> str:
    """What of a device's description the rows of a pass depend on: ``cpu`` whatever its cores, or the GPU's name.

    >>> kind_of("cpu, 8 cores"), kind_of("NVIDIA H100")
    ('cpu', 'NVIDIA H100')
    """
    return "cpu" if described.startswith("cpu,") else described


def describe_processor() -> str:
    """The processor's name, and the instructions for which PyTorch chooses its kernels."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux alone has the file
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(errors="replace"), re.MULTILINE)
        name = found[1] if found else name
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
