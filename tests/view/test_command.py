"""`wrongkey view` from the terminal: its address, its end, and what it says where it cannot start."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.narrow import present
from tests.reports.conftest import write_run
from wrongkey.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "rom", [30.0, 10.0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_an_address_serves_and_ends_when_it_is_told_to(run, number):
    command = [sys.executable, "-m", "wrongkey", "view", str(run), "--no-browser"]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C"}
    )
    try:
        address = present(server.stdout).readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", address)
        asking = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with asking.open(address, timeout=60) as answer:
            assert answer.url == address.partition("?")[0] and b"wrongkey" in answer.read()
        server.send_signal(number)
        said, noted = server.communicate(timeout=60)
    finally:
        server.kill()
    assert (said, server.returncode) == ("", 0)
    assert "Ctrl-C stops it." in noted and "Traceback" not in noted


def refused(capsys, *arguments):
    assert main(["view", *map(str, arguments), "--no-browser"]) == 2
    return capsys.readouterr().err


def test_a_port_that_is_taken(run, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(capsys, run, "--port", port)
    assert f"--port {port} cannot be opened (Address already in use): choose another, or leave it out." in said


@pytest.mark.parametrize("port", [-1, 65536])
def test_no_port(run, capsys, port):
    assert f"--port {port} is not a port: give 1 to 65535, or 0 for a free one." in refused(
        capsys, run, f"--port={port}"
    )


def test_folders_that_cannot_be_shown(tmp_path, capsys):
    for folder in (tmp_path / "none", tmp_path):
        assert f"{folder} is not a" in refused(capsys, folder)


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(run, capsys, monkeypatch, library):
    for name in [name for name in sys.modules if name.startswith(("wrongkey.view", library))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    assert "wrongkey view needs Starlette and uvicorn: pip install 'wrongkey[view]'." in refused(capsys, run)
