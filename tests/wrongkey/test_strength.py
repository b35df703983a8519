"""The command strength: a sentence for each goal, JSON, a finished run that answers from its files, bad input."""

import json
from pathlib import Path

import pytest

from wrongkey.cli import main
from wrongkey.strength_summary import sentences, times_fewer

ASKED = (
    "strength --model tests.toys:raw3 --corpus bundled --per-speaker 2 --replicates 5 --device cpu --workers 1".split()
)
HOW = "--within 10,30 --population 60 --moves 2 --repetitions 2".split()


def estimate(**changes):
    one = {
        **{"within": 1.0, "goal": 8.5, "bits": 13.2, "bits_low": 12.1, "bits_high": 14.3, "probability": 2.0**-13.2},
        **{"guesses": 2**13.2, "why_not": "", "repetitions": [{"evaluations": 5_000}] * 3},
    }
    return one | changes


def content(*estimates, **changes):
    about = {"nominal_bits": 45.1, "tolerance": 0.1, "counted": False, "estimates": list(estimates)}
    return about | changes


def test_a_command_prints_a_sentence_for_each_goal_and_answers_again_from_its_files(tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    assert main([*ASKED, *HOW, *out]) == 0
    said, log = capsys.readouterr()
    assert "points of plain" in said.splitlines()[0] and "within 30 points" in said.splitlines()[1].lower()
    assert said.splitlines()[-1].startswith(f"{tmp_path / 'run'} is done")
    assert "repetition 2 of 2, level 1" in log and "self-checks passed" in log

    assert main([*ASKED, *HOW, *out, "--json"]) == 0
    again, log = capsys.readouterr()
    found = json.loads(again)
    assert "was finished before" in log and "Reading" not in log
    kept = json.loads(Path(tmp_path / "run" / "strength" / "strength.json").read_text())
    assert found["estimates"] == kept["estimates"] and "history" not in found
    assert sentences(kept) == said.splitlines()[:2]

    assert main([*ASKED, *HOW, *out, "--repetitions", "3"]) == 0
    assert "repetition 3 of 3" in capsys.readouterr().err


def test_a_sentence_says_bits_guesses_cost_and_nominal_bits():
    (said,) = sentences(content(estimate()))
    assert said == (
        "A random key unlocks within 1 point of plain with P = 0.00011: about 9,410 guesses, 13.2 bits [12.1, 14.3] "
        "(nominal 45.1 bits at a tolerance of 0.1); 15,000 evaluations, 4 times fewer than guessing to the same "
        "precision."
    )
    assert times_fewer(estimate()) == pytest.approx(4.15, abs=0.01)


def test_a_counted_space_and_one_without_volume():
    exact = estimate(bits=3.0, bits_low=3.0, bits_high=3.0, probability=0.125, guesses=8.0, within=2.0)
    (said,) = sentences(content(exact, counted=True, nominal_bits=None, tolerance=None))
    assert said == (
        "A random key unlocks within 2 points of plain with P = 0.12: about 8 guesses, 3.0 bits; 15,000 evaluations, "
        "which are all keys there are."
    )


def test_no_bits_come_with_the_reason():
    none = dict.fromkeys(("bits", "bits_low", "bits_high", "probability", "guesses"))
    (said,) = sentences(content(estimate(**none, why_not="The chains do not mix.")))
    assert said == "Within 1 point of plain no bits are given. The chains do not mix."
    assert times_fewer(estimate(**none)) is None


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--within 0", "--within must be points above 0, not 0."),
        ("--within=-1,2", "--within must be points above 0, not -1."),
        ("--within x", "not a list of numbers"),
        ("--population 20", "--population 20 is too small"),
        ("--share 0.9", "--share must be above 0"),
        ("--keys 5", "no flag --keys"),
    ],
)
def test_bad_input_is_one_sentence(flags, why, tmp_path, capsys):
    assert main([*ASKED, *flags.split(), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1
