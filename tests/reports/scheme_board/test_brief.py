"""The board in tables of short cells."""

import pytest

from tests.reports.scheme_board.board_folders import write_cell, write_keystream, write_protocol
from wrongkey.reports.scheme_board.brief import break_words, breaks_table, leaks_table, without_constants
from wrongkey.reports.scheme_board.gather import gather
from wrongkey.reports.scheme_board.schema import Break

KNOWN = Break(attack="known-plaintext", given="1 known block, clean", asset="key", known_blocks=1, cpu_seconds=0.0023)


@pytest.fixture
def board(tmp_path):
    folder = write_protocol(tmp_path / "board")
    write_cell(folder, "rom", 4, seconds=(5,))
    write_cell(folder, "rom", 8, broken=False, claims=False)
    write_keystream(folder)
    return gather(folder)


def changed(board, block, **cells):
    """The board with some cells of a row changed, by adversary with underscores."""
    rows = []
    for row in board.rows:
        changes = {name.replace("_", " "): update for name, update in cells.items()} if row.block == block else {}
        new = [cell.model_copy(update=changes.get(cell.adversary, {})) for cell in row.cells]
        rows.append(row.model_copy(update={"cells": new}))
    return board.model_copy(update={"rows": rows})


def of(board, block):
    """The row of a block size in the table of adversaries, by heading."""
    table = breaks_table(board)
    return table[table["M"] == str(block)].iloc[0].to_dict()


def test_who_needs_the_same_everywhere_shares_a_column(board):
    assert list(breaks_table(board)) == [
        *("Scheme", "M", "Unauthorised user", "Eavesdropper"),
        *("Provider, provider of a public model, insider with names", "Someone in the room, borrowed device"),
    ]
    assert list(of(board, 4).values())[2:] == ["–", "5 s · 2 s", "=", "="]
    assert list(of(board, 8).values())[3:5] == ["not shown", "not run"]


def test_what_is_quicker_stands_behind_what_the_eavesdropper_needs(board):
    also = {"also": "known-plaintext: 1 known block, clean · 2.3 ms CPU"}
    row = of(changed(board, 4, someone_in_the_room=also, borrowed_device=also), 4)
    assert row["Someone in the room, borrowed device"] == "= or 1 known block, clean · 2.3 ms"


def test_a_break_of_a_stronger_adversary_alone_has_its_own_price(board):
    broken = {"state": "broken", "case": KNOWN}
    row = of(changed(board, 8, someone_in_the_room=broken, borrowed_device=broken | {"also": "x: 1 s CPU"}), 8)
    assert row["Someone in the room, borrowed device"] == "1 known block, clean · 2.3 ms"


def test_a_column_refers_to_the_one_to_its_left(board):
    broken = {"state": "broken", "case": KNOWN}
    both = changed(board, 8, someone_in_the_room=broken, borrowed_device=broken)
    row = of(changed(both, 4, borrowed_device={"also": "known-plaintext: 1 known block · 1 ms CPU"}), 8)
    assert (row["Someone in the room"], row["Borrowed device"]) == ("1 known block, clean · 2.3 ms", "←")


def test_a_break_is_said_with_its_asset_its_trials_and_its_claims(board):
    (row,) = [row for row in board.rows if row.block == 4]
    cell = row.cells[1]
    words = break_words(row, cell)
    assert words.startswith("order: 5 s of speech · 2 s CPU; ") and " in 12 of 12 trials [76, 100 %]" in words
    assert words.endswith("; claimed 12")
    wrong = cell.model_copy(update={"case": cell.case.model_copy(update={"claimed": 9, "claimed_wrong": 1})})
    assert break_words(row, wrong).endswith("; claimed 9, 1 of them wrong")
    silent = cell.model_copy(update={"case": cell.case.model_copy(update={"claimed": None, "claimed_wrong": None})})
    assert break_words(row, silent).endswith("; makes no claims")


def test_leaks_and_costs_are_numbers_and_dashes(board):
    told = "Ciphertext tells without any key how loud it is (correlation 0.98), where there is speech (99 % right)."
    rows = [row.model_copy(update={"leaks": told}) if row.block == 4 else row for row in board.rows]
    table = leaks_table(board.model_copy(update={"rows": rows})).set_index("M")
    assert table.loc["4", "Loudness, correlation"] == "0.98" and table.loc["8", "Loudness, correlation"] == "–"
    assert table.loc["4", "Speech or pause, % right"] == "99"
    (row, _) = [row for row in board.rows if row.block]
    assert float(table.loc["4", "User, ms a second"]) == pytest.approx(1000 * row.cost.user_seconds, rel=0.05)


def test_what_is_the_same_everywhere_leaves_the_table(board):
    kept, same = without_constants(breaks_table(board)[["Scheme", "M"]])
    assert list(kept) == ["M"] and same == {"Scheme": "ROM"}


def test_minutes_of_ciphertext_have_no_exponent(board):
    long = Break(attack="polyphase", given="120 s of ciphertext", asset="key", seconds=120.0, cpu_seconds=240.0)
    row = of(changed(board, 4, eavesdropper={"case": long}), 4)
    assert row["Eavesdropper"] == "120 s · 240 s"
