"""What is installed: the contents of the wheel and the sdist, and a wheel at work in a folder with rooms' names."""

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import wrongkey

ROOT = Path(__file__).parents[2]
ROOMS = ("keys", "evaluation", "attacks", "reports")
PARTS = (*ROOMS, "wrongkey", "training", "tests")
FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CITATION.cff", "constraints.txt")
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
LEFT_OUT = shutil.ignore_patterns("__pycache__")


def built(source: Path, kind: str, out: Path) -> Path:
    """A distribution as pip builds it, by the hooks of PEP 517, without a network."""
    done = subprocess.run([sys.executable, "-c", BUILD, kind, str(out)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


def files_below(folder: Path, base: Path) -> set[str]:
    """Paths of the files in a folder, relative to `base`; links to folders are not followed."""
    found = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(base).as_posix() for file in found}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("sdist")
    for name in PARTS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=LEFT_OUT)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    return built(source, "build_sdist", out)


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Built from the sdist, so that a file that the sdist lacks is missed here."""
    source, out = tmp_path_factory.mktemp("unpacked"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    (top,) = source.iterdir()
    return built(top, "build_wheel", out)


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A fresh environment with the wheel, which borrows its libraries, but no editable wrongkey, from this one."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    (site,) = home.glob("lib/python*/site-packages")
    # A path in a .pth file is searched; the .pth files that lie there, such as that of an editable install, are not.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


@pytest.fixture
def folder(tmp_path):
    """A working folder with modules that carry the names of rooms, and that must not be imported."""
    for name in ("reports", "keys"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the working folder was imported')\n")
    (tmp_path / "evaluation").mkdir()
    return tmp_path


def call(environment: Path, folder: Path, *command: str) -> str:
    """Standard output of a command of the environment, run in a folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    program, *arguments = command
    done = subprocess.run(
        [environment / "bin" / program, *arguments], cwd=folder, capture_output=True, text=True, env=clean
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_adds_one_name_and_holds_every_file_of_the_rooms(wheel):
    with zipfile.ZipFile(wheel) as archive:
        entries = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert {PurePosixPath(name).parts[0] for name in entries} == {
        "wrongkey",
        f"wrongkey-{wrongkey.__version__}.dist-info",
    }
    assert all(stat.S_ISREG(mode) for mode in entries.values())
    packed = {name for name in entries if name.startswith("wrongkey/")}
    assert packed == {f"wrongkey/{file}" for room in ROOMS for file in files_below(ROOT / room, ROOT)} | {
        f"wrongkey/{file}" for file in files_below(ROOT / "wrongkey", ROOT / "wrongkey")
    }
    assert packed >= {
        "wrongkey/py.typed",
        "wrongkey/keys/__init__.pyi",
        "wrongkey/evaluation/models/bundled/weights/asv-raw3.safetensors",
        "wrongkey/evaluation/corpora/bundled/wav.scp",
        "wrongkey/reports/paper/published.toml",
        "wrongkey/attacks/board/protocols/speech-v1.toml",
        "wrongkey/reports/page/scheme_board.html.j2",
    }


def test_the_sdist_holds_plain_files_and_no_tests(sdist):
    with tarfile.open(sdist) as archive:
        members = [member for member in archive if not member.isdir()]
    assert all(member.isfile() for member in members)
    folders = {PurePosixPath(member.name).parts[1] for member in members if member.name.count("/") > 1}
    assert folders == {"wrongkey", "wrongkey.egg-info"}


def test_an_installation_sweeps_reports_and_lists(environment, folder):
    asked = ("--model", "asv-raw3", "--corpus", "bundled", "--keys", "4", "--replicates", "0", "--out", "runs/rom3")
    call(environment, folder, "wrongkey", "sweep", *asked)
    call(environment, folder, "wrongkey", "report", "runs/rom3", "--out", "report.html")
    assert (folder / "report.html").stat().st_size > 10_000
    assert "asv-raw3" in call(environment, folder, "wrongkey", "ls")


def test_the_example_of_the_readme_runs_where_it_is_installed(environment, folder):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.S)
    # python -c puts the working folder first, as a notebook does; wrongkey's rooms have names of their own.
    said = call(environment, folder, "python", "-c", example)
    assert re.fullmatch(r"plain [\d.]+ %, median [\d.]+ %, best wrong key [\d.]+ %\n", said)


def test_the_version_is_said_once():
    """pyproject.toml takes it from the package; the citation, which nothing can compute, agrees."""
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.M)
    assert cited and cited.group(1) == wrongkey.__version__
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
