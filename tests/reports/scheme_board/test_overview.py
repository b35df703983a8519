"""The board at a glance."""

import pytest

from tests.reports.attack_folders import random_keys, rows, write_attacks, write_scores
from tests.reports.scheme_board.board_folders import DONE, write_cell, write_keystream, write_protocol, write_record
from wrongkey.reports.scheme_board.gather import gather
from wrongkey.reports.scheme_board.overview import LEGEND, NO_ATTACK_APPLIES, overview_table, shortly
from wrongkey.reports.scheme_board.schema import Break
from wrongkey.reports.scheme_board.table import result
from wrongkey.reports.scheme_board.words import UNFINISHED
from wrongkey.reports.scheme_board.write import write_board


@pytest.fixture
def folder(tmp_path):
    return write_protocol(tmp_path / "board")


def test_a_row_for_each_scheme_and_a_column_for_each_block_size(folder):
    write_cell(folder, "rom", 4, seconds=(5, 25))
    write_cell(folder, "rom", 12, broken=False)
    write_cell(folder, "flipping", 4, seconds=(7.8,))
    write_record(folder, "mine", 12, parts={"attacks": {"state": "does not apply", "why": "It has no key."}})
    write_keystream(folder)
    table = overview_table(gather(folder))
    assert list(table.columns) == ["Scheme", "M = 4", "M = 12"]
    assert table.values.tolist() == [
        ["ROM", "5 s", "not shown to break, of speech alone"],
        ["Flipping", "7.8 s", "not run"],
        ["mine", "not run", "–"],
    ]


def test_two_codes_of_one_scheme_are_two_rows(folder):
    write_cell(folder, "rom", 4)
    board = gather(folder)
    (row,) = board.rows
    other = row.model_copy(update={"source": row.source.model_copy(update={"hash": "e" * 64})})
    table = overview_table(board.model_copy(update={"rows": [row, other]}))
    assert list(table["Scheme"]) == ["ROM (cccccc)", "ROM (eeeeee)"]


CASE = Break(attack="mine", given="75 s of ciphertext", asset="key", seconds=75.0)


UNNEEDED = CASE.model_copy(update={"attack": "no attack", "seconds": None})


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"unauthorised user": None}, "guessing"),
        ({"unauthorised user": None, "eavesdropper": CASE, "provider": CASE}, "75 s, guessing"),
        ({"provider": CASE}, "provider: 75 s"),
        ({"someone in the room": CASE.model_copy(update={"seconds": None})}, "someone in the room"),
        ({"eavesdropper": CASE.model_copy(update={"seconds": None})}, "eavesdropper"),
        ({"eavesdropper": CASE.model_copy(update={"seconds": 120.04})}, "120 s"),
        ({"unauthorised user": UNNEEDED}, "any key"),
        ({"unauthorised user": UNNEEDED, "eavesdropper": CASE}, "75 s, any key"),
        ({"unauthorised user": UNNEEDED, "eavesdropper": UNNEEDED}, "5 s, any key"),
    ],
)
def test_who_breaks_it_and_with_what(folder, broken, words):
    write_cell(folder, "rom", 4)
    (row,) = gather(folder).rows
    cells = [
        cell.model_copy(
            update={
                "state": "broken" if cell.adversary in broken else "not shown to break",
                "case": broken.get(cell.adversary),
            }
        )
        for cell in row.cells
    ]
    assert shortly(row.model_copy(update={"cells": cells, "weakest": next(iter(broken))})) == words


def test_an_eavesdropper_who_was_hardly_tried_is_not_passed_over(folder):
    write_cell(folder, "rom", 4)
    (row,) = gather(folder).rows
    tried = CASE.model_copy(update={"trials": 1, "successes": 0})
    of = {"eavesdropper": ("undecided", tried), "someone in the room": ("broken", CASE)}
    cells = [
        cell.model_copy(update=dict(zip(("state", "case"), of.get(cell.adversary, ("not run", None)), strict=True)))
        for cell in row.cells
    ]
    shown = row.model_copy(update={"cells": cells, "weakest": "someone in the room"})
    assert shortly(shown) == "undecided (1 trial); someone in the room: 75 s"


