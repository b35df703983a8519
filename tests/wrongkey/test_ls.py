"""``wrongkey ls`` on folders that are damaged: a line for each thing in them, true or "unreadable"."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.fuzz_run_folder import make
from wrongkey.cli import main

KINDS = ("keys", "decryption", "phase", "leaks")


@pytest.fixture
def run(tmp_path):
    return make(tmp_path / "runs" / "one")


@pytest.fixture
def listed(run, capsys):
    """List the run; lines by kind."""

    def ls():
        assert main(["ls", str(run.parent), "--json"]) == 0
        return {one["kind"]: one for one in json.loads(capsys.readouterr().out)}

    return ls


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def absent(path: Path) -> None:
    path.unlink()


def foreign(path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(path)


def edited(path: Path) -> None:
    rows = pd.read_parquet(path)
    rows["value" if "value" in rows else "error"] += 1
    rows.to_parquet(path)


def of_another_run(path: Path) -> None:
    other = make(path.parents[2] / "two", 1)
    shutil.copy(other / "analyses" / path.name, path)
    shutil.rmtree(other)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("damage", [cut, absent, foreign, edited, of_another_run])
def test_an_analysis_that_is_damaged_is_unreadable_and_the_rest_is_listed(run, listed, damage, name):
    damage(run / "analyses" / f"{name}.parquet")
    found = listed()
    one = found.pop(f"analysis of {name}")
    assert one["state"] == "unreadable" and f"{name}.parquet is broken" in one["result"]
    assert len(found) == 6 and not any(other["state"] == "unreadable" for other in found.values())


def test_a_whole_analysis_of_another_run_is_unreadable(run, listed):
    other = make(run.parent / "two", 1)
    for ending in (".json", ".parquet"):
        shutil.copy(other / f"analyses/leaks{ending}", run / "analyses")
    shutil.rmtree(other)
    one = listed()["analysis of leaks"]
    assert one["state"] == "unreadable" and "is of another run" in one["result"]


def test_an_older_analysis_without_a_seal_has_a_caution(run, listed):
    path = run / "analyses" / "leaks.json"
    path.write_text(
        json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "tables"})
    )
    edited(path.with_suffix(".parquet"))
    one = listed()["analysis of leaks"]
    assert one["state"] == "complete" and "older wrongkey" in one["result"]


def test_a_decryption_that_names_no_metric_is_listed(run, listed):
    path = run / "analyses" / "decryption.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metric": None}))
    assert listed()["analysis of decryption"]["result"].startswith("Medians: correct key SNR ")


def test_a_damaged_shard_makes_its_sweep_unreadable_and_ends_well(run, listed):
    cut(next((run / "scores").glob("incorrect-*.parquet")))
    found = listed()
    assert found["sweep"]["state"] == "unreadable" and found["strength"]["state"] == "complete"
