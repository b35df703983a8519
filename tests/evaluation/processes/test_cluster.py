"""A Dask scheduler and its workers, each a process of its own: what a sweep finds there, and what it survives."""

import pickle
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests import hanging
from tests.machines import ROOT, Machines, once
from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.evaluation import sweep as sweeping
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.processes.cluster import Cluster
from wrongkey.evaluation.processes.dispatch import Call, collect
from wrongkey.evaluation.processes.late import Late
from wrongkey.evaluation.processes.spread import spread
from wrongkey.evaluation.processes.watch import Watch
from wrongkey.evaluation.run_folder.strength import strength_content
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.evaluation.strength.run import strength
from wrongkey.evaluation.sweep import sweep

pytest.importorskip("distributed")

FEW = ROOT / "tests/data/two_speakers.txt"
KEYS, PER_SHARD = 24, 2
HANGS = 15.0  # seconds, in which a worker is started
TASK_BYTES = 20_000  # of a shard's call: no audio and no weights


def config(model: str = "raw3", **settings) -> SweepConfig:
    shared: dict[str, Any] = {"corpus": "bundled", "only": str(FEW), "replicates": 0, "device": "cpu", "keys": KEYS}
    return SweepConfig(model=f"tests.toys:{model}", **shared | settings)


def scores(folder: Path) -> pd.DataFrame:
    """All rows of incorrect keys, in order."""
    table = pd.concat(pd.read_parquet(file) for file in sorted((folder / "scores").glob("incorrect-*.parquet")))
    return table.sort_values(["metric", "key_index"], ignore_index=True)


@pytest.fixture(scope="module", autouse=True)
def same_passes():
    """One size of shards and passes: keys that are asked together otherwise differ by rounding."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "_shard_size", lambda *asked: PER_SHARD)
        patch.setattr(Experiment, "tune", lambda experiment, segments=None: setattr(experiment.engine.batch, "rows", 4))
        yield


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """A scheduler with one worker."""
    found = Machines(tmp_path_factory.mktemp("cluster"))
    yield found
    found.end()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The scores that another process of this machine finds."""
    return scores(sweep(config(), tmp_path_factory.mktemp("loky") / "run", workers=1, timeout=600.0).path)


def on(machines: Machines, out: Path, asked: SweepConfig, **settings) -> pd.DataFrame:
    return scores(sweep(asked, out, backend="dask", scheduler=machines.address, **settings).path)


def test_a_cluster_finds_the_scores_of_this_machine_and_is_sent_no_speech(machines, undisturbed, tmp_path, monkeypatch):
    sent: list[int] = []
    submit = Cluster.submit

    def measured(self, function, /, *arguments, **settings):
        sent.append(len(pickle.dumps((function, arguments))))
        return submit(self, function, *arguments, **settings)

    monkeypatch.setattr(Cluster, "submit", measured)
    found = on(machines, tmp_path / "run", config())
    pd.testing.assert_frame_equal(found, undisturbed, check_exact=True)
    assert KEYS // PER_SHARD <= len(sent) <= KEYS // PER_SHARD + 2  # those that wait are sent the list of utterances
    assert max(sent) < TASK_BYTES
    speech = sum(group.segments.nbytes for group in Experiment(config()).engine.queries.groups)
    assert speech > 3 * TASK_BYTES  # else the bound would say nothing


def test_the_strength_of_a_key_is_the_same_on_a_cluster(machines, tmp_path):
    asked, how = config("raw10"), StrengthConfig(within=(40.0,), population=64, moves=1, repetitions=1)
    strength(asked, how, tmp_path / "here", workers=1)
    strength(asked, how, tmp_path / "there", backend="dask", scheduler=machines.address)
    here, there = (present(strength_content(tmp_path / name)) for name in ("here", "there"))
    assert here["evaluations"] > 0
    assert {**here, "cpu_seconds": 0.0} == {**there, "cpu_seconds": 0.0}


def test_shards_of_a_killed_worker_go_to_one_that_joins(machines, undisturbed, tmp_path):
    def replaced() -> None:
        machines.kill_worker()
        machines.add()

    found = on(machines, tmp_path / "run", config(), progress=once(6, replaced))
    pd.testing.assert_frame_equal(found, undisturbed, check_exact=True)


