"""The README's Python runs, and the files that it shows are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert re.fullmatch(r"plain [\d.]+ %, median [\d.]+ %, best wrong key [\d.]+ %\n", capsys.readouterr().out)


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_commands_of_the_table_exist():
    from wrongkey.cli import COMMANDS

    said = set(re.findall(r"^\| `wrongkey ([\w-]+)", README, flags=re.M))
    assert said <= set(COMMANDS) | {"encrypt"}
    assert len(said) >= 7
