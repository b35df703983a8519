"""Settings of a TOML file and of the command line: paths at home, texts of other editors, and nothing at all."""

import shlex
from pathlib import Path

import pytest

from tests.wrongkey.test_cli import refused
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.cli import _parse
from wrongkey.flags import command_line, given

SWEEP = ["sweep", "--model", "asv-raw3", "--corpus", "bundled"]
SUITE = ["attack", "suite", "--corpus", "bundled"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfkeys = 7\r\nout = 'x'\r\n",
        b"keys = 7\rout = 'x'\r",
        "keys = 7\nout = 'x' # ä".encode(),
    ],
)
def test_text_of_every_editor_is_read(tmp_path, content):
    (tmp_path / "x.toml").write_bytes(content)
    options = _parse([*SWEEP, "--config", str(tmp_path / "x.toml")])
    assert (options.keys, options.out) == (7, Path("x"))


@pytest.mark.parametrize("content", ["keys = 7".encode("utf-16"), "keys = 7".encode("utf-16-le"), b"text = '\xe4'"])
def test_text_that_is_not_utf8_is_named_as_such(tmp_path, capsys, content):
    (tmp_path / "x.toml").write_bytes(content)
    assert "x.toml is not UTF-8 text" in refused(capsys, "sweep", "--config", tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys = " + "[" * 9_000, "is not TOML"),
        ("keys = " + "9" * 9_000, "is not TOML"),
        ("out = ''", "sets out = '', which is nothing"),
        ('only = "a\\u0000"', "sets only"),
        ("out = '~nobody-of-that-name/x'", "names a home folder that is not there"),
    ],
)
def test_settings_that_are_none(tmp_path, capsys, text, said):
    (tmp_path / "x.toml").write_text(text)
    assert said in refused(capsys, *SWEEP, "--config", tmp_path / "x.toml")


def test_a_path_at_home_is_there_wherever_it_is_named(tmp_path, home):
    (tmp_path / "x.toml").write_text("out = '~/run'\nonly = '~/only.txt'\ntrials = '~'\n")
    options = _parse([*SWEEP, "--config", str(tmp_path / "x.toml")])
    assert (options.out, options.only, options.trials) == (home / "run", str(home / "only.txt"), str(home))
    options = _parse([*SWEEP, "--out=~/run", "--only", "~/only.txt", "--trials=./~"])
    assert (options.out, options.only, options.trials) == (home / "run", str(home / "only.txt"), "./~")
    assert _parse(["ls", "./~"]).folder == Path("~")  # a folder of that very name
    assert _parse(["report", "~/a", "b", "--figures=~/f"]).runs == [home / "a", Path("b")]
    assert _parse(["keys", "draw", "--scheme", "rom", "--block", "3", "-o", "~/k.npz"]).out == home / "k.npz"
    assert _parse([*SUITE, "--trials", "3", "--others-only", "~/o"]).background_only == str(home / "o")


