"""Strength as it lies in run folders: read, checked, ordered, and found by itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.narrow import present
from tests.reports.strength_folders import estimate, write_strength
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.strength import read_strength
from wrongkey.reports.found import find_all
from wrongkey.reports.runs import load_run
from wrongkey.reports.strength.runs import find_strength, load_strength, strength_alone
from wrongkey.reports.strength.words import short_words

MakeRun = Callable[..., Path]


def test_a_folder_without_a_strength_has_none(make_run: MakeRun) -> None:
    folder = make_run("a", [30.0])
    assert load_strength(folder) is None and not strength_alone(folder)


def test_what_a_folder_keeps(tmp_path: Path) -> None:
    run = present(load_strength(write_strength(tmp_path / "a")))
    assert run.label == "asv-raw10, ROM, M = 10" and run.metric.name == "eer" and run.recordings == "real"
    assert present(run.nearest).within == 1.0
    assert short_words(run) == "13.8 [12.3, 15.3] of 111 bits to within 1 point"
    assert run.cautions == []


def test_the_nearest_distance_is_the_smallest_with_bits(tmp_path: Path) -> None:
    run = present(load_strength(write_strength(tmp_path / "a", (None, 11.2, 7.5))))
    assert short_words(run) == "11.2 [9.7, 12.7] of 111 bits to within 2 points"
    none = present(load_strength(write_strength(tmp_path / "b", (None,))))
    assert short_words(none) == "no effective bits given" and none.nearest is None


def test_distances_are_put_in_order(tmp_path: Path) -> None:
    folder = write_strength(tmp_path / "a", estimates=[estimate(5.0, 7.0), estimate(1.0, 13.0)])
    assert [one.within for one in present(read_strength(folder)).estimates] == [1.0, 5.0]


def test_a_measurement_that_runs_and_a_check_that_failed_are_said(tmp_path: Path) -> None:
    check = {"name": "correct key", "passed": False, "text": "The correct key gives the plain model's embeddings."}
    folder = write_strength(tmp_path / "a", state="running", manifest={"self_checks": [check]})
    failed, running = present(load_strength(folder)).cautions
    assert "FAILED: do not trust this run" in failed and "has not ended" in running
    (doubt,) = present(load_strength(write_strength(tmp_path / "b", recordings=None))).cautions
    assert "not evidence until it does" in doubt


def test_they_are_ordered_and_told_apart(tmp_path: Path) -> None:
    write_strength(tmp_path / "a", scheme="mine")
    write_strength(tmp_path / "b", scheme="rom+turns=4")
    write_strength(tmp_path / "c")
    write_strength(tmp_path / "d", block_size=3, model="asv-raw3")
    write_strength(tmp_path / "e", corpus="other")
    labels = [run.label for run in find_strength([tmp_path, tmp_path / "a"])]
    assert labels == [
        "asv-raw3, ROM, M = 3", "asv-raw10, ROM, M = 10, toy", "asv-raw10, ROM, M = 10, other",
        "asv-raw10, ROM, 4 in turn, M = 10", "asv-raw10, mine, M = 10",
    ]  # fmt: skip


def test_a_folder_with_a_strength_alone_is_no_sweep_that_is_left_out(tmp_path: Path, make_run: MakeRun) -> None:
    alone, both = write_strength(tmp_path / "alone"), write_strength(tmp_path / "both", alone=False)
    assert strength_alone(alone) and not strength_alone(both)
    for paths in ([alone, both], [tmp_path]):
        found = find_all(paths)
        assert [run.name for run in found.runs] == ["both"] and found.left_out == []
        assert len(found.strengths) == 2
    assert find_all([alone]).runs == [] and len(find_all([alone]).strengths) == 1
    with pytest.raises(BadInput, match="run wrongkey sweep into it"):
        load_run(alone)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "wrongkey-strength/2"}, "wrongkey-strength/2"),
        ({"scheme": 5}, "scheme is 5"),
        ({"plain": float("nan")}, "plain is nan"),
        ({"nominal_bits": -1.0}, "nominal_bits is -1"),
        ({"block_size": 10**9}, "block_size is 1000000000"),
        ({"state": "asleep"}, "state is 'asleep'"),
        ({"estimates": [{**estimate(1.0, 5.0), "probability": 1.5}]}, "probability is 1.5"),
        ({"estimates": [{**estimate(1.0, 5.0), "bits_low": 9.0}]}, "bits_low <= bits <= bits_high"),
        ({"estimates": [estimate(1.0, 5.0)] * 2}, "each distance once"),
        ({"estimates": [{**estimate(1.0, 5.0), "bits": float("inf")}]}, "bits is inf"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = write_strength(tmp_path / "a") / "strength" / "strength.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(BadInput, match=r"strength\.json") as refused:
        load_strength(tmp_path / "a")
    assert words in str(refused.value) and "\n" not in str(refused.value)
