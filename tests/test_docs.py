"""What the documentation says is true: its Python runs, and its links, files, modules and names exist."""

import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import soundfile
import torch

from wrongkey.attacks.base import Evidence, Setting
from wrongkey.evaluation import open_model
from wrongkey.evaluation.models.protocol import SpeakerModel
from wrongkey.keys import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.key_cut import KeyCut

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)


def module(name: str) -> SimpleNamespace:
    """The block of docs/extending.md that begins with this module's name, executed."""
    (source,) = [block for block in blocks("docs/extending.md") if block.startswith(f"# {name}.py\n")]
    names = {"__name__": name}
    exec(compile(source, name, "exec"), names)
    return SimpleNamespace(**names)


def test_every_block_of_extending_is_tested_below():
    assert [block.splitlines()[0] for block in blocks("docs/extending.md")] == [
        *("# mymodel.py", "# mycorpus.py", "# myscheme.py", "# myattack.py")
    ]


def test_the_readme_example_runs(tmp_path, monkeypatch, capsys):
    (example,) = blocks("README.md")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert re.fullmatch(r"plain [\d.]+ %, median [\d.]+ %, best wrong key [\d.]+ %\n", capsys.readouterr().out)


def test_the_model_opens_by_its_name(tmp_path, monkeypatch):
    (source,) = [block for block in blocks("docs/extending.md") if block.startswith("# mymodel.py")]
    (tmp_path / "mymodel.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    model = cast(SpeakerModel, open_model("mymodel:make"))
    with torch.inference_mode():
        assert model.embed(torch.randn(2, 3000)).shape == (2, 64)


def test_the_corpus_holds_what_lies_in_the_folder(tmp_path, monkeypatch):
    for name in ("ann/1", "ann/2", "ben/1"):
        path = tmp_path / "recordings" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(1600), 16_000)
    monkeypatch.chdir(tmp_path)
    corpus = module("mycorpus").make()
    assert [utterance.id for utterance in corpus.utterances] == ["ann/1", "ann/2", "ben/1"]
    assert list(corpus.speakers) == ["ann", "ben"]


def test_keys_of_the_scheme_are_signed_permutations():
    scheme = module("myscheme").mine
    keys = draw_keys(scheme, 4, 0, 0, 50)
    assert np.allclose(keys @ keys.transpose(0, 2, 1), np.eye(4))
    assert ((keys != 0).sum(axis=1) == 1).all() and (keys < 0).any()
    assert scheme.space(2) == 8 and scheme.monomial


def test_the_attack_guesses_a_key_of_the_scheme():
    attack = module("myattack").FirstGuess()
    setting = Setting(get_scheme("rom"), KeyCut("samples", 3), rate=16_000)
    cases = attack.cases(setting)
    key = attack.run(Evidence(setting, cases[0], seed=5)).key
    assert np.allclose(key @ key.T, np.eye(3))
    assert attack.inapplicable(setting) is None
    assert attack.inapplicable(Setting(get_scheme("rom"), KeyCut("tiles", 3), rate=100)).endswith(".")


def test_every_page_is_in_the_navigation():
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.M)
    docs = ROOT / "docs"
    assert sorted(listed) == sorted(page.relative_to(docs).as_posix() for page in docs.rglob("*.md"))


@pages
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pages
def test_files_of_the_repository_exist(page):
    """Of paths in backticks that begin with one of our folders."""
    folders = "keys|evaluation|attacks|reports|wrongkey|training|benchmarks|tests|docs"
    for name in re.findall(rf"`((?:{folders})/[\w./-]+\.(?:py|toml|md))`", page.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), name


@pages
def test_python_names_exist(page):
    for name in set(re.findall(r"`(wrongkey(?:\.\w+)+)[`(]", page.read_text(encoding="utf-8"))):
        parts, found = name.split("."), None
        for length in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:length]))
            except ModuleNotFoundError:
                continue
            for part in parts[length:]:
                found = getattr(found, part, None)
            break
        assert found is not None or name in ENTRY_POINT_GROUPS, name


ENTRY_POINT_GROUPS = {f"wrongkey.{kind}" for kind in ("models", "corpora", "schemes", "attacks")}