@pytest.mark.parametrize(
    ("changed", "before"),
    [
        ({"trials": 1}, "undecided (1 trial); "),
        ({"trials": 0, "failed": 2}, "undecided; "),
        ({"trials": 1, "needs": ["known plaintext"]}, ""),
        ({"trials": 1, "asset": "identity"}, ""),
        ({"trials": 10}, ""),
    ],
)
def test_one_attack_of_an_eavesdropper_that_was_hardly_tried_is_not_passed_over(folder, changed, before):
    """The attack with most trials gives the state of the cell."""
    write_cell(folder, "rom", 4, broken=False, claims=False)
    (row,) = gather(folder).rows
    few = row.attacks[0].model_copy(update={"attack": "of-many", **changed})
    room = {"state": "broken", "case": CASE.model_copy(update={"seconds": None})}
    cells = [one.model_copy(update=room if one.adversary == "someone in the room" else {}) for one in row.cells]
    shown = row.model_copy(update={"attacks": [*row.attacks, few]})
    broken = shown.model_copy(update={"cells": cells, "weakest": "someone in the room"})
    assert shortly(broken) == f"{before}someone in the room"
    held = before.removesuffix("; ") or "not shown to break"
    assert shortly(shown) == f"{held}, of speech alone"


def test_an_eavesdropper_whose_attacks_do_not_apply_is_not_said_to_fail(folder):
    run = folder / "runs" / write_record(folder, parts=DONE)
    known = {"order": ["ciphertext"], "told": ["known plaintext"], "learned": ["encrypted model", "other speech"]}
    told = rows("told", "5 known blocks", [0.01] * 12)
    write_attacks(run, told + random_keys(), obstacles=("order", "learned"), known=known)
    (row,) = gather(folder).rows
    assert shortly(row) == f"{NO_ATTACK_APPLIES}; someone in the room"
    (heard,) = [one for one in row.cells if one.adversary == "eavesdropper"]
    assert heard.words == "does not apply: order: No model"


def test_a_cell_that_stopped_before_its_first_attack_is_no_result_yet(folder):
    """Its random keys were swept, so that it has a run folder with scores and without attacks."""
    name = write_record(folder, model="toy", why_no_model="")
    write_scores(folder / "runs" / name, 8.0, [45.0] * 400)
    (row,) = gather(folder).rows
    assert UNFINISHED in row.notes and shortly(row) == "unfinished"


@pytest.mark.parametrize("why", ["", "A trial of order failed."])
def test_a_cell_whose_later_attacks_did_not_run_is_unfinished(folder, why):
    """It was stopped, or failed, between its two runs of attacks, of which the first says that it ended."""
    write_cell(folder, broken=False, claims=False, parts={"attacks": {"state": "not run", "why": why}})
    (row,) = gather(folder).rows
    assert UNFINISHED in row.notes and shortly(row) == "unfinished"


def test_what_is_unfinished_is_no_result_yet(folder):
    write_cell(folder, "rom", 4, broken=False)
    write_cell(folder, "rom", 8, broken=True)
    rows = [row.model_copy(update={"notes": [*row.notes, UNFINISHED]}) for row in gather(folder).rows]
    assert {row.block: shortly(row) for row in rows} == {4: "unfinished", 8: "5 s"}


def test_page_and_markdown_begin_with_it(folder):
    write_cell(folder, "rom", 4, seconds=(5, 25))
    files = write_board(gather(folder), folder)
    assert "| Scheme | M = 4 |\n| :--- | ---: |\n| ROM | 5 s |" in files.markdown.read_text()
    assert files.page.read_text().index("At a glance") < files.page.read_text().index("Every adversary")


def test_a_board_of_the_reference_alone_has_none(folder):
    write_keystream(folder)
    files = write_board(gather(folder), folder)
    assert "At a glance" not in files.page.read_text() and LEGEND[:30] not in files.markdown.read_text()


def test_someone_in_the_room_has_no_article(folder):
    write_cell(folder, "rom", 4)
    board = gather(folder)
    (row,) = board.rows
    shown = board.model_copy(update={"rows": [row.model_copy(update={"weakest": "someone in the room"})]})
    assert result(shown.rows[0]) == "broken by someone in the room"
    assert result(row) == "broken by the eavesdropper"
    page = write_board(board, folder).page.read_text()
    assert "as for the someone" not in page and "as for the eavesdropper" in page
