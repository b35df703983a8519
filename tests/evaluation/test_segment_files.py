"""Segments in files that processes map: the same scores, private, and gone afterwards."""

import errno
import gc
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from multiprocessing.util import get_temp_dir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from filelock import FileLock

from tests.narrow import of_type, present
from wrongkey.errors import BadInput
from wrongkey.evaluation import experiment as experiment_module
from wrongkey.evaluation import private_folders, reader
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.finished import is_finished
from wrongkey.evaluation.hardware import threads_of_this_process
from wrongkey.evaluation.memory import bytes_of, free_memory
from wrongkey.evaluation.private_folders import PREFIX
from wrongkey.evaluation.processes import workers
from wrongkey.evaluation.processes.dispatch import Call
from wrongkey.evaluation.processes.watch import Watch
from wrongkey.evaluation.segment_files import SegmentFiles, machine_folder
from wrongkey.evaluation.sweep import sweep

ROOT = Path(__file__).parents[2]
FEW = ROOT / "tests/data/two_speakers.txt"


def config(model: str = "raw3", **settings) -> SweepConfig:
    shared: dict[str, Any] = {"corpus": "bundled", "only": str(FEW), "replicates": 0, "device": "cpu", "keys": 6}
    return SweepConfig(model=f"tests.toys:{model}", **shared | settings)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files that is empty at first."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    get_temp_dir()  # this process keeps its sockets where it had them first: here their path would be too long
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def folders(temporary: Path) -> list[Path]:
    return sorted(temporary.glob(f"{PREFIX}*"))


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "segmented"},
        {"model": "whole_utterances"},
        {"model": "raw3", "precision": "float64"},
        {"model": "raw3", "precision": "bfloat16"},
        {"model": "recurrent", "block": 5},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_mapped_segments_are_those_in_memory(settings, temporary, monkeypatch):
    inside, outside = Experiment(config(**settings)), Experiment(config(**settings, memory="5KB"))
    assert inside.files is None
    folder = present(outside.files).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with monkeypatch.context() as patch:
        patch.setattr(reader, "load_audio", None)  # another process reads no recording
        mapped = Experiment(config(**settings), mapped=str(folder))
    keys = inside.incorrect.batch(0, 2)
    for other in (outside, mapped):
        assert other.seconds == inside.seconds
        assert len(other.engine.queries.groups) == len(inside.engine.queries.groups)
        for one, two in zip(other.engine.queries.groups, inside.engine.queries.groups, strict=True):
            assert torch.equal(one.segments, two.segments) and torch.equal(one.utterance, two.utterance)
            assert one.segments.dtype == two.segments.dtype == inside.dtype
        assert torch.equal(of_type(torch.Tensor, other.answers(keys)), of_type(torch.Tensor, inside.answers(keys)))
    del outside, other
    assert folders(temporary) == []


def test_speech_as_it_was_recorded_does_not_fill_the_memory_either(temporary, monkeypatch):
    inside, outside = (Experiment(config(scheme="rom+flat=15", **more)) for more in ({}, {"memory": "5KB"}))
    written = []
    append = SegmentFiles.append

    def counted(files, part):
        written.append(len(part))
        append(files, part)

    monkeypatch.setattr(SegmentFiles, "append", counted)
    before = folders(temporary)
    assert torch.equal(of_type(torch.Tensor, outside.clean()), of_type(torch.Tensor, inside.clean()))
    assert sum(written) == sum(len(group.segments) for group in outside.engine.queries.groups)
    assert folders(temporary) == before


@pytest.mark.parametrize("goes_before", ["the check", "the lock"])
def test_a_folder_that_goes_is_made_again_for_its_owner_alone(goes_before, temporary, monkeypatch):
    """Between any two steps the process that made it may end."""
    name = f"{PREFIX}that-goes"
    gone: list[str] = []

    def once(step):
        def stepped(*arguments):
            if not gone:
                shutil.rmtree(temporary / name)
                gone.append(name)
            return step(*arguments)

        return stepped

    if goes_before == "the check":
        monkeypatch.setattr(private_folders, "_check_own", once(private_folders._check_own))
    else:
        monkeypatch.setattr(FileLock, "acquire", once(FileLock.acquire))
    before = os.umask(0o022)
    try:
        with machine_folder(name) as folder:
            assert gone and stat.S_IMODE(folder.stat().st_mode) == 0o700
            shutil.rmtree(folder)  # its owner may end while others are inside
            files = SegmentFiles(torch.float32, folder)
            files.append(torch.ones(3, 4))
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def sent_to_workers(experiment, monkeypatch) -> list[Any]:
    """Arguments of a shard for a worker of this machine."""
    sent = []

    def spread(function, calls, *more, **settings):
        sent.extend(calls)
        yield from ()

    monkeypatch.setattr(workers, "spread", spread)
    for _ in range(2):
        list(workers.asked(len, experiment, {}, [Call("a shard", (0, 2))], 2, None, Watch("shard", None, str)))
    assert sent[0].arguments == sent[1].arguments  # what a worker has prepared serves all calls
    return sent[0].arguments


