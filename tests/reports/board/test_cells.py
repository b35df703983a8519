"""A cell for each setting and adversary: what is known, at what price, how sure, and what tries the rest."""

import json
import shlex

import numpy as np
import pandas as pd
import pytest

from tests.narrow import present
from tests.reports.attack_folders import random_keys, rows, write_attacks, write_scores
from wrongkey.cli import parser
from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.rows import load_attacks
from wrongkey.reports.board import State, board
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import summarise

FOUND, LOST = 0.02, 1.4
USER, EAVESDROPPER, PROVIDER, ROOM, INSIDER = (
    "unauthorised user", "eavesdropper", "provider", "someone in the room", "insider with names"
)  # fmt: skip
KNOWN = {"order": ["ciphertext"], "told": ["known plaintext"], "weights": ["encrypted model"], "ask": ["answers"]}


def order(hits, n, **columns):
    return rows("order", "5 s of ciphertext", [FOUND] * hits + [LOST] * (n - hits), seconds=5.0, **columns)


def attacks(folder, table, *, setting=None, **more):
    write_attacks(folder, table, **more)
    path = folder / "attacks/suite.json"
    suite = json.loads(path.read_text())
    suite["setting"] |= {"rate": 16000.0, "recordings": "real", **(setting or {})}
    path.write_text(json.dumps(suite))
    return present(load_attacks(folder))


def sweep(make_run, name="run", values=None, **more):
    values = 30 + np.linspace(0, 5, 400) if values is None else values
    return summarise(load_run(make_run(name, values, **more)))


def cells(shown, row=0):
    return {cell.adversary: cell for cell in shown.rows[row].cells}


def test_speech_alone_that_is_broken(tmp_path):
    shown = board([], [attacks(tmp_path / "a", [*order(5, 5), *random_keys()], known=KNOWN)])
    found = cells(shown)
    cell = found[EAVESDROPPER]
    assert (cell.state, cell.icon) == (State.BROKEN, "✕")
    assert cell.price == "5 s of speech · 2 s CPU" and cell.sure == "5 of 5 keys [57, 100 %], exact"
    assert cell.sentence.startswith("Broken: the key, the speech and who speaks. Order (5 s of ciphertext) decrypts")
    assert "decrypted speech is exact" in cell.sentence and "150 dB" not in cell.sentence
    assert cell.caution == "Only 5 trials." and cell.command is None
    assert found[USER].state is State.NOT_APPLICABLE and "no model whose answers" in found[USER].sentence
    assert list(found) == [one.name for one in ADVERSARIES] == [column.name for column in shown.columns]


def test_what_was_not_tried_has_the_whole_command(make_run):
    """Every setting of the sweep, in words that a shell takes as they are."""
    result = sweep(
        make_run, "own run", config={
            "model_spec": "my models:make", "corpus_spec": "librispeech:/home/someone/Libri Speech", "text": "basic",
            "per_speaker": 4, "same_gender": True, "sessions": "disjoint", "channels": "mix",
        },
    )  # fmt: skip
    found = cells(board([result], []))
    words = shlex.split(present(found[EAVESDROPPER].command))
    assert words == [
        "wrongkey", "attack", "suite", "--model", "my models:make", "--corpus", "librispeech:Libri Speech", "--scheme",
        "rom", "--blocks", "samples", "--block", "3", "--task", "asv", "--text", "basic", "--per-speaker", "4",
        "--same-gender", "--sessions", "disjoint", "--channels", "mix", "--seed", "0", "--keys", "400", "--out",
        "own run-attacks",
    ]  # fmt: skip
    assert found[EAVESDROPPER].state is State.NOT_TRIED and "someone" not in present(found[EAVESDROPPER].command)


def test_guessing_in_vain_says_nothing_about_attacks(make_run):
    found = cells(board([sweep(make_run)], []))
    assert found[USER].state is State.HELD and found[USER].price == "at least 134 guesses"
    assert found[PROVIDER].state is State.NOT_TRIED and "Guessing: none of 400" in found[PROVIDER].sentence
    assert found[ROOM].state is State.NOT_TRIED and "Guessing" not in found[ROOM].sentence  # has no answers


def test_guesses_that_work_count_for_everyone_with_answers(make_run):
    found = cells(board([sweep(make_run, values=[8.0] * 40 + [30.0] * 360)], []))
    assert found[USER].state is found[PROVIDER].state is State.BROKEN
    assert found[USER].price == "about 10 guesses" and found[USER].sure == "40 of 400 keys within 1 point [7.5, 14]"
    assert found[EAVESDROPPER].state is State.NOT_TRIED


def test_a_model_for_which_any_key_does_is_broken(make_run):
    cell = cells(board([sweep(make_run, values=[9.0] * 400)], []))[USER]
    assert cell.state is State.BROKEN and cell.price == "a typical wrong key" and "Without any attack" in cell.sentence


