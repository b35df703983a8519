"""How commands end: told to by a signal, or left by whoever read their output. The sweep runs as its users run it."""

import builtins
import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.interrupted import Interrupted
from tests.narrow import present
from wrongkey.__main__ import main as command
from wrongkey.cli import main
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.stops import SIGNALS, Stopped, held_back, stop_on_signals

ROOT = Path(__file__).parents[2]
SWEEP = "sweep --model tests.toys:slow --corpus bundled --replicates 0 --keys 400".split()
SAID = "wrongkey: Stopped; finished shards are kept, and the same command continues.\n"


@pytest.fixture
def asked(tmp_path):
    """The run folder of a sweep, and its command line: eight utterances, a shard every second or two."""
    listed = tmp_path / "only.txt"
    used = open_corpus("bundled").select(per_speaker=2, speakers=4).utterances
    listed.write_text("".join(f"{utterance.id}\n" for utterance in used))
    return tmp_path / "run", [*SWEEP, "--only", str(listed), "--out", str(tmp_path / "run")]


def start(*arguments: object, before: str = "", **streams: Any) -> subprocess.Popen[str]:
    """A command in a session of its own, behind what a shell does `before` it."""
    command = [sys.executable, "-m", "wrongkey", *map(str, arguments)]
    if before:
        command = ["sh", "-c", f'{before} exec "$@"', "sh", *command]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, start_new_session=True, **streams)


def test_ctrl_c_during_the_import_of_the_command_line_is_no_traceback(monkeypatch):
    usual = builtins.__import__

    def interrupted(name, *more):
        if name == "wrongkey.cli":
            raise KeyboardInterrupt
        return usual(name, *more)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    assert command() == 128 + signal.SIGINT


@pytest.mark.parametrize(("seconds", "code", "said"), [(60, 0, "cleaned\n"), (-1, -signal.SIGTERM, "")])
def test_a_command_that_ends_is_left_to_remove_its_temporary_files(seconds, code, said):
    """Found by benchmarks.faults: Ctrl-C, after the last line of an attack, left a temporary folder."""
    program = f"""
import atexit, os, signal, sys
import wrongkey.stops
from wrongkey.__main__ import main
wrongkey.stops.CLEANING_SECONDS = {seconds}
sys.argv = ["wrongkey", "--version"]
atexit.register(os.write, 1, b"cleaned\\n")
atexit.register(os.kill, os.getpid(), signal.SIGTERM)  # called late
try:
    raise SystemExit(main())
finally:
    atexit.register(os.kill, os.getpid(), signal.SIGTERM)  # called first
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.partition("\n")[2] == said


def test_a_working_directory_that_was_deleted_stops_no_command(tmp_path):
    code = "import os, sys; os.rmdir(os.getcwd()); sys.argv = ['wrongkey', '--version']; "
    code += "from wrongkey.__main__ import main; raise SystemExit(main())"
    for asked in (["-c", code], ["-P", "-c", code]):
        (tmp_path / "gone").mkdir()
        done = subprocess.run([sys.executable, *asked], cwd=tmp_path / "gone", capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr


def wait_for_keys(sweep: subprocess.Popen[str], out: Path) -> None:
    while not list(out.glob("scores/incorrect-*")):
        assert sweep.poll() is None, present(sweep.stderr).read()
        time.sleep(0.05)


def left(out: Path) -> set[str]:
    """Files that should not be there: of a lock, or half written."""
    return {path.name for path in out.parent.rglob(".*")}


@pytest.mark.parametrize(
    ("number", "workers", "whole_group"),
    [(signal.SIGTERM, 2, False), (signal.SIGHUP, 1, False), (signal.SIGINT, 1, True)],
)
def test_a_stopped_sweep_says_so_and_continues(asked, number, workers, whole_group):
    out, command = asked
    sweep = start(*command, "--workers", workers)
    wait_for_keys(sweep, out)
    for _ in range(3):  # who presses Ctrl-C once presses it again
        (os.killpg if whole_group else os.kill)(sweep.pid, number)
        time.sleep(0.05)
        if sweep.poll() is not None:
            break
    _, said = sweep.communicate(timeout=300)
    assert sweep.returncode == 128 + number
    assert said.endswith(SAID) and "Traceback" not in said
    assert left(out) == set()
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("scores/incorrect-*")}
    assert kept
    if workers > 1:
        again = start(*command, "--workers", 1, "--keys", 1)  # the same command, asked for no more
        assert again.wait(300) == 0
        now = {path.name: path.stat().st_mtime_ns for path in out.glob("scores/incorrect-*")}
        assert kept.items() <= now.items()  # key 0 may have been the later one


def fail_in_cleaning_up() -> None:
    """As a library that closes a stream which a signal interrupted."""
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        raise zlib.error("inconsistent stream state")


def fail_as_a_model() -> None:
    with model_at_fault("yours"):
        fail_in_cleaning_up()


def fail_in_memory() -> None:
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        raise MemoryError from None


def fail_in_a_callback() -> None:
    """As libsndfile, where Python reads for it and nothing holds signals back."""
    wav = io.BytesIO()
    soundfile.write(wav, np.zeros(1000), 16_000, format="WAV")
    soundfile.read(Interrupted(wav.getvalue()))


def fail_in_a_finalizer() -> None:
    class Closed:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    Closed()
    threading.Event().wait(60)


@pytest.mark.parametrize(
    "work", [fail_in_cleaning_up, fail_as_a_model, fail_in_memory, fail_in_a_callback, fail_in_a_finalizer]
)
def test_a_library_that_fails_when_it_is_stopped_hides_no_signal(work, once, monkeypatch, capsys):
    """Found by benchmarks.faults: matplotlib's PDF, interrupted while it compressed, ended in a traceback."""
    monkeypatch.setattr("wrongkey.cli._run", lambda arguments: work())
    assert main([]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == SAID


def test_what_is_held_back_comes_once_and_at_the_end():
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with held_back():
            for _ in range(3):
                signal.raise_signal(signal.SIGTERM)
            assert not came
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6])
def test_a_signal_while_signals_are_being_held_back_leaves_all_handlers(call, monkeypatch):
    set_one, calls = signal.signal, []

    def interrupted(*arguments):
        done = set_one(*arguments)
        calls.append(arguments)
        if len(calls) == call:
            signal.raise_signal(signal.SIGTERM)
        return done

    with stop_on_signals(last=False):
        handlers = [signal.getsignal(number) for number in SIGNALS]
        with monkeypatch.context() as patch, pytest.raises(Stopped):
            patch.setattr(signal, "signal", interrupted)
            with held_back():
                pass
        assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_a_signal_when_a_command_has_ended_has_its_own_exit_code(monkeypatch):
    def ended() -> int:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr("wrongkey.cli.main", ended)
    assert command() == 128 + signal.SIGTERM


