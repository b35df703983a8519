"""Damaged input files of every kind are read or refused in one sentence; benchmarks/fuzz.py tries thousands."""

import random

import pytest

from benchmarks.fuzz import KINDS, mutated, outcome


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
