"""Commands that repeat a run: every setting, quoted for a shell, and no path."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.narrow import present
from tests.reports.attack_folders import random_keys, rows, write_attacks
from wrongkey.commands.sweep import add
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.run_folder.private import last_parts
from wrongkey.flags import given
from wrongkey.parser import Parser
from wrongkey.reports.attacks.rows import load_attacks
from wrongkey.reports.commands import full_command, sweep_command
from wrongkey.reports.runs import load_run


def test_defaults_are_spelled_out_and_the_command_is_understood(make_run: Callable[..., Path]) -> None:
    config = {"model_spec": "asv-raw3", "corpus_spec": "bundled", "scheme_spec": "rom", "replicates": 0}
    words = shlex.split(sweep_command(load_run(make_run("a b", [30.0], config=config))))
    assert words[:2] == ["wrongkey", "sweep"] and words[-2:] == ["--out", "a b"]
    parser = Parser()
    add(parser.add_subparsers())
    read = SweepConfig.of(given(parser.parse_args(words[1:]), SweepConfig))
    assert (read.scheme, read.block, read.keys, read.seed, read.replicates) == ("rom", 3, 1, 0, 0)
    assert {"--scheme", "--block", "--keys", "--seed", "--variant", "--replicates"} <= set(words)


def test_settings_that_are_off_have_no_flag() -> None:
    settings = {"same_gender": False, "keep_outputs": True, "only": None, "seconds": [5.0, 10.0]}
    assert full_command(["sweep"], settings, "x") == "wrongkey sweep --keep-outputs --seconds 5,10 --out x"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/j/x.txt", "x.txt"),
        ("kaldi:/data/John Smith/test#fold=5", "kaldi:test#fold=5"),
        ("~/secret/x", "x"),
        ("../up/x/", "x"),
        ("C:\\Users\\j\\a.txt", "a.txt"),
        ("see /home/j/x.txt: it is broken.", "see x.txt: it is broken."),
        ("THREE <b>FOUR</b>", "THREE <b>FOUR</b>"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("5 / 3 and/or 2", "5 / 3 and/or 2"),
        ("wrongkey sweep --out 'it''s", "wrongkey sweep --out 'it''s"),
    ],
)
def test_of_paths_the_last_part(path: str, shown: str) -> None:
    assert last_parts(path) == shown


def test_a_sweep_beside_attacks_is_made_again_by_their_command(make_run: Callable[..., Path]) -> None:
    config = {"model_spec": "asv-raw3", "corpus_spec": "bundled", "only": "/x/a b/attacks/victims.txt"}
    folder = make_run("a b", [30.0], config=config)
    assert sweep_command(load_run(folder)) == ""
    write_attacks(folder, [*rows("order", "5 s", [1.4] * 3, seconds=5.0), *random_keys(30)], model="asv-raw3")
    path = folder / "attacks/suite.json"
    suite = json.loads(path.read_text()) | {"config": {"corpus": "bundled", "model": "asv-raw3", "trials": 3}}
    path.write_text(json.dumps(suite))
    command = sweep_command(load_run(folder), [present(load_attacks(folder))])
    assert command.startswith("wrongkey attack suite --corpus bundled") and "--only" not in command
    assert "--trials 3" in command and command.endswith("--keys 30 --out 'a b'")
