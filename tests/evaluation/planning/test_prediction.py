"""From measured parts to a whole sweep."""

from dataclasses import replace
from pathlib import Path

import pytest

from wrongkey.evaluation.planning.calibration import Calibration, Memory
from wrongkey.evaluation.planning.cost import Cost
from wrongkey.evaluation.planning.disk import Disk
from wrongkey.evaluation.planning.plan import Plan
from wrongkey.evaluation.planning.prediction import predict
from wrongkey.plan_summary import NO_GPU, sentences

SECOND = Cost(1.0, 0.5)
MEASURED = Calibration(
    start=2 * SECOND, prepare=3 * SECOND, again=2 * SECOND, begin=5 * SECOND, key=0.1 * SECOND,
    shard=0.01 * SECOND, end=SECOND,
    memory=Memory(main=1_000, other=500, speech_here=100, speech=700, key=10, keys_here=2, source=30),
    disk=Disk(fixed=5_000, shard=100, key=7, key_cost=Cost(), shard_cost=Cost(), end_cost=Cost()),
    total=800, measured=10, utterances=70, seconds=60.0, summary="70 utterances", device="cpu",
)  # fmt: skip


def test_one_process_asks_one_key_after_the_other():
    plan = predict(MEASURED, missing=800, workers=1)
    assert plan.shards == 8  # some ten seconds each
    assert plan.total.clock == pytest.approx(2 + 3 + 5 + 800 * 0.1 + 8 * 0.01 + 1)
    assert plan.total.cpu == pytest.approx((plan.total.clock + 2) / 2)  # another process starts at the same time
    assert plan.disk == 5_000 + 8 * 100 + 800 * 7


def test_a_worker_that_is_started_late_is_waited_for():
    early, late = (predict(MEASURED, 800, 2, early, forked=False).time["start"] for early in (True, False))
    assert (early.clock, late.clock) == (2.0, 4.0)
    # and one was started for nothing, before their number was known
    assert late.cpu == pytest.approx(early.cpu * 4 / 3)


@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("early", [True, False])
def test_one_process_imports_for_all_that_are_forked_from_it(workers, early):
    assert predict(MEASURED, 800, workers, early, forked=True).time["start"] == Cost(2.0, 2 * 1.0)


def test_only_missing_keys_are_counted():
    whole, half = (predict(MEASURED, missing, workers=1) for missing in (800, 400))
    assert half.time["keys"].clock == pytest.approx(whole.time["keys"].clock / 2)
    assert half.time["check"] == whole.time["check"]


def test_two_processes_halve_the_keys_and_prepare_twice():
    one, two = (predict(MEASURED, 800, workers, forked=False) for workers in (1, 2))
    assert two.time["keys"].clock == pytest.approx(one.time["keys"].clock / 2 + 2)
    assert two.time["keys"].cpu == pytest.approx(one.time["keys"].cpu + 2 * 1)
    assert two.time["start"].cpu == pytest.approx(1.5 * one.time["start"].cpu)


def bytes_of(main, worker, total):
    return {"main": main, "worker": worker, "source": 30, "total": total}


def test_memory_grows_with_the_speech_and_with_the_keys_of_a_shard():
    assert predict(MEASURED, 800, 1).memory == bytes_of(1_000 + 600 + 98 * 10, 500, 3_110)
    assert predict(MEASURED, 800, 2).memory == bytes_of(1_600, 500 + 700 + 1_000, 6_030)


def test_queries_in_a_file_count_once():
    filed = replace(MEASURED, memory=replace(MEASURED.memory, in_each=300.0))
    assert predict(filed, 800, 1).memory == bytes_of(1_000 + 200 + 98 * 10, 500, 2_710 + 700)
    assert predict(filed, 800, 2).memory == bytes_of(1_200, 500 + 1_000, 4_230 + 700)
    held = replace(MEASURED, memory=replace(MEASURED.memory, in_each=700.0))
    assert predict(held, 800, 2).memory == predict(MEASURED, 800, 2).memory
    shared = replace(MEASURED, memory=replace(MEASURED.memory, shared=True))
    assert predict(shared, 800, 1).memory == predict(MEASURED, 800, 1).memory
    assert predict(shared, 800, 2).memory == bytes_of(1_600, 500 + 1_000, 1_600 + 2 * 1_500 + 30 + 700)


def test_a_lower_precision_holds_the_speech_in_float32_until_it_has_been_compared():
    reduced = replace(MEASURED, memory=replace(MEASURED.memory, float32_here=200, float32=1_400))
    assert predict(reduced, 800, 2).memory["main"] == 1_600 + 1_200
    assert predict(reduced, 800, 1).memory["main"] == 1_600 + 1_200  # more than the keys of a shard, which come later
    less = replace(reduced, memory=replace(reduced.memory, float32=900))
    assert predict(less, 800, 1).memory == predict(MEASURED, 800, 1).memory
    filed = replace(reduced, memory=replace(reduced.memory, in_each=500.0))
    assert predict(filed, 800, 2).memory["main"] == 1_000 + 400 + 300


def test_a_system_that_tells_no_sizes_has_no_prediction_of_memory():
    silent = replace(MEASURED, memory=replace(MEASURED.memory, main=None))
    assert predict(silent, 800, 1).memory["total"] is None


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_plan_for_a_gpu_says_that_its_memory_is_not_predicted(device):
    measured = replace(MEASURED, device=device)
    plan = Plan(Path("run"), 0, measured, predict(measured, 800, 1), Cost())
    assert (NO_GPU in sentences(plan)) == (device == "cuda")
