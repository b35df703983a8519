"""What is written of a board: its files, its page, its schema."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.reports.scheme_board.board_folders import write_cell, write_keystream, write_protocol, write_record
from tests.reports.strength_folders import write_strength
from wrongkey.errors import BadInput
from wrongkey.reports.scheme_board.figures import figures_of, seconds_figure, seconds_words
from wrongkey.reports.scheme_board.gather import gather, read_board
from wrongkey.reports.scheme_board.schema import SchemeBoard
from wrongkey.reports.scheme_board.table import attack_table
from wrongkey.reports.scheme_board.write import check_free, write_board

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    found = write_protocol(tmp_path / "board")
    write_cell(found, "rom", 4, seconds=(5, 25))
    write_cell(found, "rom", 8, broken=False, claims=True)
    write_keystream(found)
    return found


def test_the_files_hold_the_same_board(folder):
    board = gather(folder)
    files = write_board(board, folder)
    assert read_board(folder) == board
    table = pd.read_csv(files.table)
    assert len(table) == len(board.rows) and not table.isna().any().any()
    assert "12 of 12" in files.markdown.read_text() and "12 of 12" in files.page.read_text()
    assert "Claimed and wrong" in files.markdown.read_text()


def test_the_board_is_the_same_bytes_every_time(folder, tmp_path):
    one, two = (write_board(gather(folder), tmp_path / name) for name in ("one", "two"))
    assert all(first.read_bytes() == second.read_bytes() for first, second in zip(one, two, strict=True))


def test_names_from_a_folder_are_shown_and_not_obeyed(folder):
    write_record(folder, "mine", why_no_model="<script>alert(1)</script>\x1b[31m")
    page = write_board(gather(folder), folder).page.read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "\x1b" not in page


def test_a_name_that_a_spreadsheet_would_compute_is_text(folder):
    write_record(folder, "=1+1")
    table = write_board(gather(folder), folder).table.read_text()
    assert "\n'=1+1," in table and "\n=1+1" not in table


def test_no_path_of_the_machine_is_handed_out(folder):
    why = "/home/somebody/data/secret.wav cannot be read (Permission denied): check its permissions."
    write_record(folder, "mine", parts={"attacks": {"state": "not run", "why": why}})
    files = write_board(gather(folder), folder)
    assert all("secret.wav cannot be read" in file.read_text() and "somebody" not in file.read_text() for file in files)


def test_the_figure_shows_the_fewest_seconds_and_what_was_not_broken(folder):
    board = gather(folder)
    assert seconds_words(board) == "ROM: M = 4: 5 s, M = 8: not shown to break with 5 s."
    assert seconds_figure(board) is not None
    assert set(figures_of(board)) == {"seconds-to-break"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "ROM: M = 8: not shown to break with 5 s."),
        ({"verdict": "undecided"}, "ROM: M = 8: weakened or undecided with 5 s."),
        ({"verdict": "weakened"}, "ROM: M = 8: weakened or undecided with 5 s."),
        ({"needs": ["ciphertext", "known plaintext"]}, ""),
    ],
)
def test_the_figure_tells_failures_from_what_is_open(folder, changed, words):
    board = gather(folder)
    (row,) = (row for row in board.rows if row.block == 8)
    row = row.model_copy(update={"attacks": [row.attacks[0].model_copy(update=changed)]})
    shown = board.model_copy(update={"rows": [row]})
    assert seconds_words(shown) == words and (seconds_figure(shown) is not None) == bool(words)


def test_two_entries_of_one_name_are_two_lines(folder):
    board = gather(folder)
    row = next(row for row in board.rows if row.block == 4)
    other = row.model_copy(update={"source": row.source.model_copy(update={"hash": "e" * 64}), "block": 5})
    shown = board.model_copy(update={"rows": [row, other]})
    assert seconds_words(shown) == "ROM (cccccc): M = 4: 5 s. ROM (eeeeee): M = 5: 5 s."
    assert list(attack_table(shown)["Scheme"].unique()) == ["ROM (cccccc), M = 4", "ROM (eeeeee), M = 5"]


def test_an_attack_of_which_every_trial_broke_down_is_not_judged(folder):
    board = gather(folder)
    (row,) = (row for row in board.rows if row.block == 8)
    changed = {"trials": 0, "failed": 12, "successes": None, "cpu_seconds": None}
    row = row.model_copy(update={"attacks": [row.attacks[0].model_copy(update=changed)]})
    (shown,) = attack_table(board.model_copy(update={"rows": [row]})).to_dict("records")
    assert (shown["Successes"], shown["CPU s"]) == ("all 12 trials broke down", "not measured")


def test_a_joined_board_overwrites_nothing_else(folder, tmp_path):
    write_board(gather(folder), folder)
    with pytest.raises(BadInput, match=r"holds one of the boards that are joined: choose another --out\.$"):
        check_free(folder, [folder / "board.json"])
    with pytest.raises(BadInput, match=r"holds cells: choose an empty or new folder with --out\.$"):
        check_free(folder, [])
    write_board(gather(folder), tmp_path / "joined")
    check_free(tmp_path / "joined", [folder / "board.json"])
    check_free(tmp_path / "new", [folder / "board.json"])


def test_strengths_survive_in_the_file_and_are_drawn(folder):
    write_strength(folder / "runs" / write_record(folder, "flipping", 10, model="asv-raw10"))
    board = gather(folder)
    row = next(row for row in board.rows if row.scheme == "flipping")
    assert row.effective_bits.value == 13.8 and row.strength is not None and "history" not in row.strength
    write_board(board, folder)
    assert "strength" in figures_of(read_board(folder))


def test_strengths_of_two_entries_of_one_name_have_marks_of_their_own(folder):
    write_strength(folder / "runs" / write_record(folder, "flipping", 10, model="asv-raw10"))
    board = gather(folder)
    row = next(row for row in board.rows if row.scheme == "flipping")
    other = row.model_copy(update={"source": row.source.model_copy(update={"hash": "e" * 64})})
    figure, _, words = figures_of(board.model_copy(update={"rows": [row, other]}))["strength"]
    assert "Flipping (cccccc), M = 10: " in words and "Flipping (eeeeee), M = 10: " in words
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"Flipping (cccccc)", "Flipping (eeeeee)"} <= set(labels)


@pytest.mark.parametrize(("nominal", "words"), [(111.3, "111 bits; effective: 13.8 ["), (None, ">effective: 13.8 [")])
def test_effective_bits_stand_beside_the_nominal_ones_or_alone(folder, nominal, words):
    write_strength(folder / "runs" / write_record(folder, "flipping", 10, model="asv-raw10"))
    board = gather(folder)
    bits = board.rows[0].nominal_bits.model_copy(update={"value": nominal, "words": "111" if nominal else "–"})
    rows = [row.model_copy(update={"nominal_bits": bits}) for row in board.rows]
    assert words in write_board(board.model_copy(update={"rows": rows}), folder).page.read_text()


def test_a_board_needs_no_torch():
    code = "import sys, wrongkey.reports.scheme_board.write; print(*{'torch', 'wrongkey.attacks'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "\n", done.stderr


def test_every_field_is_documented():
    documented = (ROOT / "docs" / "board.md").read_text(encoding="utf-8")
    schema = SchemeBoard.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    fields = {name for part in parts for name in part.get("properties", {})}
    missing = {name for name in fields if not re.search(rf"`[^`]*\b{name}\b[^`]*`", documented)}
    assert not missing
