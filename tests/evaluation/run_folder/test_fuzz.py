"""Run folders damaged at random: work, or one sentence; never other numbers, and a sweep that continues is never stuck.

The long form, with the numbers tried, is `benchmarks/fuzz_run_folder.py`.
"""

import random

import pytest

from benchmarks.fuzz_run_folder import (
    JSON,
    fuzz_json,
    fuzz_media,
    fuzz_tables,
    look,
    make,
    mutate_table,
    outcome,
    resume,
)

SOUND = {"done", "refused"}


@pytest.mark.parametrize("name", JSON)
def test_changed_json_is_work_or_a_sentence(name, tmp_path):
    counts = fuzz_json(tmp_path, name, 5, seed=7, draw=0.0)
    assert set(counts) == SOUND, next(text for text in counts if text not in SOUND)


def test_damaged_tables_are_never_other_numbers_and_are_made_again(tmp_path):
    counts = fuzz_tables(tmp_path, 10, seed=7)
    assert set(counts) == SOUND, next(text for text in counts if text not in SOUND)


def test_damaged_clips_and_arrays_are_work_or_a_sentence(tmp_path):
    counts = fuzz_media(tmp_path, 10, seed=7)
    assert set(counts) == SOUND, next(text for text in counts if text not in SOUND)


def test_the_folder_that_is_damaged_is_sound(tmp_path):
    """Else a refusal above would mean nothing."""
    folder, other = make(tmp_path / "run"), make(tmp_path / "other", 1)
    assert outcome(lambda: look(folder, other, draw=False)) == outcome(lambda: resume(folder)) == "done"
    assert resume(folder).damaged == []
    mutate_table(folder, other, random.Random(1), "scores/*.parquet")
    assert len(resume(folder).damaged) == 1
