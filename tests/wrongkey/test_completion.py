"""Shell completion: the script is one that the shell reads, and it knows commands, flags and files."""

import shutil
import subprocess

import pytest

from wrongkey.cli import COMMANDS, main


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


def test_zsh_reads_its_script(script):
    zsh = script("zsh")
    assert zsh.startswith("#compdef wrongkey\n") and "--per-speaker" in zsh
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=zsh, text=True, check=True)


def test_other_shells_are_refused(capsys):
    assert main(["completion", "cmd"]) == 2
    assert "choose from" in capsys.readouterr().err
