"""A working directory is a stranger's until a factory in it is named: nothing of it is imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import lazy_loader
import pytest

from tests.wrongkey.test_cli import refused
from wrongkey import plugins
from wrongkey.errors import BadInput

ROOT = Path(__file__).parents[2]
NAMES = ("pandas", "html", "numbers", "token", "types", "signal", "queue", "random", "yaml", "sitecustomize")
FOLDERS = ("reports", "evaluation", "keys", "attacks")
CONSOLE = (
    "import sys; sys.path[0] = '/'; sys.path.append(sys.argv.pop(1)); from wrongkey.cli import main; sys.exit(main())"
)


@pytest.fixture
def strange(tmp_path):
    """A folder full of modules with everyday names, each of which leaves a mark."""
    folder = tmp_path / "strange"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'sprung')!r}, 'a').write('{name} ')\n")
    for name in FOLDERS:
        (folder / name).mkdir()
    return folder


def call(folder: Path, *arguments: object, module: bool = False) -> subprocess.CompletedProcess[str]:
    """The console script, or ``python -m wrongkey``, in a folder, with wrongkey installed elsewhere."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    start = ["-m", "wrongkey"] if module else ["-c", CONSOLE, str(ROOT)]
    if module:
        environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("module", [False, True])
def test_no_command_imports_what_lies_there(strange, module):
    done = call(strange, "ls", ".", module=module)
    assert done.returncode == 2 and "holds no run folder" in done.stderr
    assert not (strange / "sprung").exists()


def test_a_sweep_in_workers_finds_the_factory_and_nothing_else(strange):
    (strange / "tiny.py").write_text("from tests.toys import raw3 as make\n")
    sweep = "sweep --model tiny:make --corpus bundled --per-speaker 2 --replicates 0 --keys 4 --workers 2 --out run"
    done = call(strange, *sweep.split(), module=True)
    assert done.returncode == 0, done.stderr
    assert not (strange / "sprung").exists()


def test_a_checkout_is_found_through_the_working_directory(tmp_path):
    for room in ("keys", "reports", "wrongkey"):
        shutil.copytree(ROOT / room, tmp_path / room)
    packages = Path(lazy_loader.__file__).parents[1]  # appended, so that no .pth file there names another checkout
    say = f"import runpy, sys; sys.argv = ['wrongkey', '--version']; sys.path[0] = '.'; sys.path.append('{packages}'); "
    code = f"{say} runpy.run_module('wrongkey', run_name='__main__')"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("wrongkey "), done.stderr


def test_a_hidden_module_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("numbers.py").write_text("def make(): ...")
    said = refused(capsys, "sweep", "--model", "numbers:make", "--corpus", "bundled", "--out", "run")
    assert "numbers.py, which hides numbers.py here: rename yours" in said
    said = refused(capsys, "sweep", "--model", "asv-raw3", "--corpus", "numbers:make", "--out", "run")
    assert "which hides numbers.py here" in said
    Path("json").mkdir()
    Path("json/decoder.py").write_text("JSONDecoder = 1")
    with pytest.raises(BadInput, match=r"either of two modules: json is .*, which hides json/decoder.py here"):
        plugins.import_user("json.decoder:JSONDecoder", "model")
    assert not Path("run").exists()


def test_a_module_that_ends_the_program_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ends_the_program.py").write_text("raise SystemExit(0)")
    with pytest.raises(BadInput, match=r"cannot be imported .SystemExit: 0"):
        plugins.import_user("ends_the_program:make", "model 'x'")


def test_the_search_path_changes_only_where_a_factory_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    before = list(sys.path)
    with plugins.workers_import_nothing_here():
        assert os.environ["PYTHONSAFEPATH"]
    assert sys.path == before and "PYTHONSAFEPATH" not in os.environ
    Path("opened_here.py").write_text("make = dict")
    assert plugins.import_user("opened_here:make", "model") is dict
    assert sys.path == [*before, str(tmp_path)]
