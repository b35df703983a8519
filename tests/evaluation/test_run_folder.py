"""What a run folder keeps and what it refuses."""

import pytest

from evaluation.run_folder import RunFolder, find_runs, shard_name
from keys.errors import BadInput

IDENTITY = {"seed": 0, "weights": "a" * 64, "plain answers": 0.5}


def row(index: int) -> dict[str, object]:
    return {"task": "asv", "condition": "incorrect", "key_index": index, "metric": "eer", "value": 1.0}


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert run.claim(IDENTITY) is None
    run.write_manifest({"identity": IDENTITY})
    return run


def test_the_same_experiment_is_continued(folder):
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


def test_foreign_files_are_not_written_over(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(BadInput, match="no manifest"):
        RunFolder(tmp_path).claim(IDENTITY)


@pytest.mark.parametrize("text", ["{", '{"format": "else"}', "[1]"])
def test_a_broken_or_foreign_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadInput, match="--out"):
        RunFolder(tmp_path).claim(IDENTITY)


def test_an_unwritable_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").claim(IDENTITY)


def test_missing_keys_come_in_shards(folder):
    folder.write_scores(shard_name(4, 6), [row(4), row(5)])
    assert folder.keys_done() == {4, 5}
    assert folder.missing(10, 3) == [(0, 3), (3, 4), (6, 9), (9, 10)]
    assert folder.missing(6, 100) == [(0, 4)]


def test_a_truncated_shard_is_done_again(folder):
    folder.write_scores(shard_name(0, 2), [row(0), row(1)])
    path = folder.path / "scores" / f"{shard_name(0, 2)}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert folder.keys_done() == set()
    assert not path.exists()


def test_a_failed_write_leaves_neither_file_nor_part(folder, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(BadInput, match="No space left"):
        folder.write_scores(shard_name(0, 1), [row(0)])
    assert list((folder.path / "scores").iterdir()) == []


def test_runs_are_found_below_a_folder(folder, tmp_path):
    assert find_runs(tmp_path) == [folder.path]
