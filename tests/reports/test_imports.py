"""The rooms import one way: keys, evaluation, attacks; reports reads files, and needs no model for that."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BELOW = {  # what a room may import of the others
    "keys": set(),
    "evaluation": {"keys"},
    "attacks": {"keys", "evaluation"},
    "reports": {"keys", "evaluation"},
}


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_those_below_it(room):
    rooms = {*BELOW, "wrongkey"}
    for file in (ROOT / room).rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(encoding="utf-8"), flags=re.M)
        assert set(imported) & rooms <= BELOW[room] | {room}, file


def test_reports_are_read_without_torch():
    code = "import sys, reports.html, reports.reproduction; print(*{'torch', 'attacks'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "\n", done.stderr
