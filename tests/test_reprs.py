"""What a notebook shows of our objects: short, escaped, and never a secret."""

import copy
import pickle

import numpy as np
import pytest

from tests.reports.attack_folders import random_keys, rows, write_attacks
from tests.reports.conftest import write_run
from wrongkey.attacks import AttackFolder
from wrongkey.evaluation import RunFolder
from wrongkey.keys import SecretKey
from wrongkey.reports import compare, load_attacks, load_run, play, summarise, verdict
from wrongkey.reports.board import board

LONG = "<b>" + "x" * 300 + "\x1b[31m"  # a name that a stranger may have chosen


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """One object of every kind that notebooks show, with names as long and as hostile as they can be."""
    folder = tmp_path_factory.mktemp("x" * 200)
    scores = np.linspace(8, 40, 60)
    path = write_run(folder / ("<i>" + "r" * 200), scores, model=LONG, corpus=LONG, scheme=LONG)
    write_attacks(path, rows("order", "5 s", [0.01] * 10) + random_keys(), model=None)
    run, attacks = load_run(path), load_attacks(path)
    assert attacks is not None
    return {
        "key": SecretKey("<b>" + "s" * 300, 2, 1, np.eye(2)[::-1]),
        "folder": RunFolder(path),
        "attack folder": AttackFolder(path),
        "run": run,
        "statistics": summarise(run),
        "comparison": compare(run, run),
        "attacks": attacks,
        "verdict": verdict(attacks),
        "board": board([summarise(run)], [attacks]),
        "players": play({LONG: np.sin(np.arange(2000) / 5)}),
    }


KINDS = ("key", "folder", "attack folder", "run", "statistics", "comparison", "attacks", "verdict", "board", "players")


@pytest.mark.parametrize("kind", KINDS)
def test_a_repr_is_one_short_line(shown, kind):
    text = repr(shown[kind])
    assert len(text) < 200 and text.isprintable()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_notebook_shows_runs_no_markup_of_strangers(shown, kind):
    text = shown[kind]._repr_html_()
    assert "<b>" not in text and "<i>" not in text and "\x1b" not in text


def test_a_key_shows_what_is_public_about_it():
    html = SecretKey.from_seed("flipping", 10, seed=0)._repr_html_()
    assert "flipping" in html and "10.0 bits" in html


@pytest.mark.parametrize("scheme", ["shuffling", "flipping", "rom"])
def test_keys_of_one_kind_look_the_same_to_whoever_does_not_hold_them(scheme):
    one, other = (SecretKey.from_seed(scheme, 4, seed=seed) for seed in (0, 1))
    assert one != other
    assert repr(one) == repr(other) == str(one) and one._repr_html_() == other._repr_html_()


def test_a_scheme_that_a_key_file_names_is_not_looked_up(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "bits" not in SecretKey("evil:scheme", 2, 1, np.eye(2))._repr_html_()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_key_is_not_pickled_and_may_be_copied(protocol):
    key = SecretKey.from_seed("rom", 3, seed=0)
    with pytest.raises(TypeError, match="save"):
        pickle.dumps([key], protocol)
    assert copy.deepcopy([key])[0] == copy.copy(key) == key


def test_commands_of_a_board_are_folded(shown):
    cells = [cell for row in shown["board"].rows for cell in row.cells]
    assert shown["board"]._repr_html_().count("<details>") == sum(cell.command is not None for cell in cells) > 0
