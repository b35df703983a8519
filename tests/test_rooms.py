"""Which room may import which, and the one name under which all of them are imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What every room may use.
BASE = {
    f"wrongkey.{module}"
    for module in ("encoded_audio", "errors", "files", "printable", "plugins", "stops", "unreadable")
}
BELOW = {
    "keys": set(),
    "evaluation": {"wrongkey.keys"},
    "attacks": {"wrongkey.keys", "wrongkey.evaluation"},
    "reports": {"wrongkey.keys", "wrongkey.evaluation"},
}


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_those_below_it(room):
    allowed = BASE | BELOW[room] | {f"wrongkey.{room}"}
    for file in (ROOT / room).rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (wrongkey(?:\.\w+)?)", file.read_text(encoding="utf-8"), flags=re.M)
        assert set(imported) <= allowed | {"wrongkey"}, file


@pytest.mark.parametrize("room", BELOW)
def test_a_room_is_one_folder_under_one_name(room):
    link = ROOT / "wrongkey" / room
    assert link.is_symlink() and link.resolve() == ROOT / room


@pytest.mark.parametrize("module", ["wrongkey.attacks.harness.apart", "wrongkey.evaluation.processes.elsewhere"])
def test_processes_that_only_answer_start_without_pandas_and_scipy(module):
    code = f"import sys, {module}; print(*{{'pandas', 'scipy.optimize', 'scipy.sparse'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "\n", done.stderr


@pytest.mark.parametrize(
    "module", ["wrongkey.reports.page.html", "wrongkey.reports.paper.reproduction", "wrongkey.evaluation.config"]
)
def test_looking_and_asking_need_no_torch(module):
    code = f"import sys, {module}; print(*{{'torch', 'wrongkey.attacks'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "\n", done.stderr


def test_a_key_is_drawn_and_shown_without_torch(tmp_path):
    """Of schemes whose draws take no factorisation: such a command answers at once."""
    steps = ("draw --scheme flipping --block 4 -o {0}/k.npz", "draw --scheme flipping+nonce --block 4 -o {0}/s.npz")
    for step in (*steps, "show {0}/k.npz", "show {0}/s.npz"):
        words = ["keys", *step.format(tmp_path).split()]
        code = f"import sys; from wrongkey.cli import main; print(main({words}), 'torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "0 False", done.stderr


def test_the_settings_of_attacks_need_no_torch():
    code = "import sys, wrongkey.attacks.harness.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
