"""The README: the files that it shows and the commands that it names exist. tests/packaging runs its Python."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_commands_of_the_table_exist():
    from wrongkey.cli import COMMANDS

    said = set(re.findall(r"^\| `wrongkey ([\w-]+)", README, flags=re.M))
    assert said <= set(COMMANDS) | {"encrypt"}
    assert len(said) >= 7