def test_workers_map_what_their_caller_holds_in_its_memory(temporary, monkeypatch):
    experiment = Experiment(config())
    assert experiment.files is None and experiment.reading > 0
    name = next(one for one in sent_to_workers(experiment, monkeypatch) if str(one).startswith(str(temporary)))
    with monkeypatch.context() as patch:
        patch.setattr(reader, "load_audio", None)  # they read no recording
        mapped = Experiment(config(), mapped=name)
    keys = experiment.incorrect.batch(0, 2)
    assert torch.equal(of_type(torch.Tensor, mapped.answers(keys)), of_type(torch.Tensor, experiment.answers(keys)))
    other = experiment.among([0, 1])
    assert experiment.files is None and other.files_for_others is None
    if not (child := os.fork()):  # as a user's program may; its end is not that of the folder
        gc.collect()
        present(experiment.files_for_others)._end()
        os._exit(0)
    os.waitpid(child, 0)
    assert folders(temporary) == [Path(name)]
    del experiment
    assert folders(temporary) == []


def test_queries_are_the_same_for_any_number_of_threads(temporary):
    experiment = Experiment(SweepConfig("asv-raw3", "bundled", only=str(FEW), keys=2, device="cpu"))
    with threads_of_this_process(3):
        again = experiment.cut_again(range(len(experiment.used)))
        other = Experiment(experiment.config)
        assert torch.get_num_threads() == 3
    for queries in (again, other.engine.queries):
        for one, two in zip(queries.groups, experiment.engine.queries.groups, strict=True):
            assert torch.equal(one.segments, two.segments)


@pytest.mark.parametrize("why", ["no folder", "no room", "some of the utterances", "waveforms"])
def test_workers_of_a_caller_that_has_no_files_map_nothing(why, temporary, monkeypatch):
    asked = config(variant="waveform", block=3) if why == "waveforms" else config()
    experiment = Experiment(asked)
    if why == "some of the utterances":
        experiment = experiment.among([0, 1])
    if why == "no room":
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10_000))
    if why == "no folder":
        monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    monkeypatch.setattr(experiment_module, "free_memory", lambda: 0)  # beside the caller's segments
    sent = sent_to_workers(experiment, monkeypatch)
    assert experiment.files_for_others is None and not [one for one in sent if PREFIX in str(one)]
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert Experiment(next(one for one in sent if isinstance(one, SweepConfig))).files is None
    assert folders(temporary) == []
    if why != "waveforms":
        assert Experiment(asked).files is not None  # what the worker would have chosen


def test_workers_of_another_machine_share_what_the_first_one_reads(temporary, monkeypatch):
    name = f"{PREFIX}of-a-caller-elsewhere"
    (temporary / name).mkdir(0o700)
    (temporary / name / "1x4800").write_bytes(b"of a worker that was killed while it wrote")
    first = Experiment(config(), mapped=name)
    assert present(first.files).folder == temporary / name
    with monkeypatch.context() as patch:
        patch.setattr(reader, "load_audio", None)
        second = Experiment(config(), mapped=name)
    assert second.files is None
    keys = first.incorrect.batch(0, 2)
    expected = of_type(torch.Tensor, first.answers(keys))
    assert torch.equal(expected, of_type(torch.Tensor, Experiment(config()).answers(keys)))
    del first
    assert folders(temporary) == []
    assert torch.equal(expected, of_type(torch.Tensor, second.answers(keys)))  # it keeps what it has mapped
    third = Experiment(config(), mapped=name)
    assert torch.equal(expected, of_type(torch.Tensor, third.answers(keys)))
    assert folders(temporary) == [temporary / name]


