"""Strength in tables and sentences."""

from pathlib import Path

import pandas as pd
import pytest

from tests.narrow import present
from tests.reports.strength_folders import estimate, write_strength
from wrongkey.reports.strength.runs import find_strength, load_strength
from wrongkey.reports.strength.tables import estimate_table, strength_numbers, strength_table
from wrongkey.reports.strength.words import sentence


def test_bits_stand_in_one_column_for_each_distance(tmp_path: Path) -> None:
    write_strength(tmp_path / "a")
    write_strength(tmp_path / "b", (None, 5.0), model="asr-words", task="asr", nominal=None, recordings="synthetic")
    table = strength_table(find_strength([tmp_path]))
    assert list(table) == [
        "Key", "Nominal bits", "Effective bits to within 1 point", "Effective bits to within 2 points",
        "Effective bits to within 5 points", "Keys scored", "Score", "Plain",
        "Best key found", "its key error", "Corpus",
    ]  # fmt: skip
    first, second = table.to_dict("records")
    assert first["Effective bits to within 1 point"] == "13.8 [12.3, 15.3]" and first["Nominal bits"] == "111"
    assert (first["Score"], second["Score"]) == ("EER (%)", "WER (%)")
    assert second["Corpus"] == "toy (synthetic)" and second["Nominal bits"] == "not countable"
    assert second["Effective bits to within 1 point"] == second["Effective bits to within 5 points"] == "–"
    assert (first["Keys scored"], first["Best key found"], first["its key error"]) == ("15,300", "7.60", "1.31")


def test_what_an_estimate_rests_on_or_why_there_is_none(tmp_path: Path) -> None:
    table = estimate_table([present(load_strength(write_strength(tmp_path / "a", (None, 11.2))))])
    none, some = table.to_dict("records")
    assert none["Why no bits"].startswith("The repetitions differ") and none["Bits"] == none["P"] == "–"
    assert some["Guesses"] == "2,353" and some["P"] == "4.3e-4" and some["Acceptance"] == "30–41 %"
    assert some["log10 P, each repetition"] == "-3.1, -3.4, -3.6" and some["Ancestors"] == "12, 12, 12"
    assert "Why no bits" not in estimate_table([present(load_strength(write_strength(tmp_path / "b")))])


def test_every_number_is_in_the_machines_table(tmp_path: Path) -> None:
    numbers = strength_numbers([present(load_strength(write_strength(tmp_path / "a", (None, 11.2))))])
    assert len(numbers) == 2 and numbers["bits"].tolist()[1] == 11.2 and pd.isna(numbers["bits"][0])
    assert numbers["scheme"].tolist() == ["rom", "rom"] and numbers["within"].tolist() == [1.0, 2.0]


def test_a_sentence_says_guesses_bits_and_the_key_space(tmp_path: Path) -> None:
    said = sentence(present(load_strength(write_strength(tmp_path / "a", (4.0, None)))))
    assert said.startswith(
        "The key space has 111 bits at a relative key error of 0.1. A random key comes within 1 point of the plain "
        "model’s EER (7.5 %) after 16 guesses on average: 4.0 [2.5, 5.5] bits. No bits are given for keys within 2 "
    )
    assert said.endswith(
        "The best of the 15,300 keys that were scored has 7.6 %, and a relative error of 1.31 as a key."
    )


def test_all_keys_of_a_small_space_leave_no_interval(tmp_path: Path) -> None:
    exact = estimate(1.0, 3.0) | {"bits_low": 3.0, "bits_high": 3.0 + 1e-12, "probability": 1 + 1e-12}
    exact["repetitions"] = [
        {"log10_probability": 1e-12, "levels": 1, "evaluations": 6, "acceptance": [], "ancestors": 3}
    ]
    table = estimate_table([present(load_strength(write_strength(tmp_path / "a", estimates=[exact], counted=True)))])
    row = table.to_dict("records")[0]
    assert row["log10 P, each repetition"] == "0.0" and row["Acceptance"] == "–"
    exact["bits_high"] = 3.0
    (run,) = [present(load_strength(write_strength(tmp_path / "b", estimates=[exact])))]
    assert estimate_table([run])["Bits"].tolist() == ["3.0"]


@pytest.mark.parametrize("bits", [0.0, 1e-9, 1000.0, 4000.0, 1e6])
def test_any_number_of_bits_can_be_written(tmp_path: Path, bits: float) -> None:
    folder = write_strength(tmp_path / "a", (bits,), nominal=bits)
    run = present(load_strength(folder))
    assert strength_table([run]).shape == (1, 9) and sentence(run) and len(estimate_table([run]))
