"""What the engine does on a device, proven without one: no value is read within the loop, and memory is estimated.

Tensors on ``meta`` have shapes and no values: whoever reads one (`item`, `tolist`, `bool`, `cpu`) gets an error.
"""

import dataclasses
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests import toys
from tests.evaluation.test_engine import SPEECH, engine_of
from tests.narrow import of_type
from wrongkey.evaluation import engine as engine_module
from wrongkey.evaluation.engine import Engine
from wrongkey.evaluation.hardware import memory_of_a_pass
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.pass_memory import PeakMemory
from wrongkey.evaluation.queries import group_queries
from wrongkey.keys import correct_key, draw_keys
from wrongkey.keys.key_cut import KeyCut

META = torch.device("meta")
READING = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default}


class Waits(TorchDispatchMode):
    """Counts what makes a program wait for a device: values that are read, and copies from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.copied = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self.read += func in READING
        before = {one.device for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)}
        after = {one.device for one in tree_leaves(found) if isinstance(one, torch.Tensor)}
        self.copied += (bool(before) and bool(after - before)) or len(before) > 1
        return found


def test_what_waits_is_counted():
    with Waits() as waits:
        x = torch.ones(3)
        _ = bool(x[0] > 0), x.sum().item()
        assert (waits.read, waits.copied) == (2, 0)
        x.to(META)
        assert waits.copied == 1
    with pytest.raises((RuntimeError, NotImplementedError)):
        x.to(META).tolist()


@pytest.mark.parametrize("make", [toys.raw3, toys.segmented, toys.whole_utterances, toys.with_views])
@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_pass_waits_for_the_device(make, kernels, dtype):
    """However many passes there are, as much is copied to the device, and nothing is read from it."""
    keys, waited = draw_keys("rom", 3, 0, 0, 5), []
    engine = engine_of(make(), correct_key("rom", 3, 0), kernels, device=META, dtype=dtype)
    for rows in (1, 64):
        with Waits() as waits:
            answers = of_type(torch.Tensor, engine.answers(keys, rows=rows))
        assert answers.shape[:2] == (5, len(SPEECH)) and answers.device == META
        waited.append((waits.read, waits.copied))
    assert waited[0] == waited[1] <= (1, 2)  # the key is looked at on the CPU, before the first pass


@pytest.mark.parametrize(
    ("name", "ask"), [("asv-raw10", "embed"), ("asr-words", "encode"), ("asc-convmixer", "classify")]
)
def test_no_bundled_model_reads_a_value(name, ask):
    model = open_model(name)
    speech = [model.segments(model.front_end(torch.randn(n))) for n in (16_000, 24_000)]
    block = model.block_size or 2
    blocks = "tiles" if speech[0].ndim == 3 else "samples"
    size = block**2 if blocks == "tiles" else block
    cut = KeyCut(blocks, block)
    engine = Engine.of(
        model,
        ask,
        group_queries(speech, cut, whole=False),
        correct_key("rom", size, 0),
        cut,
        kernels=False,
        device=META,
    )
    answers = of_type(torch.Tensor, engine.answers(draw_keys("rom", size, 0, 0, 2), rows=1))
    assert answers.shape[:2] == (2, 2)


def test_the_memory_of_a_pass_is_what_its_tensors_hold_at_once():
    with PeakMemory() as held:
        x = torch.ones(1000)  # 4000 bytes
        for _ in range(3):
            x = x * 2  # 4000 more until the old ones are gone
        view = x[:10].reshape(2, 5)
    assert view.shape == (2, 5)
    assert held.peak == 8000


@pytest.mark.parametrize("kernels", [True, False])
def test_no_pass_is_tried_that_would_not_fit(kernels, monkeypatch):
    engine, tried = engine_of(toys.raw3(), correct_key("rom", 3, 0), kernels), []
    (group,) = engine.queries.groups
    one, four = engine._peak(group, 1), engine._peak(group, 4)
    assert one < four <= 4 * one
    ask = Engine._ask_some

    def noted(self, group, rows, start):
        tried.append(rows)
        ask(self, group, rows, start)

    monkeypatch.setattr(Engine, "_ask_some", noted)
    monkeypatch.setattr(engine_module, "memory_of_a_pass", lambda device: 2.5 * four)
    monkeypatch.setattr(engine_module, "TUNING_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(engine_module, "PATIENCE", 100)
    rates = engine.tune(largest=1024)
    assert max(tried) == max(rates) <= 8
    assert memory_of_a_pass(torch.device("cpu")) > 0


@pytest.mark.parametrize(("fixed", "each", "largest"), [(0, 2**25, 8), (0, 2**24, 16), (2**27, 2**20, 128)])
def test_a_pass_on_a_cpu_takes_little_of_a_large_memory(fixed, each, largest, monkeypatch):
    """On a busy machine passes of several GB seemed worth trying. What any pass takes tells nothing of larger ones."""
    one = group_queries([torch.randn(1, 1, 3000)], KeyCut("samples", 3), whole=False)
    engine = engine_of(toys.raw3(), correct_key("rom", 3, 0)).on(one)
    monkeypatch.setattr(engine_module, "memory_of_a_pass", lambda device: 2**40)
    monkeypatch.setattr(Engine, "_peak", lambda self, group, rows: fixed + each * rows)
    monkeypatch.setattr(Engine, "_rate", lambda self, group, rows, seconds: float(rows))  # larger is always better
    assert max(engine.tune()) == largest
    engine = dataclasses.replace(engine, device=torch.device("meta"))
    monkeypatch.setattr(Engine, "_clock", lambda self: 0.0)
    assert max(engine.tune()) == 4096


def test_what_was_freed_is_given_back_between_groups(monkeypatch):
    """Speech of many lengths: what oneDNN keeps for each lies between the tensors that passes have freed."""
    looked = []
    monkeypatch.setattr(engine_module.FREED, "bound", lambda: looked.append(True))
    cut = KeyCut("samples", 3)
    speech = [torch.randn(1, 1, samples) for samples in (3000, 3030, 3000, 3300)]
    engine = engine_of(toys.raw3(), correct_key("rom", 3, 0)).on(group_queries(speech, cut, whole=False))
    engine.answers(draw_keys("rom", 3, 0, 0, 2), rows=1)
    assert len(looked) == 3


def test_where_little_is_asked_little_is_measured(monkeypatch):
    engine, spent = engine_of(toys.raw3(), correct_key("rom", 3, 0)), []

    def noted(self, group, rows, seconds):
        spent.append(seconds)
        return 1000.0 / rows

    monkeypatch.setattr(Engine, "_rate", noted)
    for asked in (None, 10, 20_000, 10**9):
        engine.tune(asked=asked)
    shortest, longest = engine_module.TUNING_SECONDS
    assert spent == [*[longest] * 3, *[shortest] * 3, shortest, 0.1, 0.1, shortest, longest, longest]


def test_rates_that_cannot_be_told_apart_do_not_end_the_tuning(monkeypatch):
    """A recogniser's rates rise slowly: two measurements a little below the best one are noise."""
    rates = {1: 100.0, 2: 97.0, 4: 96.0, 8: 120.0, 16: 113.0, 32: 118.0, 64: 90.0, 128: 150.0}
    engine = engine_of(toys.raw3(), correct_key("rom", 3, 0))
    monkeypatch.setattr(Engine, "_peak", lambda self, group, rows: 0)
    monkeypatch.setattr(Engine, "_rate", lambda self, group, rows, seconds: rates[rows])
    assert max(engine.tune(largest=128)) == 64 and engine.batch.rows == 8  # 16 and 64 are slower than 8


def test_on_a_cpu_tuning_takes_no_more_than_its_share_of_a_short_sweep(monkeypatch):
    """A size takes a second here; rates rise, so that larger sizes are always promising."""
    engine, sizes, clock = engine_of(toys.raw3(), correct_key("rom", 3, 0)), [], iter(range(10**6))
    monkeypatch.setattr(Engine, "_clock", lambda self: float(next(clock)) / 3)
    monkeypatch.setattr(Engine, "_peak", lambda self, group, rows: 0)
    monkeypatch.setattr(engine_module, "LONG_PASS", 10.0)

    def noted(self, group, rows, seconds):
        sizes.append(rows)
        return float(rows)

    monkeypatch.setattr(Engine, "_rate", noted)
    tried = {}
    for asked in (None, 1, 640, 10**6):
        sizes.clear()
        engine.tune(largest=256, asked=asked)
        tried[asked] = max(sizes)
    assert tried == {None: 256, 1: 8, 640: 16, 10**6: 256}
