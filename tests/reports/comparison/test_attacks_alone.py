"""Folders that hold attacks and no sweep, compared by `wrongkey compare`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reports.attack_folders import random_keys, rows, write_attacks
from wrongkey.cli import main
from wrongkey.errors import BadInput
from wrongkey.reports.attacks.rows import AttackRun, load_attacks
from wrongkey.reports.comparison.compare_attacks import AttackComparison, compare_attacks

Rows = list[dict[str, Any]]


def order(trials: int, hits: int, given: str = "10 s") -> Rows:
    return rows("order", given, [0.02] * hits + [1.4] * (trials - hits), seconds=5.0)


def attacks(folder: Path, table: Rows, **settings: Any) -> AttackRun:
    found = load_attacks(write_attacks(folder, table + random_keys(10), **settings))
    assert found is not None
    return found


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., AttackComparison]:
    def make(a: Rows, b: Rows, of_a: Any = None, of_b: Any = None) -> AttackComparison:
        return compare_attacks(attacks(tmp_path / "a", a, **of_a or {}), attacks(tmp_path / "b", b, **of_b or {}))

    return make


def test_the_same_attack_decides(compared: Callable[..., AttackComparison]) -> None:
    result = compared(order(40, 30), order(40, 0))
    assert result.verdict == "shown" and result.opened == ()
    assert "order (10 s): key or speech: 30 of 40 in A, 0 of 40 in B" in str(result)
    assert str(result).endswith("Does B protect at least as well as A? Yes, as far as the margins go.")


def test_more_successes_are_worse(compared: Callable[..., AttackComparison]) -> None:
    assert compared(order(40, 0), order(40, 30)).verdict == "worse"


def test_an_open_b_does_not_pass_beside_an_open_a(compared: Callable[..., AttackComparison]) -> None:
    result = compared(order(200, 200), order(200, 200))
    assert result.hypotheses[0].decision == "shown" and result.verdict == "undecided"
    opened = "B is open to order (10 s): key or speech. An attack that opens B fails it, whatever A is like."
    assert result.caution == opened


def test_few_trials_say_how_many_it_takes(compared: Callable[..., AttackComparison]) -> None:
    result = compared(order(5, 0), order(5, 0))
    assert result.verdict == "undecided" and "It takes 29 trials without one to show it, and B has 5." in str(result)


def test_an_attack_on_one_alone_is_missing_unless_it_does_not_apply(compared: Callable[..., AttackComparison]) -> None:
    both, told = order(40, 0), rows("told", "1 known blocks", [1.4] * 40, seconds=1.0)
    lacking = compared(both + told, both)
    assert lacking.verdict == "undecided" and any("B lacks attacks" in line for line in lacking.warnings)


def test_an_attack_that_does_not_apply_succeeds_in_no_trial(compared: Callable[..., AttackComparison]) -> None:
    both, told = order(40, 0), rows("told", "1 known blocks", [1.4] * 40, seconds=1.0)
    spared = compared(both + told, both, of_b={"obstacles": ["told"]})
    assert spared.verdict == "shown"
    assert "told (1 known blocks): key or speech: 0 of 40 in A, does not apply in B" in str(spared)


def test_nothing_in_common_is_undecided(compared: Callable[..., AttackComparison]) -> None:
    result = compared(order(40, 0), order(40, 0, given="5 s"))
    assert result.verdict == "undecided" and not result.hypotheses and "No attack was run on both." in str(result)


def test_what_else_differs_is_said(compared: Callable[..., AttackComparison]) -> None:
    result = compared(order(40, 0), order(40, 0), of_b={"model": "toy"})
    assert "The model differs: none in A, toy in B." in result.warnings
    assert repr(result) == "AttackComparison('speech, ROM, M = 4', 'toy, ROM, M = 4': shown)"


def test_attacks_on_other_tasks_are_refused(tmp_path: Path) -> None:
    a = attacks(tmp_path / "a", order(10, 0), model="toy", task="asv")
    b = attacks(tmp_path / "b", order(10, 0), model="toy", task="asc")
    with pytest.raises(BadInput, match="compare attacks on one task"):
        compare_attacks(a, b)


def test_the_command_compares_them(tmp_path: Path, make_run: Callable[..., Path], capsys: Any) -> None:
    a, b = (write_attacks(tmp_path / name, order(40, hits)) for name, hits in (("a", 0), ("b", 30)))
    assert main(["compare", str(a), str(b), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["of"], found["verdict"], found["a"]["folder"]) == ("attacks", "worse", "a")
    assert found["opened"] == ["order (10 s): key or speech"]
    assert main(["compare", str(a), str(a), "--attack-margin", "20"]) == 0
    sweep = make_run("sweep", [20.0] * 10)
    assert main(["compare", str(sweep), str(a)]) == 2
    assert "sweep has no attacks and " in capsys.readouterr().err
    write_attacks(sweep, order(40, 0))
    assert main(["compare", str(sweep), str(a)]) == 0
    assert "Only attacks are compared" in capsys.readouterr().out
