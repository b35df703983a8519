"""Progress: plain lines in a log, a bar on a terminal, nothing where it is to be quiet."""

import os
import pty
import subprocess
import sys

import pytest

from wrongkey import progress as module
from wrongkey.progress import duration, progress, stages
from wrongkey.terminal import silent

BARS = """
import time
from wrongkey.progress import close_bars, progress, stages
from wrongkey.terminal import note
show = progress("key")
show(2, 10)
note("a line of the log")
show(10, 10)
show = stages("trial")
show("attack 1 of 2, a", 0, 3)
show("attack 2 of 2, b", 1, 3)
close_bars()
note("the end")
"""


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_a_log_has_ten_lines_of_a_step_with_rate_and_time_left(clock, capsys):
    show = progress("key")
    for done in range(0, 1001, 10):
        clock[0] = done / 10
        show(done, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == "0 of 1,000 keys" and lines[5] == "500 of 1,000 keys, 10.0 keys/s, 50 s left"


def test_no_time_is_foretold_from_the_start_of_workers(clock, capsys):
    show = stages("trial")
    for done in range(101):  # 14 s until the first trial, then five a second
        clock[0] = 0.0 if done == 0 else 14.0 + 0.2 * (done - 1)
        show("random-keys", done, 100)
    assert capsys.readouterr().err.splitlines() == [
        "random-keys: 0 of 100 trials",
        "random-keys: 1 of 100 trials",
        "random-keys: 51 of 100 trials, 10 s left",
    ]


def test_a_slow_step_has_a_line_a_minute(clock, capsys):
    show = progress("key")
    for done in range(10):
        clock[0] = done * 61.0
        show(done, 100_000)
    assert len(capsys.readouterr().err.splitlines()) == 10


def test_stages_are_named_and_quick_ones_are_not(clock, capsys):
    show = stages("trial")
    for number in range(1, 4):
        for done in range(5):
            clock[0] += 3
            show(f"attack {number} of 3", done, 4)
    assert capsys.readouterr().err.splitlines() == [
        "attack 1 of 3: 0 of 4 trials",
        "attack 1 of 3: 4 of 4 trials",
        "attack 2 of 3: 3 of 4 trials, 3 s left",
        "attack 3 of 3: 2 of 4 trials",  # one in 3 s tells too little
    ]


def test_nothing_is_shown_where_it_is_to_be_quiet(capsys):
    with silent(True):
        progress()(1, 2)
        stages("trial")("attack", 1, 2)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_bars_with_the_log_above_them():
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", BARS], stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert "2/10" in text and "10/10" in text and "attack 2 of 2, b" in text and "1/3" in text
    assert "a line of the log\r\n" in text and text.rstrip().endswith("the end")


def test_durations_are_words():
    assert [duration(seconds) for seconds in (0.4, 99, 100, 5999, 7260)] == [
        "0 s",
        "99 s",
        "2 min",
        "1 h 40 min",
        "2 h 1 min",
    ]