def test_attacks_that_the_folders_know_are_named(tmp_path, make_run):
    other = attacks(tmp_path / "a", [*order(5, 5), *random_keys()], known=KNOWN, scheme="flipping")
    shown = board([sweep(make_run)], [other])
    assert [row.label for row in shown.rows] == ["Flipping, M = 4", "ROM, M = 3"]
    tries = {name: present(cell.command).split()[2] for name, cell in cells(shown, 1).items() if cell.command}
    assert tries[EAVESDROPPER] == "order" and tries[PROVIDER] == "order,weights,ask" and tries[ROOM] == "order,told"
    spoken = cells(shown, 0)[USER]
    assert spoken.state is State.NOT_APPLICABLE  # `ask` is known, and there is no model to ask


def test_what_does_not_apply_is_not_what_was_not_tried(tmp_path):
    table = [*order(0, 10, error=25.0), *random_keys(error=27.0)]
    folder = tmp_path / "a"
    write_attacks(folder, table, model="toy", obstacles=["told"], known={"told": ["known plaintext"]})
    write_scores(folder, 9.0, list(np.linspace(25, 30, 400)), trials=(610, 610))
    found = cells(board([], [present(load_attacks(folder))]))
    assert found[EAVESDROPPER].state is State.HELD and found[EAVESDROPPER].caution == ""
    assert found[ROOM].state is State.HELD  # by the attack on ciphertext: the one with plaintext does not apply
    assert found[USER].state is State.HELD and "Guessing" in found[USER].sentence


def test_the_cheapest_case_is_the_one_shown(tmp_path):
    table = [
        *rows("told", "4 known blocks, clean", [FOUND] * 10),
        *rows("order", "10 s of ciphertext", [FOUND] * 10, seconds=10.0),
        *rows("order", "5 s of ciphertext", [FOUND] * 10, seconds=5.0),
        *random_keys(),
    ]
    found = cells(board([], [attacks(tmp_path / "a", table)]))
    assert found[ROOM].price == found[EAVESDROPPER].price == "5 s of speech · 2 s CPU"
    alone = cells(board([], [attacks(tmp_path / "b", [*table[:10], *random_keys()])]))
    assert alone[ROOM].price == "4 known blocks, clean · 2 s CPU" and alone[EAVESDROPPER].state is State.NOT_TRIED


@pytest.mark.parametrize(
    ("hits", "n", "state"), [(1, 1, State.UNCLEAR), (0, 4, State.UNCLEAR), (0, 30, State.HELD), (14, 30, State.BROKEN)]
)
def test_words_of_verdicts_as_states(tmp_path, hits, n, state):
    cell = cells(board([], [attacks(tmp_path / "a", [*order(hits, n), *random_keys()])]))[EAVESDROPPER]
    assert cell.state is state and bool(cell.price) == (state is State.BROKEN)
    assert bool(cell.caution) == (n < 10)


def test_leaks_are_said_of_the_eavesdropper(tmp_path):
    run = attacks(tmp_path / "a", [*order(0, 10), *random_keys()])
    kind = {"scheme": "rom", "block_size": 4, "blocks": "samples", "metric": "energy"}
    rows_of = pd.DataFrame([{**kind, "condition": "encrypted", "value": value} for value in (0.9, 0.98, 0.99)])
    leaks = Analysis(tmp_path, "leaks", {}, pd.concat([rows_of, rows_of.assign(condition="chance", value=0.1)]))
    found = cells(board([], [run], [leaks]))
    told = "Ciphertext tells without any key how loud it is over time (correlation 0.98)."
    assert found[EAVESDROPPER].sentence.endswith(told) and told not in found[ROOM].sentence
    other = Analysis(tmp_path, "leaks", {}, rows_of.assign(block_size=5))
    assert "Ciphertext tells" not in cells(board([], [run], [other]))[EAVESDROPPER].sentence


def test_commands_are_ones_that_the_command_line_takes(tmp_path, make_run):
    """Of speech alone, of a model that was attacked, and of a sweep of another task."""
    told = [*rows("told", "4 known blocks, clean", [LOST] * 10), *random_keys()]
    alone = attacks(tmp_path / "a", told, known=KNOWN, scheme="flipping")
    path = alone.folder / "attacks/suite.json"
    suite = json.loads(path.read_text())
    config = {"corpus": "bundled", "trials": 12, "seconds": [5.0, 10.0], "background": "kaldi:/data/x", "task": "asv"}
    path.write_text(json.dumps(suite | {"config": {**config, "model": None, "only": None}}))
    recogniser = sweep(make_run, task="asr", metric="wer", config={"text": "none", "same_gender": False})
    shown = board([recogniser], [present(load_attacks(alone.folder))])
    commands = [cell.command for row in shown.rows for cell in row.cells if cell.command]
    words = [shlex.split(command)[1:] for command in commands]  # the attacks of these folders are made up
    parsed = [parser().parse_args([name, "suite", *flags]) for name, _, *flags in words]
    spoken, asked = parsed[0], parsed[-1]
    assert (spoken.model, spoken.block, spoken.trials, spoken.seconds) == (None, 4, 12, (5.0, 10.0))
    assert (spoken.scheme, spoken.keys, spoken.background, str(spoken.out)) == ("flipping", 100, "kaldi:x", "a")
    assert (asked.model, asked.task, asked.text, asked.keys) == ("RawNeXt", "asr", "none", 400)