@pytest.mark.parametrize("watched", ["--nanny", "--no-nanny"])
def test_a_call_that_hangs_is_given_to_another_worker(watched, tmp_path):
    """A worker with a nanny is started again, and one without leaves the cluster."""
    machines = Machines(tmp_path, watched)
    calls = [Call(f"number {i}", (str(tmp_path / "hung"), i)) for i in range(4)]
    try:
        if watched == "--no-nanny":
            machines.add()
        with Watch("call", None, str) as watching:
            late = Late(watching, worked=True)
            asked = spread(hanging.hangs_once, calls, 1, machines.address, watching, HANGS, late=late)
            assert sorted(asked) == [0, 1, 2, 3]
        assert watching.late == 1 and machines.size() == 1
    finally:
        machines.end()


def test_where_the_last_worker_hangs_the_command_ends(tmp_path):
    machines = Machines(tmp_path)
    calls = [Call(f"number {i}", (str(tmp_path / "hung"), i)) for i in range(4)]
    try:
        with (
            Watch("call", None, str) as watching,
            pytest.raises(BadInput, match=r"^Number 1 took longer than --timeout"),
        ):
            late = Late(watching, worked=True)
            list(spread(hanging.hangs_once, calls, 1, machines.address, watching, HANGS, late=late))
        assert machines.size() == 0
    finally:
        machines.end()


def test_a_worker_with_other_files_is_refused(machines, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, (4, 16_000))
    files = [tmp_path / f"speech/{speaker}/{number}.wav" for speaker in "ab" for number in (1, 2)]
    for file, samples in zip(files, noise, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, samples, 16_000)

    def changed(line: str) -> None:  # what the worker finds is no longer what the caller read
        if "self-checks passed" in line:
            soundfile.write(files[0], noise[0] * 0.5, 16_000)

    asked = config(corpus=str(tmp_path / "speech"), only=None)
    with pytest.raises(BadInput, match=r"^The worker \S+ sees another corpus: give every worker the same files\.$"):
        on(machines, tmp_path / "run", asked, report=changed)


def test_a_scheduler_that_restarts_ends_the_sweep_and_the_same_command_continues(machines, undisturbed, tmp_path):
    lost = r"^The connection to the scheduler was lost at keys \d+ … \d+: what is done is kept, and the same command"
    with pytest.raises(BadInput, match=lost):
        on(machines, tmp_path / "run", config(), progress=once(6, machines.end))
    assert 6 <= len(set(scores(tmp_path / "run").key_index)) < KEYS
    with pytest.raises(BadInput, match="No Dask scheduler answers at"):
        on(machines, tmp_path / "run", config())
    machines.begin()
    pd.testing.assert_frame_equal(on(machines, tmp_path / "run", config()), undisturbed, check_exact=True)


@pytest.mark.parametrize(
    "address", ["", "host", "http://host:8786", "tcp://host", "tcp://ho st:1", "tcp://host:8786/x"]
)
def test_what_is_no_address_is_refused(address, tmp_path):
    with pytest.raises(BadInput, match=r"^--scheduler must be an address such as tcp://host:8786, not '"):
        sweep(config(), tmp_path / "run", backend="dask", scheduler=address)


class Growing(Executor):
    """An executor that computes at once and counts what it holds at a time; its workers come one by one."""

    def __init__(self) -> None:
        self.workers, self.submitted = 0, 0

    def count(self) -> int:
        self.workers += 1
        return self.workers

    def submit(self, function, /, *arguments, **settings):
        self.submitted += 1
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_so_many_calls_wait_for_each_worker_as_are_asked_for(ahead):
    executor, held = Growing(), []
    calls = [Call(f"number {i}", (i,)) for i in range(20)]
    for number, _ in enumerate(collect(executor, abs, calls, 2, Watch("shard", None, str), ahead=ahead), 1):
        held.append(executor.submitted - number + 1)
    assert max(held) == 2 * (1 + ahead)


def test_more_calls_wait_where_more_workers_come():
    executor, held = Growing(), []
    calls = [Call(f"number {i}", (i,)) for i in range(20)]
    for number, _ in enumerate(collect(executor, abs, calls, executor.count, Watch("shard", None, str)), 1):
        held.append(executor.submitted - number + 1)
    assert held[0] == 2 and max(held) > 4
