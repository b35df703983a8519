"""The README's table of commands is complete (its Python and its links: tests/test_docs.py)."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_commands_of_the_table_exist():
    from wrongkey.cli import COMMANDS

    said = set(re.findall(r"^\| `wrongkey ([\w-]+)", README, flags=re.M))
    assert said <= set(COMMANDS) | {"encrypt"}
    assert len(said) >= 7