def test_a_sweep_that_maps_its_segments_finds_the_same_scores(temporary, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Experiment, "tune", lambda experiment, segments=None: setattr(experiment.engine.batch, "rows", 4)
    )
    found = []
    for memory in (None, "0"):
        out = sweep(config(memory=memory), tmp_path / f"run{memory}", workers=1, timeout=600.0).path
        table = pd.concat(pd.read_parquet(file) for file in sorted((out / "scores").glob("incorrect-*.parquet")))
        found.append(table.sort_values(["metric", "key_index"], ignore_index=True))
        assert folders(temporary) == []
    pd.testing.assert_frame_equal(*found, check_exact=True)
    assert is_finished(config(memory="3GB"), tmp_path / "run0")


def test_what_a_killed_process_left_is_removed_by_the_next(temporary):
    kill = f"import os, signal, tempfile, torch; tempfile.tempdir = {str(temporary)!r}\n"
    kill += "from wrongkey.evaluation.segment_files import SegmentFiles\n"
    kill += "files = SegmentFiles(torch.float32); files.append(torch.ones(1, 3)); os.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run([sys.executable, "-c", kill], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL
    (left,) = folders(temporary)
    in_use = SegmentFiles(torch.float32)
    assert left.exists()  # a folder this young may be about to be locked
    for folder in (left, in_use.folder):
        os.utime(folder, (0, 0))
    new = SegmentFiles(torch.float32)
    assert folders(temporary) == sorted([in_use.folder, new.folder])


def test_no_room_for_segments_is_a_sentence(temporary):
    files = SegmentFiles(torch.float32)
    (files.folder / "1x3").symlink_to("/dev/full")
    with pytest.raises(BadInput, match=r"cannot be written \(No space left on device\): make room there, name another"):
        files.append(torch.ones(1, 3))
    temporary.rename(temporary.with_name("elsewhere"))
    with pytest.raises(BadInput, match=r"cannot be written \(No such file or directory\): make room there"):
        SegmentFiles(torch.float32)


@pytest.mark.parametrize(
    ("size", "count"),
    [("0", 0), ("500", 500), ("2GB", 2 * 10**9), ("1.5 kB", 1500), ("2GiB", 2**31), ("3m", 3 * 10**6)],
)
def test_sizes(size, count):
    assert bytes_of(size) == count


@pytest.mark.parametrize("size", ["", "GB", "9" * 400, "-1GB", "2 cows", "1e3", "٣GB", "nan"])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(BadInput, match="--memory must be a size such as 500MB or 2GB"):
        config(memory=size)


@pytest.mark.parametrize(
    "line, folder, names",
    [
        ("0::/job", "", ("memory.max", "memory.current", "inactive_file")),
        ("5:memory:/job", "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")),
    ],
)
def test_free_memory_is_that_of_the_tightest_group(line, folder, names, tmp_path):
    """Of a container, or of a job below it; files that were read do not count as used."""
    own, root = tmp_path / "own", tmp_path / "cgroup"
    limit, used, cached = names
    (root / folder / "job").mkdir(parents=True)
    own.write_text(f"7:cpu:/other\n{line}\n")
    assert free_memory(root, own) > 10**8

    def limited(group, most):
        for name, text in ((limit, most), (used, "30000000\n"), ("memory.stat", f"anon 1\n{cached} 10000000\n")):
            (root / folder / group / name).write_text(text)

    limited("", "80000000\n")
    assert free_memory(root, own) == 6 * 10**7
    limited("job", "40000000\n")
    assert free_memory(root, own) == 2 * 10**7
    limited("job", "max\n")
    assert free_memory(root, own) == 6 * 10**7
    limited("job", "10000000\n")
    assert free_memory(root, own) == 0
    assert free_memory(root, tmp_path / "nothing") > 10**8


def test_where_no_temporary_file_can_be_written_workers_read_for_themselves(monkeypatch):
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    experiment = Experiment(config())
    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert experiment.files_for_others is None


def test_queries_without_a_sample_and_files_that_are_gone(temporary):
    files = SegmentFiles(torch.float32)
    files.append(torch.empty(2, 3, 0))
    assert files.joined((2, 3, 0)).shape == (0, 3, 0)
    files.append(torch.ones(2, 5))
    assert files.joined((2, 5)).shape == (2, 5)
    next(files.folder.glob("2x5")).unlink()
    with pytest.raises(FileNotFoundError):
        files.joined((2, 5))
