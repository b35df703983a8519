"""Many small score files become few: nothing is lost, counted twice, or taken unseen, however a compaction ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.evaluation.run_folder.test_folder import ROOT, begun, continued, rows
from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.evaluation.rerun.compare import compare_runs
from wrongkey.evaluation.run_folder import compaction, groups
from wrongkey.evaluation.run_folder.compaction import compact, shard_files
from wrongkey.evaluation.run_folder.folder import RunFolder, shard_name
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.run_folder.tables import Seal, read_seal, table_files

SHARDS = [(start, start + 3) for start in range(0, 60, 3)]
KEYS = 60


def written(place: Path, shards: list[tuple[int, int]] = SHARDS) -> RunFolder:
    run = begun(place, keys=KEYS)
    for start, stop in shards:
        run.write_scores(shard_name(start, stop), rows(start, stop))
    return run


def sealed(path: Path) -> Seal:
    return present(read_seal(path))


def merged(run: RunFolder) -> list[Path]:
    return compact(run.path, read_manifest(run.path))


def values(run: RunFolder) -> dict[tuple[str, str, int], float]:
    found, _ = read_scores(run.path, read_manifest(run.path))
    names = zip(found["condition"], found["metric"], found["key_index"], strict=True)
    together = dict(zip(names, found["value"], strict=True))
    assert len(together) == len(found)  # no key twice
    return together


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Twenty shards of three keys; groups of some four shards."""
    monkeypatch.setattr(groups, "GROUP_ROWS", 24)
    monkeypatch.setattr(compaction, "GROUP_ROWS", 24)
    return written(tmp_path / "run")


def test_one_file_holds_what_all_held(run):
    before, seals = values(run), {sealed(path).mark for path in shard_files(run.path)}
    (path,) = merged(run)
    assert shard_files(run.path) == [path] and path.stem == shard_name(0, KEYS)
    assert values(run) == before
    assert run.shards() == SHARDS and run.keys_done() == set(range(KEYS)) == run.keys_named()
    seal = sealed(path)
    assert {mark for group in seal.groups for *_, mark in group.shards} == seals
    assert pq.ParquetFile(path).num_row_groups == len(seal.groups) == 5
    assert pd.read_parquet(path)["metric"].isin(["eer", "min_dcf"]).all()  # as any Parquet file


def test_compacted_files_are_merged_with_later_shards(tmp_path):
    run = written(tmp_path / "run", SHARDS[:8])
    merged(run)
    for start, stop in SHARDS[8:]:
        run.write_scores(shard_name(start, stop), rows(start, stop))
    merged(run)
    assert len(shard_files(run.path)) == 1 and run.shards() == SHARDS
    assert values(run) == values(written(tmp_path / "whole"))


def test_full_files_are_left_alone(run, monkeypatch):
    monkeypatch.setattr(compaction, "FILE_ROWS", 36)  # six shards
    before = values(run)
    assert len(merged(run)) == 4
    names = [path.name for path in shard_files(run.path)]
    assert [sealed(path).rows for path in shard_files(run.path)] == [36, 36, 36, 12]
    assert merged(run) == [] and [path.name for path in shard_files(run.path)] == names
    assert values(run) == before


def test_keys_that_failed_leave_gaps_that_are_asked_again(tmp_path):
    run = written(tmp_path / "run", [shard for shard in SHARDS if shard != (30, 33)])
    merged(run)
    again = continued(run)
    assert again.missing(KEYS, 10) == [(30, 33)] and again.claimed == again.keys_done()
    again.write_scores(shard_name(30, 33), rows(30, 33))
    assert continued(run).missing(KEYS, 10) == []
    merged(again)
    assert len(shard_files(run.path)) == 1 and values(run) == values(written(tmp_path / "whole"))


@pytest.mark.parametrize("removed", [0, 1, 7, 19])
def test_sources_that_a_killed_compaction_left_are_passed_over_and_removed(run, tmp_path, removed):
    before = values(run)
    copies = shutil.copytree(run.path / "scores", tmp_path / "copies")
    (path,) = merged(run)
    for name in sorted(copies.glob("incorrect-*"))[removed:]:
        shutil.copy(name, run.path / "scores")
    assert values(run) == before and run.shards() == SHARDS
    again = continued(run)
    assert again.damaged == [] and again.missing(KEYS, 10) == [] and shard_files(run.path) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
from wrongkey.evaluation.run_folder import compaction
from wrongkey.evaluation.run_folder.schema import read_manifest
folder, steps = Path(sys.argv[1]), int(sys.argv[2])
def counted(before):
    def call(*arguments, **names):
        global steps
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*arguments, **names)
    return call
os.replace, os.fsync, os.unlink = map(counted, (os.replace, os.fsync, os.unlink))
compaction.coded = counted(compaction.coded)
compaction.compact(folder, read_manifest(folder))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("steps", [0, 10, 20, 21, 22, 23, 30, 41])
def test_a_compaction_that_is_killed_loses_nothing_and_counts_nothing_twice(tmp_path, steps):
    """At each of its stages: reading the sources, before and after the new name, while sources are removed."""
    run = written(tmp_path / "run")
    before = values(run)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(run.path), str(steps)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert values(run) == before
    with run.locked():
        again = continued(run)
        assert again.damaged == [] and again.missing(KEYS, 10) == [] and again.shards() == SHARDS
        merged(again)
    assert len(shard_files(run.path)) == 1 and values(run) == before
    assert not list(run.path.rglob(".*.part"))


