"""Damaged input files of every kind are read or refused in one sentence; benchmarks/fuzz.py tries thousands."""

import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fuzz import mutated, opened, outcome, tried
from benchmarks.fuzz_guided import row_of
from benchmarks.fuzz_kinds import KINDS
from wrongkey.errors import BadInput

FOLDER = Path(__file__).parent / "data" / "found"
OF_PACKAGES = ("timm-", "espnet-")
FOUND = sorted(path for path in FOLDER.glob("*/*"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_file_is_read(kind, tmp_path):
    KINDS[kind].use(KINDS[kind].make(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused_in_a_sentence(kind):
    found = {seed: outcome(kind, seed, keep=None) for seed in range(1_000_000, 1_000_012)}
    assert not any(one.wrong for one in found.values()), found


@pytest.mark.parametrize("found", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_that_was_found_once_is_read_or_refused_in_a_sentence(found, tmp_path):
    kind = next((name for name in KINDS if name.replace(" ", "-") == found.parent.name), None)
    if kind is None and found.parent.name.startswith(OF_PACKAGES):
        pytest.skip("the package that reads it is not installed")
    assert kind is not None, "no kind has this name"
    file = KINDS[kind].make(tmp_path)
    shutil.copyfile(found, file)
    outcome = opened(kind, file)
    assert not outcome.wrong, outcome


def test_every_found_input_is_explained():
    said = (FOLDER / "README.md").read_text()
    assert FOUND and all(f"`{path.parent.name}/{path.name}`" in said for path in FOUND)


def test_memory_beyond_the_honest_size_is_a_fault(monkeypatch, tmp_path):
    def wasteful(file):
        bytearray(64 * 2**20)

    monkeypatch.setitem(KINDS, "only", replace(KINDS["only"], use=wasteful))
    found = opened("only", KINDS["only"].make(tmp_path))
    assert found.wrong and "MiB of memory for an honest size of" in found.what
    assert 48 * 2**20 < found.grown < 96 * 2**20
    monkeypatch.setitem(KINDS, "only", replace(KINDS["only"], use=wasteful, decoded=32 * 2**20))
    assert opened("only", tmp_path / "only.txt").what == "read"


def test_a_reader_that_takes_the_end_of_its_time_for_an_error_of_the_disk_is_late(monkeypatch):
    def slow():
        try:
            time.sleep(5)
        except (OSError, ValueError) as error:
            raise BadInput("The file cannot be read.") from error

    monkeypatch.setattr("benchmarks.fuzz.SECONDS", 1)
    assert tried(slow).startswith("fault: Late")


def test_mutations_change_files_and_can_be_made_again():
    content = bytes(range(256)) * 4
    again = [mutated(content, random.Random(f"x {seed}")) for seed in range(20)]
    assert again == [mutated(content, random.Random(f"x {seed}")) for seed in range(20)]
    assert len(set(again) - {content}) > 15


def test_a_number_that_contradicts_another_is_a_fault(monkeypatch):
    outcome("wav", 0, keep=None)  # a sound file is opened before
    monkeypatch.setattr("benchmarks.fuzz_speech.duration", lambda file: 7.0)
    outcomes = {outcome("wav", seed, keep=None) for seed in range(10)}
    assert any(found.what.startswith("fault: AssertionError") for found in outcomes)


def test_what_the_guided_fuzzer_says_becomes_a_row():
    ran = "#2\tINITED cov: 106 ft: 107\n#129\tDONE cov: 1210 ft: 1\nstat::number_of_executed_units: 2144\n"
    assert row_of("toml", ran, 0) == ["toml", "2,144", "106", "1,210", "0"]
    at_once = "ERROR: libFuzzer: fuzz target exited\nstat::number_of_executed_units: 1\n"
    assert row_of("toml", at_once, 1) == ["toml", "1", "–", "–", "1"]
    with pytest.raises(SystemExit, match="does not run"):
        row_of("toml", "ModuleNotFoundError: No module named 'atheris'", 0)
