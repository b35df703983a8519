"""Shell completion: the script is one that the shell reads, and it knows commands, flags and files."""

import shutil
import subprocess
import sys

import pytest

from wrongkey.cli import COMMANDS, main
from wrongkey.keys.labels import FAMILY


@pytest.fixture
def script(capsys):
    def printed(shell: str) -> str:
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    return printed


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    typed = " ".join(f"'{word}'" for word in words)
    ask = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _shtab_wrongkey; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", ask, "bash"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_flags_choices_and_files(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").touch()
    bash = script("bash")
    assert set(completed(bash, "wrongkey", "")) >= {*COMMANDS} - {"crypt"} | {"encrypt", "decrypt", "encrypt-model"}
    assert completed(bash, "wrongkey", "sweep", "--per") == ["--per-speaker"]
    assert completed(bash, "wrongkey", "sweep", "--blocks", "t") == ["tiles"]
    assert completed(bash, "wrongkey", "sweep", "--only", "li") == ["list.txt"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("attack kn", ["known-plaintext"]),
        ("attack su", ["suite"]),
        ("attack inc", ["incorrect-keys"]),
        ("models asv-raw1", ["asv-raw10"]),
        ("corpora fetch esc", ["esc50"]),
        ("sweep --model asr", ["asr-words"]),
        ("sweep --scheme r", ["rom"]),
        ("keys draw --scheme fl", ["flipping"]),
        ("attack suite --recogniser as", ["asr-words"]),
        ("analyse leaks --speaker-model asr", []),
        ("sweep --corpus fol", ["folder"]),
        ("attack suite --others fol", ["folder"]),
    ],
)
def test_bash_completes_names(script, tmp_path, monkeypatch, typed, offered):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert completed(script("bash"), "wrongkey", *typed.split()) == offered


def test_a_shell_that_starts_does_not_wait_for_torch():
    code = "import sys; from wrongkey.cli import main; main(['completion', 'bash']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)


def test_zsh_reads_its_script(script):
    zsh = script("zsh")
    assert zsh.startswith("#compdef wrongkey\n") and "--per-speaker" in zsh and f"({' '.join(FAMILY)})" in zsh
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=zsh, text=True, check=True)


def test_other_shells_are_refused(capsys):
    assert main(["completion", "cmd"]) == 2
    assert "choose from" in capsys.readouterr().err
