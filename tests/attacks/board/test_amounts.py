"""With which amounts of ciphertext a board tries an attack."""

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from wrongkey.attacks.base import CompleteAttack
from wrongkey.attacks.board import running
from wrongkey.attacks.board.amounts import worth_less
from wrongkey.attacks.board.cells import planned_cells
from wrongkey.attacks.board.entries import open_entry
from wrongkey.attacks.board.folder import BoardFolder
from wrongkey.attacks.board.protocol import HERE, open_protocol
from wrongkey.attacks.board.running import How, run_cell
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.errors import BadInput

MISS, HIT, HEARD = {"key_error": 1.4, "snr": 0.1}, {"key_error": 0.02, "snr": 34.0}, {"key_error": 0.3, "snr": 24.0}


def folder(*rows, failed=""):
    """Trials with 75 s of ciphertext."""
    table = pd.DataFrame([{**row, "given_seconds": 75.0, "failed": failed} for row in rows])
    return cast(AttackFolder, SimpleNamespace(rows=lambda name: table))


def attack(wants_key=True):
    return cast(CompleteAttack, SimpleNamespace(name="mine", wants_key=wants_key))


@pytest.mark.parametrize(
    "rows, expected", [([MISS] * 10, False), ([MISS] * 9 + [HIT], True), ([MISS, HEARD], True), ([], False)]
)
def test_less_is_worth_a_try_where_more_broke_something(rows, expected):
    assert worth_less(attack(), folder(*rows), 75.0) is expected


def test_another_amount_says_nothing_of_this_one():
    assert not worth_less(attack(), folder(HIT), 10.0)


def test_a_trial_that_broke_down_broke_no_key():
    assert not worth_less(attack(), folder(HIT, failed="an error"), 75.0)


def test_an_attack_without_a_key_has_every_amount():
    assert worth_less(attack(wants_key=False), folder(MISS), 75.0)


def test_the_most_ciphertext_comes_first(tmp_path, monkeypatch):
    text = (HERE / "smoke.toml").read_text(encoding="utf-8").replace('name = "smoke"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    protocol, board = open_protocol(str(tmp_path / "mine.toml")), BoardFolder(tmp_path / "board")
    board.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("rom")], [20])
    ran: list[tuple[Any, list[str]]] = []

    def run(config, attacks, out, **_):
        ran.append((config.seconds, [one.name for one in attacks]))
        raise BadInput("Not run.")

    config = AttackConfig("bundled", block=20, seconds=(5.0, 75.0, 20.0))
    monkeypatch.setattr(running, "attack_config", lambda *_: config)
    monkeypatch.setattr(running, "run_attacks", run)
    monkeypatch.setattr(
        running, "rounds", lambda _, some, *__: [dict.fromkeys([one.name for one in some], 1)] if some else []
    )
    monkeypatch.setattr(running, "settling", lambda *_: set())
    monkeypatch.setattr(running, "worth_less", lambda one, _, seconds: one.name == "polyphase" and seconds > 20)
    run_cell(protocol, None, board, cell, ("attacks",), How())  # type: ignore[arg-type]
    (most, everything), (less, promising) = ran
    assert (most, less) == ((75.0,), (20.0,))
    assert promising == ["polyphase"] and set(everything) > {"polyphase"}
