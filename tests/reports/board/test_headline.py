"""The board in a sentence, and what a reader must know beside it."""

import json

import pytest

from tests.reports.attack_folders import random_keys, rows
from tests.reports.board.test_cells import FOUND, attacks, order, sweep
from wrongkey.reports.board import board, board_table

NEAR = [8.0] * 40 + [30.0] * 360


def test_the_weakest_adversary_and_the_price_are_named(tmp_path):
    runs = [
        attacks(tmp_path / scheme, [*order(10, 10), *random_keys()], scheme=scheme, block_size=10)
        for scheme in ("shuffling", "rom", "flipping")
    ]
    shown = board([], runs)
    assert shown.verdict == "no" and shown.answer == "No at M = 10, for ROM, Flipping and Shuffling alike:"
    assert shown.rest == (
        "an eavesdropper who records 5 s of one speaker’s encrypted speech, and knows nothing else, gets it back "
        "in about 2 CPU seconds. That breaks every row."
    )


def test_one_row_is_not_counted(tmp_path):
    table = rows("told", "4 known blocks, clean", [FOUND] * 10)
    shown = board([], [attacks(tmp_path / "a", [*table, *random_keys()])])
    assert shown.headline == (
        "No for ROM at M = 4: someone in the room who knows some of the plain speech gets the speech back in about "
        "2 CPU seconds."
    )


def test_guesses_alone(make_run):
    results = [
        sweep(make_run, "a", NEAR), sweep(make_run, "b", NEAR[30:], block_size=5),
        sweep(make_run, "c", scheme="flipping"),
    ]  # fmt: skip
    shown = board(results, [])
    assert shown.verdict == "no" and shown.headline == (
        "No for ROM at M = 3 and 5: an unauthorised user who may ask the encrypted model guesses a key that works as "
        "well as the correct one (about 10 and 37 guesses). That breaks 2 of 3 rows. Held here, which is no proof of "
        "safety: Flipping at M = 3."
    )


def test_guesses_beside_an_attack(make_run, tmp_path):
    results = [sweep(make_run, "a", NEAR), sweep(make_run, "b", [9.0] * 40, scheme="shuffling", block_size=10)]
    shown = board(results, [attacks(tmp_path / "a", [*order(10, 10), *random_keys()], scheme="flipping")])
    assert "Guessing is cheap against ROM at M = 3 (about 10 guesses) and Shuffling at M = 10" in shown.rest
    assert "M = 10 (a typical wrong key works)." in shown.rest
    assert shown.answer == "No for Flipping at M = 4:" and "That breaks 1 of 3 rows." in shown.rest


def test_nothing_broken_is_never_called_safe(make_run, tmp_path):
    held = board([], [attacks(tmp_path / "a", [*order(0, 30), *random_keys()])])
    assert held.verdict == "yes" and held.headline == (
        "Not shown to break for ROM at M = 4: no adversary who was tried did. That nothing was broken by what was "
        "tried is no proof of safety."
    )
    weak = board([sweep(make_run, values=[12.0] * 40 + [30.0] * 360)], [])
    assert weak.verdict == "partly" and weak.answer == "Weakened for ROM at M = 3:"
    assert "the weakest adversary who gains something is an unauthorised user (about 10 guesses to within" in weak.rest
    unclear = board([], [attacks(tmp_path / "b", [*order(0, 3), *random_keys()])])
    assert unclear.verdict == "unclear" and "does not decide" in unclear.rest
    for shown in (held, weak, unclear):
        assert "no proof of safety" in shown.headline


def test_an_empty_board():
    shown = board([], [])
    assert shown.verdict == "unclear" and shown.rows == () and len(board_table(shown)) == 0
    assert "<caption>" in shown._repr_html_()


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([("rom", 3)], "No for ROM at M = 3:"),
        ([("rom", 3), ("rom", 5), ("rom", 10)], "No for ROM at M = 3, 5 and 10:"),
        ([("rom", 3), ("flipping", 3)], "No at M = 3, for ROM and Flipping alike:"),
        ([("rom", 3), ("rom", 5), ("flipping", 3)], "No for ROM at M = 3 and 5, and for Flipping at M = 3:"),
    ],
)
def test_settings_in_words(tmp_path, sizes, words):
    runs = [
        attacks(tmp_path / f"{scheme}{size}", [*order(10, 10), *random_keys()], scheme=scheme, block_size=size)
        for scheme, size in sizes
    ]
    assert board([], runs).answer == words


def test_each_caution_is_said_once(make_run, tmp_path):
    results = [
        sweep(make_run, name, corpus_recordings="synthetic", block_size=size, keys=500, correct=12.0)
        for name, size in (("a", 3), ("b", 5))
    ]
    runs = [
        attacks(tmp_path / f"s{size}", [*order(3, 3), *random_keys()], block_size=size, setting={"recordings": None})
        for size in (3, 5)
    ]
    said = board(results, runs).cautions
    assert said[:2] == (
        "Some runs: synthetic voices: not evidence. These numbers show that the experiment runs, nothing more.",
        "Some runs: the corpus does not say whether its recordings are real: not evidence until it does.",
    )
    assert "Few trials: some cells rest on fewer than 10 (order 3)." in said
    assert "12 of 28 cells were not tried." in said
    assert "Self-checks failed, so do not trust “RawNeXt, ROM, M = 3” and “RawNeXt, ROM, M = 5”." in said
    assert "Unfinished: “RawNeXt, ROM, M = 3” and “RawNeXt, ROM, M = 5”." in said
    assert len(set(said)) == len(said)


def test_a_plain_model_that_fails_leaves_guessing_unclear(make_run):
    shown = board([sweep(make_run, values=[99.0] * 400, task="asr", metric="wer", plain=93.2, correct=93.2)], [])
    assert shown.rows[0].cells[0].state == "unclear" and "near chance" in shown.rows[0].cells[0].sentence
    assert "The plain model fails, so that there is nothing to protect: “RawNeXt”." in shown.cautions


def test_names_of_strangers_are_text(make_run, tmp_path):
    """Markup, control signs and overrides of the direction of writing stay visible and do nothing."""
    evil = "<script>alert(1)</script>\u202e\x1b[31m`rm`"
    result = sweep(make_run, model=evil, corpus=evil, config={"model_spec": evil, "corpus_spec": evil})
    run = attacks(tmp_path / "a", [*order(10, 10), *random_keys()], scheme="flipping", setting={"corpus": evil})
    shown = board([result], [run])
    html, text = shown._repr_html_(), json.dumps(shown.to_dict(), ensure_ascii=False)
    assert "<script" not in html and "&lt;script&gt;" in html
    for sign in ("\u202e", "\x1b"):
        assert sign not in html and sign not in text and sign not in board_table(shown).to_csv()
    assert 'scope="col"' in html and 'scope="row"' in html


def test_the_table_has_a_row_of_strings_for_each_row(tmp_path):
    shown = board([], [attacks(tmp_path / "a", [*order(10, 10), *random_keys()])])
    table = board_table(shown)
    assert table["eavesdropper"][0] == "Broken: 5 s of speech · 2 s CPU, 10 of 10 keys [72, 100 %], exact"
    assert table["Setting"][0].startswith("ROM, M = 4 (") and table["unauthorised user"][0] == "Does not apply"
    read = json.loads(json.dumps(shown.to_dict(), allow_nan=False))
    assert read["rows"][0]["cells"][1]["state"] == "broken" and read["columns"][1]["name"] == "eavesdropper"
    assert repr(shown) == "Board('no', 1 rows × 7 adversaries)"
