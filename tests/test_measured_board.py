"""README.md and docs/board.md say what docs/board.json says."""

import importlib.util
from pathlib import Path

import pytest

from wrongkey.attacks.board.protocol import open_protocol
from wrongkey.errors import BadInput
from wrongkey.reports.scheme_board.gather import read_board
from wrongkey.reports.scheme_board.overview import overview_table

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("measured_board", ROOT / "docs/measured_board.py")
assert SPEC is not None and SPEC.loader is not None
measured_board = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(measured_board)


@pytest.fixture(scope="module")
def board():
    return read_board(ROOT / "docs")


@pytest.fixture(scope="module")
def windows():
    return read_board(ROOT / "docs/board-windows.json")


def test_the_pages_are_made_of_the_files(board, windows):
    for page, text in measured_board.pages(board, windows).items():
        assert page.read_text(encoding="utf-8") == text, f"run python docs/measured_board.py: {page.name} is older"


def test_a_page_that_lost_its_markers_is_refused(board, windows, tmp_path, monkeypatch):
    page = tmp_path / "board.md"
    page.write_text((ROOT / "docs/board.md").read_text().replace("<!-- board leaks: begin -->", ""))
    monkeypatch.setattr(measured_board, "PAGES", (page, ROOT / "README.md"))
    with pytest.raises(BadInput, match="No page has the line <!-- board leaks: begin -->"):
        measured_board.pages(board, windows)


def test_the_board_is_of_the_shipped_protocol(board):
    assert board.protocol.hash == open_protocol("speech-v1").hash
    assert board.rows and all(row.recordings == "real" for row in board.rows if row.attacks)


def test_the_board_of_windows_is_of_the_protocol_beside_the_benchmarks(windows):
    assert windows.protocol.hash == open_protocol(str(ROOT / "benchmarks/windows-v1.toml")).hash
    assert {row.scheme for row in windows.rows} == set(windows.content["schemes"])


def test_a_board_of_another_protocol_is_not_joined(board):
    other = board.model_copy(update={"protocol": board.protocol.model_copy(update={"name": "mine"})})
    with pytest.raises(BadInput, match="x is of another protocol than speech-v1 and windows-v1: leave it out"):
        list(measured_board._joined([(Path("x"), other)]))


def test_every_scheme_of_the_board_stands_in_both_pages(board):
    for page in (ROOT / "README.md", ROOT / "docs/board.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        for scheme in overview_table(board)["Scheme"]:
            assert any(line.startswith(f"| {scheme} |") for line in lines)


def test_claims_are_counted_over_schemes_and_not_over_the_reference(board):
    tried = [
        one
        for row in board.rows
        if row.block is not None
        for one in row.attacks
        if one.seconds is not None and set(one.needs) <= {"ciphertext", "other speech", "ciphertext of many"}
    ]
    tried = [one for one in tried if one.asset != "identity"]
    said = measured_board.claims(board)
    assert f"had {sum(one.trials for one in tried):,} trials and claimed success in" in said
    assert f"in {sum(one.claimed or 0 for one in tried):,} of them. False were" in said
    assert f"False were {sum(one.claimed_wrong or 0 for one in tried)} of " in said
    assert all(one.attack in said for one in tried if one.claimed_wrong)


def test_the_keystream_cipher_stands_only_if_nothing_is_claimed_of_it(board):
    (row,) = [row for row in board.rows if row.reference]
    claimed = row.model_copy(update={"attacks": [row.attacks[0].model_copy(update={"claimed": 1})]})
    for reference, word in ((row, "stands"), (claimed, "does not stand")):
        shown = board.model_copy(update={"rows": [reference if one is row else one for one in board.rows]})
        (line,) = [line for line in measured_board.overview(shown).splitlines() if "| Keystream cipher |" in line]
        assert f"| {word} |" in line


def test_only_what_stands_between_its_markers_is_replaced():
    text = "a\n<!-- board rows: begin -->\nold\n<!-- board rows: end -->\nb\n<!-- board other: begin -->\nkept\n"
    placed = measured_board.placed(text, {"rows": "| \\1 |\n"})
    assert placed == text.replace("old\n", "| \\1 |\n")
