"""The help of every command: examples that parse, required flags, flags that all commands have."""

import shlex
import subprocess
import sys

import pytest

from wrongkey.cli import parser
from wrongkey.examples import EXAMPLES
from wrongkey.parser import leaves

COMMANDS = {leaf.prog: leaf for leaf in leaves(parser())}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples_of_that_command(command):
    shown = COMMANDS[command].format_help()
    assert EXAMPLES[command]
    assert all(f"  {line}\n" in shown for line in EXAMPLES[command])


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_are_commands(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text("model = 'asv-raw3'\ncorpus = 'bundled'\n")
    command = line.removeprefix('eval "$(').removesuffix(')"').partition(" | ")[0]
    assert parser().parse_args(shlex.split(command)[1:]).run


def test_required_flags_are_shown_as_required():
    shown = " ".join(COMMANDS["wrongkey sweep"].format_help().split())
    assert "[-h] --model MODEL --corpus CORPUS [--scheme SCHEME]" in shown
    assert "see 'wrongkey models' (required)" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_quiet(command):
    assert "--quiet" in COMMANDS[command]._option_string_actions
    assert not COMMANDS[command].allow_abbrev


@pytest.mark.parametrize("command", ["models", "models asv-raw3", "keys space --scheme rom --block 3", "ls ."])
def test_catalogues_do_not_load_torch(command, tmp_path):
    code = f"import sys; from wrongkey.cli import main; main({command.split()}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