@pytest.mark.parametrize(
    "command",
    [
        ("sweep", "--out", ""),
        ("sweep", "--out="),
        ("attack", "suite", "--out", ""),
        ("analyse", "keys", ""),
        ("analyse", "phase", "--out", ""),
        ("report", ""),
        ("report", "x", "--out", ""),
        ("compare", "a", ""),
        ("reproduce", "fig9", "--model", "m", "--corpus", "c", "--out", ""),
        ("keys", "draw", "--scheme", "rom", "--block", "3", "-o", ""),
        ("encrypt", "x.wav", "--key", "", "--out", "y.wav"),
        ("demo", "--out", ""),
        ("ls", ""),
    ],
)
def test_an_empty_value_is_not_the_working_directory(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "is empty: give a value" in refused(capsys, *command)
    assert not list(tmp_path.iterdir())


def test_a_wrong_flag_is_one_sentence(capsys):
    assert "Argument --keys: invalid int value: 'x'; see wrongkey sweep --help." in refused(
        capsys, "sweep", "--keys", "x"
    )
    assert "ls has no flag --wrong; see wrongkey ls --help." in refused(capsys, "ls", "--wrong")
    assert "Unrecognized arguments: b" in refused(capsys, "ls", "a", "b")
    assert "wrongkey needs COMMAND; see wrongkey --help." in refused(capsys)


@pytest.mark.parametrize(
    ("flag", "meant"), [("--key", "--keys"), ("--key=7", "--keys"), ("--bloks", "--blocks"), ("--qui", "--quiet")]
)
def test_a_flag_is_never_abbreviated(capsys, flag, meant):
    name = flag.partition("=")[0]
    assert f"sweep has no flag {name}: did you mean {meant}? See" in refused(capsys, *SWEEP, "--keys", 5, flag)


def test_what_is_unknown_is_named_before_what_is_missing(capsys):
    assert "sweep has no flag --key: did you mean --keys? See" in refused(capsys, "sweep", "--key", 7)
    assert "There is no attack 'lst': give known-plaintext, " in refused(capsys, "attack", "lst")
    assert "attack needs --corpus; see" in refused(capsys, "attack", "suite")


def test_schemes_may_be_written_as_reports_write_them(tmp_path):
    (tmp_path / "x.toml").write_text("scheme = 'Flipping'\n")
    assert _parse([*SWEEP, "--scheme", "ROM"]).scheme == "rom"
    assert _parse([*SWEEP, "--scheme", "ROM+turns=4"]).scheme == "rom+turns=4"
    assert _parse([*SWEEP, "--config", str(tmp_path / "x.toml")]).scheme == "flipping"
    assert _parse([*SWEEP, "--scheme", "Mine.Schemes:ROM"]).scheme == "Mine.Schemes:ROM"
    assert _parse([*SUITE, "--scheme", "Shuffling"]).scheme == "shuffling"
    speech = ["analyse", "leaks", "--corpus", "bundled", "--out", "x"]
    assert _parse([*speech, "--scheme", "ROM,Flipping"]).scheme == "rom,flipping"
    assert _parse(["recover", "x.wav", "--scheme", "ROM", "--block", "3"]).scheme == "rom"
    assert _parse(["reproduce", "fig3", "--scheme", "ROM,Flipping", "--out", "x"]).scheme == "rom,flipping"
    assert _parse(["keys", "space", "--scheme", "ROM", "--block", "3"]).scheme == "rom"


def test_what_a_file_sets_is_no_longer_required(tmp_path, capsys):
    (tmp_path / "x.toml").write_text("model = 'asv-raw3'\n")
    assert "sweep needs --corpus; see" in refused(capsys, "sweep", "--config", tmp_path / "x.toml")
    options = _parse(["sweep", "--corpus", "bundled", "--config", str(tmp_path / "x.toml")])
    assert (options.model, options.corpus) == ("asv-raw3", "bundled")


def test_seconds_are_a_list_of_numbers_wherever_they_are_given(tmp_path, capsys):
    (tmp_path / "x.toml").write_text("seconds = '5,10,inf'\n")
    options = _parse([*SUITE, "--config", str(tmp_path / "x.toml")])
    assert options.seconds == (5.0, 10.0, float("inf"))
    (tmp_path / "x.toml").write_text("seconds = [5, 10.0, inf]\n")
    assert _parse([*SUITE, "--config", str(tmp_path / "x.toml")]).seconds == (5.0, 10.0, float("inf"))
    (tmp_path / "x.toml").write_text("seconds = 5\n")
    assert _parse([*SUITE, "--config", str(tmp_path / "x.toml")]).seconds == (5.0,)
    assert _parse([*SUITE, "--seconds", "2.5"]).seconds == (2.5,)
    assert _parse(SUITE).seconds == ()
    assert "--seconds: five is not a list of numbers" in refused(capsys, *SUITE, "--seconds", "five")


def test_the_command_of_attacks_gives_their_settings_back():
    config = AttackConfig("a b", block=5, trials=3, background="kaldi:x", seconds=(5.0, 2.5), same_gender=True)
    line = command_line("attack suite", config, Path("out"))
    options = _parse([*shlex.split(line)[1:], "--scheme", "rom"])
    assert AttackConfig(**given(options, AttackConfig)) == config
    assert (options.name, options.out) == ("suite", Path("out"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seconds = [5, 'ten']", "which is not a number or a list of numbers"),
        ("seconds = []", "which is not a number or a list of numbers"),
        ("seconds = true", "which is not a number or a list of numbers"),
        ("trials = 'three'", "sets trials = 'three', which is not a whole number"),
        ("timeout = 'long'", "which is not a number"),
        ("corpus = 3", "which is not text"),
        ("out = 3", "which is not text"),
        ("same-gender = 1", "which is not true or false"),
        (
            "speakers = 3",
            "sets 'speakers', which is not a flag of this command: known are adversary, backend, background, ",
        ),
        ("config = 'y.toml'", "which is not a flag of this command"),
        ("others = 'a'\nbackground = 'b'", "sets 'background' and another spelling of it"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_one_sentence(tmp_path, capsys, text, said):
    (tmp_path / "x.toml").write_text(text)
    assert said in refused(capsys, "attack", "suite", "--config", tmp_path / "x.toml")


def test_background_speakers_may_be_named_as_before(tmp_path):
    (tmp_path / "x.toml").write_text("others = 'c'\nothers-only = 'f'\n")
    options = _parse([*SUITE, "--config", str(tmp_path / "x.toml")])
    assert (options.background, options.background_only) == ("c", "f")
    options = _parse([*SUITE, "--others", "c", "--others-only", "f"])
    assert (options.background, options.background_only) == ("c", "f")
