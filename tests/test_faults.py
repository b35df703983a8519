"""The fault campaign in short: one round of some faults. `benchmarks/faults.py` has all of them, and many rounds."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults import FAULTS, injected, table
from benchmarks.full_disks import DISKS, disk
from benchmarks.stopped_commands import Stops, before_wrongkey

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at the processes of Linux")


def may_mount(place: Path) -> bool:
    """Whether this user may make disks in memory; root may, outside of most containers."""
    try:
        with disk(place, "size=64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@pytest.fixture(scope="module")
def stops(tmp_path_factory):
    """Each command is left alone once for all of its faults."""
    return Stops(tmp_path_factory.mktemp("stops"))


@pytest.mark.parametrize(
    "fault",
    [
        "attack-SIGTERM",
        "attack-SIGSTOP",
        "attack-disk-folder-removed",
        "strength-SIGKILL",
        "analyse-disk-full",
        "analyse-disk-without-inodes",
        "analyse-disk-read-only",
    ],
)
def test_a_command_survives(fault, stops, tmp_path):
    if fault in DISKS and "removed" not in fault and not may_mount(tmp_path):
        pytest.skip("may not mount a disk")
    wrong = injected(fault, 5, stops)["wrong"]
    print(wrong)  # all of it: pytest's comparison leaves out the middle
    assert wrong in ("", "late")


def test_ctrl_c_is_no_fault_of_a_command_that_python_had_not_come_to():
    runpy = 'Traceback (most recent call last):\n  File "<frozen runpy>", line 198, in _run_module_as_main\n'
    python = "Fatal Python error: init_import_site: Failed to import the site module"
    assert before_wrongkey(python) and before_wrongkey(f"{runpy}KeyboardInterrupt\n")
    assert not before_wrongkey(f'{runpy}  File "/home/me/wrongkey/cli.py", line 11, in <module>\nKeyboardInterrupt\n')
    assert not before_wrongkey("wrongkey: Stopped; finished shards are kept, and the same command continues.\n")


def test_the_table_counts_what_was_tried():
    """A signal that came after the end of its command was not tried."""
    outcomes = {"sweep-SIGKILL": ["", "late", "other results"], "sweep-disk-full": [""], "hang": ["late"]}
    rows = [{"fault": fault, "wrong": wrong} for fault, found in outcomes.items() for wrong in found]
    assert list(table(rows))[2:] == ["| sweep-SIGKILL | 2 | 1 |", "| sweep-disk-full | 1 | 1 |"]
    assert set(outcomes) <= set(FAULTS)
