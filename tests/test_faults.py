"""The fault campaign in short: one round of some faults. `benchmarks/faults.py` has all of them, and many rounds."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults import FAULTS, injected, table
from benchmarks.full_disks import DISKS, disk
from benchmarks.stopped_commands import Stops

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


def test_the_table_counts_what_was_tried():
    """A signal that came after the end of its command was not tried."""
    outcomes = {"sweep-SIGKILL": ["", "late", "other results"], "sweep-disk-full": [""], "hang": ["late"]}
    rows = [{"fault": fault, "wrong": wrong} for fault, found in outcomes.items() for wrong in found]
    assert list(table(rows))[2:] == ["| sweep-SIGKILL | 2 | 1 |", "| sweep-disk-full | 1 | 1 |"]
    assert set(outcomes) <= set(FAULTS)
