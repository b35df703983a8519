"""A sweep that is interrupted at each of its writes in turn has the scores of one that was left alone."""

import errno
import json
import os
import time
from pathlib import Path

import pandas as pd
import pytest

from wrongkey.errors import BadInput
from wrongkey.evaluation import sweep as sweeping
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.finished import is_finished
from wrongkey.evaluation.run_folder import manifest as manifests
from wrongkey.evaluation.sweep import sweep
from wrongkey.reports import load_run
from wrongkey.stops import Stopped

FEW = Path(__file__).parents[1] / "data/two_speakers.txt"
CONFIG = SweepConfig(
    model="tests.toys:raw3", corpus="bundled", only=str(FEW), replicates=0, device="cpu", keys=8, keep_outputs=True
)


@pytest.fixture(scope="module")
def experiment():
    return Experiment(CONFIG)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(sweeping, "_shard_size", lambda *asked: 2)


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {
        kind: pd.concat([pd.read_parquet(file) for file in sorted((folder / kind).glob("*.parquet"))])
        for kind in ("scores", "outputs")
    }


@pytest.fixture(scope="module")
def undisturbed(experiment, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "_shard_size", lambda *asked: 2)
        return tables(sweep(CONFIG, tmp_path_factory.mktemp("alone") / "run", workers=1, prepared=experiment).path)


class Interrupted:
    """`os.replace`, which fails at one write into a folder, counted from the last `after`."""

    def __init__(self, error: BaseException, folder: Path) -> None:
        self.error, self.folder, self.replace, self.left = error, folder, os.replace, 0

    def after(self, writes: int) -> None:
        self.left = writes

    def __call__(self, source: Path, target: Path) -> None:
        if self.folder in Path(target).parents:
            self.left -= 1
            if self.left == 0:
                raise self.error
        self.replace(source, target)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Stopped(15)])
def test_interrupted_at_each_write(error, experiment, undisturbed, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    interrupted = Interrupted(error, folder)
    monkeypatch.setattr("os.replace", interrupted)
    for write in range(1, 100):
        interrupted.after(write)
        try:
            sweep(CONFIG, folder, workers=1, prepared=experiment)
        except (BadInput, Stopped) as why:
            assert "No space left on device" in str(why) or why is error
        else:
            break
        assert not list(folder.rglob(".*"))  # neither a part nor the lock
    assert write > 8, "it was interrupted at the beginning alone"
    for kind, table in tables(folder).items():
        pd.testing.assert_frame_equal(table, undisturbed[kind])
    assert load_run(folder).state == "complete"


def test_a_clock_that_is_set_back_changes_nothing(experiment, undisturbed, tmp_path, monkeypatch):
    hours = iter(range(23, 0, -1))
    backwards = lambda: f"2026-01-01T{next(hours):02}:00:00+00:00"  # noqa: E731
    monkeypatch.setattr(manifests, "now", backwards)
    monkeypatch.setattr(sweeping, "now", backwards)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    folder = sweep(CONFIG, tmp_path / "run", workers=1, prepared=experiment).path
    found = json.loads((folder / "manifest.json").read_text())
    assert found["ended"] < found["started"] and found["seconds"] > 0
    for kind, table in tables(folder).items():
        pd.testing.assert_frame_equal(table, undisturbed[kind])
    assert is_finished(CONFIG, folder) and load_run(folder).state == "complete"