def flipped(path: Path, group: int) -> None:
    """One bit of the scores of a row group."""
    column = pq.ParquetFile(path).metadata.row_group(group).column(10)
    assert column.path_in_schema == "value"
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("group", [0, 2, 4])
def test_a_flipped_bit_costs_the_keys_of_its_group_alone(run, group):
    before = values(run)
    (path,) = merged(run)
    lost = [shard[:2] for shard in sealed(path).groups[group].shards]
    flipped(path, group)
    with pytest.raises(BadInput, match="is broken"):
        values(run)
    again = continued(run)
    assert len(again.damaged) == 1 and "in part" in again.damaged[0]
    assert again.missing(KEYS, 3) == lost and again.claimed == again.keys_done()
    assert (path.parent / f"{path.name}.damaged").exists()
    for start, stop in lost:
        again.write_scores(shard_name(start, stop), rows(start, stop))
    assert continued(run).damaged == [] and values(run) == before


def test_sound_groups_are_kept_where_another_damaged_file_has_their_name(run):
    before = values(run)
    (path,) = merged(run)
    marks = sealed(path).groups
    start, stop = marks[1].shards[0][0], marks[-2].shards[-1][1]
    other = rows(start, stop, value=1.0)  # the same keys otherwise, under the name that the sound groups will get
    run.write_scores(shard_name(start, stop), other)
    flipped(path, 0)
    flipped(path, len(marks) - 1)
    again = continued(run)
    assert len(again.damaged) == 2 and again.claimed == again.keys_done()
    assert again.missing(KEYS, KEYS) == [(0, start), (stop, KEYS)]
    assert values(again) == {key: value for key, value in before.items() if key[2] < 0 or start <= key[2] < stop}


def test_a_damaged_group_is_taken_from_a_source_that_is_still_there(run, tmp_path):
    before = values(run)
    copies = shutil.copytree(run.path / "scores", tmp_path / "copies")
    (path,) = merged(run)
    for name in copies.glob("incorrect-*"):
        shutil.copy(name, run.path / "scores")
    flipped(path, 1)
    again = continued(run)
    assert again.missing(KEYS, 10) == [] and values(run) == before


def test_a_file_without_its_end_is_set_aside_as_a_whole(run):
    (path,) = merged(run)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match="is broken"):
        values(run)
    assert continued(run).missing(KEYS, 100) == [(0, KEYS)]


def test_a_file_of_another_run_is_refused(run, tmp_path):
    other = begun(tmp_path / "other", {"seed": 1, "weights": "a" * 64, "plain answers": 0.5}, keys=KEYS)
    for start, stop in SHARDS:
        other.write_scores(shard_name(start, stop), rows(start, stop, key_seed=1))
    (foreign,) = merged(other)
    (path,) = merged(run)
    os.replace(foreign, path)
    with pytest.raises(BadInput, match="from another run"):
        values(run)
    assert continued(run).missing(KEYS, 100) == [(0, KEYS)]


def test_a_changed_range_of_keys_is_noticed(run):
    (path,) = merged(run)
    table = pq.ParquetFile(path)
    seal = json.loads(table.metadata.metadata[b"wrongkey"])
    content = path.read_bytes()
    shard = json.dumps(seal["groups"][1]["shards"][0], separators=(",", ":")).encode()
    assert content.count(shard) == 1
    path.write_bytes(content.replace(shard, shard.replace(b"[12,15", b"[12,16")))
    with pytest.raises(BadInput, match="is broken"):
        values(run)


def test_a_damaged_shard_is_not_merged(run):
    path = shard_files(run.path)[4]
    content = bytearray(path.read_bytes())
    content[content.index(b"min_dcf")] ^= 1
    path.write_bytes(bytes(content))
    merged(run)
    assert path in shard_files(run.path)
    assert continued(run).missing(KEYS, 10) == [SHARDS[4]]


def test_a_sweep_compacts_when_many_shards_wait(tmp_path):
    run = written(tmp_path / "run")
    run.compact()
    assert len(shard_files(run.path)) == len(SHARDS)  # while it runs, these are few
    run.compact(ended=True)
    assert len(shard_files(run.path)) == 1


def test_runs_that_keep_outputs_are_left_as_they_are(tmp_path):
    run = written(tmp_path / "run")
    run.write_outputs(shard_name(0, 3), pd.DataFrame({"key_index": range(3), "scores": 0.5}))
    run.compact(ended=True)
    assert len(shard_files(run.path)) == len(SHARDS)


def test_rerun_compares_a_compacted_run_with_one_that_is_not(run, tmp_path):
    other = written(tmp_path / "other")
    merged(run)
    found = compare_runs(run.path, other.path)
    assert found.keys == KEYS and found.differing == []


def test_a_reader_finds_what_is_compacted_while_it_reads(run, monkeypatch):
    """A listed file is gone when the reader comes to it."""
    from wrongkey.evaluation.run_folder import scores

    before, calls = values(run), list[object]()

    def compacted_after(folder: Path) -> list[Path]:
        found = table_files(folder)
        if not calls:
            calls.append(merged(run))
        return found

    monkeypatch.setattr(scores, "table_files", compacted_after)
    assert values(run) == before and calls