def test_any_other_error_of_ours_keeps_its_traceback(monkeypatch):
    """It is a fault of wrongkey, and the traceback says where."""

    def work(arguments: list[str]) -> int:
        raise zlib.error("inconsistent stream state")

    monkeypatch.setattr("wrongkey.cli._run", work)
    with pytest.raises(zlib.error):
        main([])


@pytest.mark.parametrize("place", [None, "/tmp/wrongkey-view-1"])
def test_a_full_disk_of_temporary_files_is_a_sentence(place, monkeypatch, capsys):
    def work(arguments: list[str]) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([place] if place else []))

    monkeypatch.setattr("wrongkey.cli._run", work)
    assert main([]) == 2
    said = f"{place or 'A temporary file'} cannot be written (No space left on device): make room there, "
    assert capsys.readouterr().err == f"wrongkey: {said}or name another folder in TMPDIR.\n"


def test_nohup_is_respected(asked):
    out, command = asked
    sweep = start(*command, "--workers", 1, before="trap '' HUP;")
    wait_for_keys(sweep, out)
    sweep.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert sweep.poll() is None
    sweep.send_signal(signal.SIGTERM)
    sweep.communicate(timeout=300)
    assert sweep.returncode == 128 + signal.SIGTERM


def test_a_sweep_whose_reader_leaves_does_not_succeed(asked):
    out, command = asked
    sweep = start(*command, "--workers", 1, stderr=subprocess.STDOUT)
    written = present(sweep.stdout)
    written.readline()
    written.close()  # as `2>&1 | head -1` does
    assert sweep.wait(300) == 141
    assert left(out) == set()


def unread(*arguments: object, **environment: str) -> int:
    """The exit code of a command that writes into a pipe which nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "wrongkey", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.stderr == ""
    return done.returncode


@pytest.mark.parametrize("environment", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_an_answer_that_nobody_reads_is_the_same_answer(tmp_path, environment):
    (tmp_path / "negative.py").write_text(
        "import wrongkey.cli\nfrom wrongkey import reports\n"
        "class No:\n    verdict = 'worse'\n    def __str__(self): return 'B is worse.'\n"
        "class Run:\n    metric = 'eer'\n"
        "reports.compare, reports.load_run = (lambda *settings: No()), (lambda folder: Run())\n"
        "raise SystemExit(wrongkey.cli.main())\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, tmp_path / "negative.py", "compare", "a", "b"]
    paths = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, env=paths, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
    assert unread("models", **environment) == 141  # the list is all there was to do


def test_streams_that_are_closed_or_full_are_no_traceback():
    for closed, code in ((">&-", 0), ("2>&-", 0), (">/dev/full", 2)):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "wrongkey", "models"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, closed
        assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr
