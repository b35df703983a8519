"""What a run folder keeps, what it refuses, and which damage it notices."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.run_folder.folder import LOCK, RunFolder, find_runs, shard_name
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.sweep import sweep

ROOT = Path(__file__).parents[3]
IDENTITY = {"seed": 0, "weights": "a" * 64, "plain answers": 0.5}
SETTING = {"task": "asv", "model": "toy", "corpus": "voices", "scheme": "rom", "block_size": 3, "dims": 1}


def row(index: int, metric: str = "eer", **changed: object) -> dict[str, object]:
    score = {"metric": metric, "value": 20.0 + index, "ci_low": 10.0, "ci_high": 40.0, "n": 50}
    return {**SETTING, "condition": "incorrect", "key_seed": 0, "key_index": index, **score, **changed}


def rows(start: int, stop: int, **changed: object) -> list[dict[str, object]]:
    return [row(index, metric, **changed) for metric in ("eer", "min_dcf") for index in range(start, stop)]


def manifest(identity: dict[str, object] = IDENTITY, **config: object) -> dict[str, object]:
    return {"config": {**SETTING, "keys": 6, "seed": identity["seed"], **config}, "identity": identity}


def begun(path: Path, identity: dict[str, object] = IDENTITY, **config: object) -> RunFolder:
    run = RunFolder(path)
    assert run.claim(identity) is None
    run.write_manifest(manifest(identity, **config))
    plain = [{**row(-1, metric), "condition": "plain"} for metric in ("eer", "min_dcf")]
    run.write_scores("conditions", plain)
    return run


def shard(run: RunFolder, start: int, stop: int, kind: str = "scores") -> Path:
    return run.path / kind / f"{shard_name(start, stop)}.parquet"


@pytest.fixture
def folder(tmp_path):
    return begun(tmp_path / "run")


@pytest.fixture
def three(folder):
    """A run of three shards of two keys each."""
    for start in (0, 2, 4):
        folder.write_scores(shard_name(start, start + 2), rows(start, start + 2))
    return folder


def continued(run: RunFolder, identity: dict[str, object] = IDENTITY) -> RunFolder:
    again = RunFolder(run.path)
    assert again.claim(identity) is not None
    return again


def unsealed(run: RunFolder) -> None:
    """The folder as an older wrongkey left it."""
    for path in run.path.glob("*/*.parquet"):
        pd.read_parquet(path).to_parquet(path, index=False)
    text = run.manifest_path.read_text().replace('"tables"', '"unknown"')
    run.manifest_path.write_text(text)


def test_the_same_experiment_is_continued(folder):
    folder.write_scores(shard_name(0, 2), rows(0, 2))
    assert folder.claim({**IDENTITY, "plain answers": 0.5000001})["identity"] == IDENTITY


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, r"another seed \(0 there, 1 now\)"),
        ({"weights": "b" * 64}, "another weights:"),
        ({"plain answers": 0.6}, "another plain answers"),
    ],
)
def test_another_experiment_is_refused_with_what_differs(folder, change, said):
    with pytest.raises(BadInput, match=said):
        folder.claim(IDENTITY | change)


def test_a_manifest_without_scores_claims_nothing(tmp_path):
    """A command that failed before its first score does not stand in the way of the corrected one."""
    RunFolder(tmp_path).claim(IDENTITY)
    RunFolder(tmp_path).write_manifest(manifest())
    assert RunFolder(tmp_path).claim(IDENTITY | {"seed": 1}) is None


def test_foreign_files_are_not_written_over(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(BadInput, match="no manifest"):
        RunFolder(tmp_path).claim(IDENTITY)


@pytest.mark.parametrize("text", ["{", '{"format": "else"}', "[1]"])
def test_a_broken_or_foreign_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadInput, match="--out"):
        RunFolder(tmp_path).claim(IDENTITY)


def test_missing_keys_come_in_shards(folder):
    folder.write_scores(shard_name(4, 6), rows(4, 6))
    assert folder.keys_done() == {4, 5}
    assert folder.missing(10, 3) == [(0, 3), (3, 4), (6, 9), (9, 10)]
    assert folder.missing(6, 100) == [(0, 4)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(b"min_dcf")
    content[place] ^= 1
    path.write_bytes(bytes(content))


def edit(path: Path) -> None:
    """A score that somebody changed, with all metadata kept."""
    table = pq.read_table(path)
    frame = table.to_pandas()
    frame.loc[0, "value"] = 50.0
    pq.write_table(table.from_pandas(frame).replace_schema_metadata(table.schema.metadata), path)


def halve(path: Path) -> None:
    """Half of the rows, which is the whole of one metric, with all metadata kept."""
    table = pq.read_table(path)
    pq.write_table(table.slice(0, table.num_rows // 2), path)


def strip(path: Path) -> None:
    """Written again by another program, which keeps no seal."""
    pd.read_parquet(path).to_parquet(path)


def no_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [cut, empty, flip, edit, halve, strip, no_rows, folder_instead])
def test_a_damaged_shard_is_named_set_aside_and_done_again(three, damage):
    path = shard(three, 2, 4)
    damage(path)
    assert three.keys_done() == {0, 1, 4, 5}
    again = continued(three)
    assert len(again.damaged) == 1 and path.name in again.damaged[0]
    assert not path.exists() and path.with_name(f"{path.name}.damaged").exists()
    assert again.missing(6, 10) == [(2, 4)]
    again.write_scores(shard_name(2, 4), rows(2, 4))
    assert continued(again).damaged == [] and again.missing(6, 10) == []


def test_a_shard_under_another_name_is_noticed(three):
    shard(three, 0, 2).rename(shard(three, 6, 8))
    (three.path / "scores" / "copy.parquet").write_bytes(shard(three, 2, 4).read_bytes())
    again = continued(three)
    assert sorted(line.split(" is damaged")[0].rsplit("/")[-1] for line in again.damaged) == [
        "copy.parquet",
        f"{shard_name(6, 8)}.parquet",
    ]
    assert again.missing(6, 10) == [(0, 2)]


def test_two_shards_that_changed_places_are_noticed(three):
    one, other = shard(three, 0, 2), shard(three, 2, 4)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert continued(three).missing(6, 10) == [(0, 4)]


@pytest.mark.parametrize("change", [{"seed": 1}, {"weights": "b" * 64}, {"plain answers": 0.6}])
def test_a_shard_of_another_run_is_noticed(three, tmp_path, change):
    other = begun(tmp_path / "other", IDENTITY | change)
    other.write_scores(shard_name(2, 4), rows(2, 4))
    shard(three, 2, 4).write_bytes(shard(other, 2, 4).read_bytes())
    again = continued(three)
    assert "from another run" in again.damaged[0]
    assert again.missing(6, 10) == [(2, 4)]


def test_overlapping_shards_and_shards_beyond_what_is_asked_do_not_stop_a_run(three):
    three.write_scores(shard_name(1, 5), rows(1, 5))
    three.write_scores(shard_name(10, 12), rows(10, 12))
    again = continued(three)
    assert [shard_name(1, 5) in line for line in again.damaged] == [True]
    assert set(again.keys_done()) == {0, 1, 2, 3, 4, 5, 10, 11}
    assert again.missing(12, 10) == [(6, 10)]


def test_keys_that_do_not_exist_are_no_keys(three):
    three.write_manifest(manifest() | {"key_space": 5, "enumerated": True})
    assert continued(three).missing(5, 10) == [(4, 5)]


def test_an_older_run_is_continued_with_its_shards(three):
    unsealed(three)
    again = continued(three)
    assert again.damaged == [] and again.missing(6, 10) == []
    again.write_manifest(manifest())
    strip(shard(three, 0, 2))  # from now on it would be noticed
    assert continued(three).missing(6, 10) == [(0, 2)]


@pytest.mark.parametrize(
    "changed",
    [
        lambda table: table.assign(key_seed=1),
        lambda table: table.assign(model="another"),
        lambda table: table.assign(block_size=4),
        lambda table: table.assign(condition="plain"),
        lambda table: table.assign(key_index=table["key_index"] + 2),
        lambda table: table.iloc[: len(table) // 2],  # one metric of two
        lambda table: table.iloc[1:],
        lambda table: table.assign(value=float("nan")),
        lambda table: table.drop(columns="n"),
    ],
)
def test_what_an_older_run_cannot_have_written_is_done_again(three, changed):
    unsealed(three)
    path = shard(three, 2, 4)
    changed(pd.read_parquet(path)).to_parquet(path, index=False)
    again = continued(three)
    assert len(again.damaged) == 1 and path.name in again.damaged[0]
    assert again.missing(6, 10) == [(2, 4)]


def outputs(start: int, stop: int) -> pd.DataFrame:
    return pd.DataFrame({"key_index": range(start, stop), "scores": [[0.5, float(i)] for i in range(start, stop)]})


@pytest.mark.parametrize("damage", [cut, strip, lambda path: path.unlink()])
def test_a_shard_whose_outputs_are_damaged_is_done_again(tmp_path, damage):
    run = begun(tmp_path / "run", keep_outputs=True)
    for start in (0, 2):
        run.write_outputs(shard_name(start, start + 2), outputs(start, start + 2))
        run.write_scores(shard_name(start, start + 2), rows(start, start + 2))
    damage(shard(run, 0, 2, "outputs"))
    again = continued(run)
    assert len(again.damaged) == 1
    assert again.missing(4, 10) == [(0, 2)]


def test_outputs_of_a_shard_that_was_never_finished_do_not_stay(tmp_path):
    run = begun(tmp_path / "run", keep_outputs=True)
    run.write_scores(shard_name(0, 1), rows(0, 1))
    run.write_outputs(shard_name(0, 1), outputs(0, 1))
    run.write_outputs(shard_name(1, 4), outputs(1, 4))  # killed here
    assert continued(run).damaged == []
    assert [path.stem for path in (run.path / "outputs").glob("*.parquet")] == [shard_name(0, 1)]


def test_a_run_that_moved_keeps_its_names(three):
    """A model or a corpus that is named otherwise in a later session is the same by its content."""
    three.write_scores(shard_name(6, 7), rows(6, 7, model="./toy", corpus="elsewhere"))
    assert set(pd.read_parquet(shard(three, 6, 7))["model"]) == {"toy"}
    assert continued(three).damaged == []


def test_a_name_that_is_no_text_is_kept_as_an_escape(tmp_path):
    name = os.fsdecode(b"Ren\xe9")
    run = begun(tmp_path / "run", model=name, command=f"wrongkey --model {name}")
    run.write_scores(shard_name(0, 1), rows(0, 1, model=name))
    again = continued(run)
    assert again.damaged == []
    assert present(again.manifest())["config"]["command"].endswith(name)


def test_a_failed_write_leaves_neither_file_nor_part(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(BadInput, match="No space left"):
        folder.write_scores(shard_name(0, 1), rows(0, 1))
    assert [path.name for path in (folder.path / "scores").iterdir()] == ["conditions.parquet"]


def test_a_link_in_the_folder_is_replaced_and_not_followed(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (folder.path / "trials.txt").symlink_to(precious)
    folder.write_text("trials.txt", "1 a b\n")
    assert precious.read_text() == "precious"
    assert (folder.path / "trials.txt").read_text() == "1 a b\n"


def test_runs_are_found_below_a_folder_and_behind_links(folder, tmp_path):
    looked = tmp_path / "looked"
    looked.mkdir()
    (looked / "link").symlink_to(folder.path)
    (looked / "loop").symlink_to(looked)
    assert find_runs(looked) == [looked / "link"]
    assert find_runs(folder.path) == [folder.path]


@pytest.mark.parametrize("path", ["", "  ", "a\0b"])
def test_a_path_that_names_no_folder_is_refused(path):
    with pytest.raises(BadInput, match="--out"):
        RunFolder(path)


def test_a_file_in_place_of_the_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(BadInput), RunFolder(path).locked():
            pass
        with pytest.raises(BadInput):
            RunFolder(path).claim(IDENTITY)


def test_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder("~/runs/x").path == tmp_path / "runs" / "x"


def test_an_empty_working_directory_is_a_run_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder(".")
    with run.locked():
        assert run.claim(IDENTITY) is None
    assert {entry.name for entry in tmp_path.iterdir()} == {"scores"}


@pytest.mark.parametrize("spelled", ["run/.", "link", "../{name}/run"])
def test_every_spelling_of_a_folder_meets_the_same_lock(tmp_path, monkeypatch, spelled):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    with RunFolder("run").locked():
        path = spelled.format(name=tmp_path.name)
        code = f"from wrongkey.evaluation.run_folder.folder import RunFolder as Run\nwith Run({path!r}).locked(): pass"
        other = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert "is being written by another wrongkey" in other.stderr
    with RunFolder("link").locked():
        assert (tmp_path / "run" / LOCK).exists()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_folder_that_nothing_was_written_into_goes_away(tmp_path):
    with pytest.raises(KeyError), RunFolder(tmp_path / "run").locked():
        raise KeyError
    assert not (tmp_path / "run").exists()


def test_too_few_to_resample_is_said_before_anything_is_written(tmp_path):
    """And the corrected command works in the same folder."""
    one = tmp_path / "one.txt"
    one.write_text(open_corpus("bundled").utterances[0].id)
    asked: dict[str, Any] = {"model": "tests.toys:subsampled", "task": "asr", "corpus": "bundled", "only": str(one)}
    with pytest.raises(BadInput, match="add --replicates 0"):
        sweep(SweepConfig(**asked, keys=1, replicates=5, device="cpu"), tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()


def test_what_a_killed_command_was_writing_goes_away(three):
    parts = [three.path / f".{'0' * 16}.part", three.path / "scores" / f".{'a1' * 8}.part"]
    kept = [three.path / ".mine.part", three.path / "scores" / ".hidden"]
    for path in (*parts, *kept):
        path.write_bytes(b"half")
    with RunFolder(three.path).locked():
        assert not any(path.exists() for path in parts) and all(path.exists() for path in kept)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_run_from_before_a_measure_existed_is_extended_with_it(three, sealed):
    """Its own keys stay whole without the measure; reports leave out what only some keys have."""
    if not sealed:
        unsealed(three)
    for _ in range(2):  # the second time the conditions have it too
        again = continued(three)
        assert not again.damaged and set(again.keys_done()) == set(range(6))
        again.write_manifest(manifest())
        again.write_scores("conditions", [{**row(-1, m), "condition": "plain"} for m in ("eer", "min_dcf", "d_sys")])
    again.write_scores(shard_name(6, 8), [*rows(6, 8), row(6, "d_sys"), row(7, "d_sys")])
    table, said = read_scores(three.path, present(again.manifest()))
    incorrect = table[table.condition == "incorrect"]
    assert incorrect.groupby("metric").size().to_dict() == {"eer": 8, "min_dcf": 8, "d_sys": 2}
    assert bool(said) != sealed
