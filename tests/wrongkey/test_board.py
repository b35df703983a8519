"""`wrongkey board` as a user calls it: made, continued after a kill, merged, and what is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wrongkey.attacks.board import keystream
from wrongkey.attacks.board.folder import BoardFolder
from wrongkey.attacks.board.protocol import HERE
from wrongkey.cli import main
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.board_cell import digest

ROOT = Path(__file__).parents[2]
TINY = """
name = "tiny"
seed = 0
schemes = ["flipping"]
blocks = [4]
[corpus]
name = "bundled"
[corpus.victims]
speakers = ["af_alloy"]
[corpus.background]
speakers = ["am_adam"]
[scoring]
random_keys = 5
per_speaker = 2
[attacks]
names = ["sign-chain"]
seconds = [2]
trials = 1
fewest = 1
costly_after = 60
[cost]
repeats = 1
[reference]
cipher = "aes-256-ctr"
schemes = ["flipping"]
blocks = [4]
seconds = [2]
trials = 1
"""
MINE = """from dataclasses import replace
from wrongkey.keys import get_scheme

mine = replace(get_scheme("flipping"), name="mine")
"""


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    path = tmp_path_factory.mktemp("protocol") / "tiny.toml"
    path.write_text(TINY)
    return path


def board(protocol, out, *more):
    words = ["board", "--protocol", str(protocol), "--corpus", "bundled", "--workers", "1", "--out", str(out), *more]
    return main(words)


@pytest.fixture(scope="module")
def made(protocol, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "board"
    assert board(protocol, out) == 0
    return out


def rows(folder):
    return json.loads((folder / "board.json").read_text())["rows"]


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_board_has_a_row_for_the_cell_and_the_reference(made):
    reference, row = rows(made)
    assert reference["reference"] and reference["weakest"] is None
    assert (row["scheme"], row["block"], row["cost"]["data_factor"]) == ("flipping", 4, 1.0)
    assert (
        {one["attack"] for one in row["attacks"]} == {"sign-chain"} == {one["attack"] for one in reference["attacks"]}
    )
    assert [one["claimed_wrong"] for one in reference["attacks"]] == [0]
    assert set(row["versions"][0]) == {"python", "wrongkey", "torch", "numpy"}
    assert row["effective_bits"]["words"].startswith("does not apply: the protocol has no model")
    assert all((made / f"board.{ending}").is_file() for ending in ("html", "md", "csv"))
    assert (made / "runs" / "flipping-m004" / "attacks" / "verdicts.json").is_file()


def test_the_same_command_does_nothing_again(made, protocol, capsys):
    before = contents(made / "runs")
    assert board(protocol, made) == 0
    assert "flipping-m004: done before" in capsys.readouterr().err
    assert contents(made / "runs") == before


def test_the_plan_says_what_is_done_and_runs_nothing(made, protocol, capsys):
    assert main(["board", "--protocol", str(protocol), "--blocks", "4,8", "--plan", "--out", str(made)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == (
        "flipping-m004  speech alone: attacks done; strength does not apply; leaks does not apply; cost done"
    )
    assert lines[3].startswith("flipping-m008  speech alone: attacks not run")
    assert not (made / "runs" / "flipping-m008").exists()


def test_a_board_of_another_protocol_is_refused(made, tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("random_keys = 5", "random_keys = 6").replace('"tiny"', '"other"'))
    before = contents(made)
    assert board(other, made) == 2
    assert "holds the board of the protocol tiny" in capsys.readouterr().err
    assert contents(made) == before


def test_a_board_is_not_continued_with_other_speech(made, protocol, tmp_path, capsys):
    """The same utterances in another folder, of which one was recorded again."""
    shutil.copytree(ROOT / "evaluation" / "corpora" / "bundled", tmp_path / "corpus")
    one, other = (tmp_path / "corpus" / "audio" / "am_adam" / f"am_adam-sentence{number}.ogg" for number in (1, 2))
    shutil.copy(one, other)
    before = contents(made)
    words = ["--corpus", f"kaldi:{tmp_path / 'corpus'}", "--workers", "1", "--out", str(made), "--blocks", "4,8"]
    assert main(["board", "--protocol", str(protocol), *words]) == 2
    error = capsys.readouterr().err
    assert "holds a board of other speech than" in error and "(of the background)" in error
    assert "Traceback" not in error and contents(made) == before


def test_an_edited_protocol_is_refused_under_its_name(tmp_path, capsys):
    edited = tmp_path / "smoke.toml"
    edited.write_text((HERE / "smoke.toml").read_text().replace("seed = 0", "seed = 1"))
    assert board(edited, tmp_path / "out") == 2
    assert "give it a name of its own" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--schemes", "rom,nowhere:scheme"], "Scheme 'nowhere:scheme' cannot be imported"),
        (["--blocks", "3,x"], "--blocks must be block sizes such as 3,5,10, and 'x' is none."),
        (["--blocks", "3,16385"], "--blocks must be block sizes of at most 16,384, and 16385 is more."),
        (["--blocks", "9" * 5000], "--blocks must be block sizes of at most 16,384, and 9"),
        (["--corpus", "kaldi:mistyped"], "mistyped"),
        (["--only", "everything"], "--only everything is no part of a board"),
        (["--workers", "0"], "--workers must be at least 1, not 0."),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(protocol, tmp_path, capsys, more, said):
    assert board(protocol, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and not (tmp_path / "out").exists()


def test_a_corpus_without_a_victim_is_refused(tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("af_alloy", "nobody"))
    assert board(other, tmp_path / "out") == 2
    assert "bundled has no speaker nobody, whom the protocol tiny names" in capsys.readouterr().err


def test_an_entry_of_a_users_own_has_its_hash_and_is_not_continued_with_other_code(
    protocol, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("boardentry.py").write_text(MINE)
    run = (protocol, tmp_path / "out", "--schemes", "boardentry:mine", "--only", "cost")
    assert board(*run) == 0
    (row,) = rows(tmp_path / "out")
    assert (row["scheme"], row["source"]["files"]) == ("boardentry:mine", ["boardentry.py"])
    assert {cell["words"] for cell in row["cells"]} == {"not run"}
    Path("boardentry.py").write_text(MINE + "# changed\n")
    assert board(*run) == 2
    assert "was made with other code of it" in capsys.readouterr().err


def test_boards_are_merged(made, protocol, tmp_path, capsys):
    assert board(protocol, tmp_path / "more", "--schemes", "rom", "--only", "cost,reference") == 0
    assert (
        main(["board", "merge", str(made), str(tmp_path / "more" / "board.json"), "--out", str(tmp_path / "all")]) == 0
    )
    assert [row["scheme"] for row in rows(tmp_path / "all")] == ["aes-256-ctr"] * 2 + ["flipping", "rom"]
    content = json.loads((tmp_path / "more" / "board.json").read_text())
    content["content"]["seed"] = 1
    content["protocol"]["hash"] = digest(content["content"])
    (tmp_path / "more" / "board.json").write_text(json.dumps(content))
    assert main(["board", "merge", str(made), str(tmp_path / "more"), "--out", str(tmp_path / "none")]) == 2
    assert "merge boards of one protocol only" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_a_live_board_is_not_overwritten_by_a_joined_one(made, tmp_path, capsys):
    before = contents(made)
    (tmp_path / "entry.json").write_bytes((made / "board.json").read_bytes())
    assert main(["board", "merge", str(tmp_path / "entry.json"), "--out", str(made)]) == 2
    assert "choose an empty or new folder with --out." in capsys.readouterr().err and contents(made) == before


def test_a_reference_that_fails_is_said_and_stops_no_cell(protocol, tmp_path, capsys, monkeypatch):
    def failing(*_):
        raise BadInput("The reference has no speech: give more.")

    monkeypatch.setattr(keystream, "attempts", failing)
    assert board(protocol, tmp_path / "out", "--only", "cost,reference") == 2
    assert "The reference has no speech: give more." in capsys.readouterr().err
    reference, row = rows(tmp_path / "out")
    assert reference["notes"][-1].startswith("reference failed: The reference has no speech") and row["cost"]
    monkeypatch.undo()
    assert board(protocol, tmp_path / "out", "--only", "reference") == 0
    assert rows(tmp_path / "out")[0]["notes"] == []


def test_a_board_that_another_process_makes_is_left_alone(made, protocol, capsys):
    with BoardFolder(made).locked():
        assert board(protocol, made, "--only", "cost") == 2
    assert "is being written by another wrongkey" in capsys.readouterr().err


def test_an_unknown_scheme_of_the_reference_is_refused_at_once(tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace('"aes-256-ctr"\nschemes = ["flipping"]', '"aes-256-ctr"\nschemes = ["of-tomorrow"]'))
    assert board(other, tmp_path / "out") == 2
    assert "of-tomorrow" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_killed_board_goes_on(protocol, tmp_path):
    out = tmp_path / "out"
    words = ["--protocol", str(protocol), "--corpus", "bundled", "--workers", "1", "--blocks", "4,8", "--out", str(out)]
    running = subprocess.Popen([sys.executable, "-m", "wrongkey", "board", *words], cwd=ROOT, start_new_session=True)
    first = out / "runs" / "flipping-m004" / "attacks" / "random-keys.parquet"
    try:
        while not first.is_file() and running.poll() is None:
            time.sleep(0.05)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    kept = (out / "cells" / "aes-256-ctr.json").read_bytes()
    assert not (out / "board.json").exists()
    assert board(protocol, out, "--blocks", "4,8") == 0
    assert (out / "cells" / "aes-256-ctr.json").read_bytes() == kept
    assert [row["block"] for row in rows(out)] == [None, 4, 8]
    assert all(row["attacks"] for row in rows(out))
