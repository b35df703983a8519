"""Damaged input files of every kind are read or refused in one sentence; benchmarks/fuzz.py tries thousands."""

import random

import pytest

from benchmarks.fuzz import KINDS, mutated, outcome
from benchmarks.fuzz_guided import row_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_file_is_read(kind, tmp_path):
    KINDS[kind].use(KINDS[kind].make(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused_in_a_sentence(kind):
    found = {seed: outcome(kind, seed, keep=None) for seed in range(1_000_000, 1_000_012)}
    assert set(found.values()) <= {"read", "refused"}, found


def test_mutations_change_files_and_can_be_made_again():
    content = bytes(range(256)) * 4
    again = [mutated(content, random.Random(f"x {seed}")) for seed in range(20)]
    assert again == [mutated(content, random.Random(f"x {seed}")) for seed in range(20)]
    assert len(set(again) - {content}) > 15


def test_a_number_that_contradicts_another_is_a_fault(monkeypatch):
    monkeypatch.setattr("benchmarks.fuzz.duration", lambda file: 7.0)
    outcomes = {outcome("wav", seed, keep=None) for seed in range(10)}
    assert any(found.startswith("fault: AssertionError") for found in outcomes)


def test_what_the_guided_fuzzer_says_becomes_a_row():
    ran = "#2\tINITED cov: 106 ft: 107\n#129\tDONE cov: 1210 ft: 1\nstat::number_of_executed_units: 2144\n"
    assert row_of("toml", ran, 0) == ["toml", "2,144", "106", "1,210", "0"]
    at_once = "ERROR: libFuzzer: fuzz target exited\nstat::number_of_executed_units: 1\n"
    assert row_of("toml", at_once, 1) == ["toml", "1", "–", "–", "1"]
    with pytest.raises(SystemExit, match="does not run"):
        row_of("toml", "ModuleNotFoundError: No module named 'atheris'", 0)
