"""The notebooks run from a fresh kernel without an error or a warning, and what is committed is what they give."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.execute import execute, normalised

FOLDER = Path(__file__).parents[1] / "notebooks"
FILES = sorted(FOLDER.glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_five_and_the_documentation_names_them():
    assert [path.stem[:2] for path in FILES] == ["01", "02", "03", "04", "05"]
    page = (FOLDER.parent / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `notebooks/(.+?)`", page, flags=re.M) == [path.name for path in FILES]


@notebooks
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    """Its cells assert what its text claims."""
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # whoever asks the network is refused
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = execute(path, str(tmp_path))
    streams = [output for cell in code(done) for output in cell.outputs if output.output_type == "stream"]
    assert not [output.text for output in streams if output.name == "stderr"]
    kinds = [[output.output_type for output in cell.outputs] for cell in code(done)]
    assert kinds == [[output.output_type for output in cell.outputs] for cell in code(read(path))]


@notebooks
def test_a_committed_notebook_was_executed_in_order_and_normalised(path):
    notebook = read(path)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert notebook == normalised(read(path))
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@notebooks
def test_a_committed_notebook_shows_no_path_of_a_machine_and_stays_small(path):
    assert path.stat().st_size < 2_000_000
    shown = [output for cell in code(read(path)) for output in cell.outputs]
    texts = [output.get("text", "") for output in shown]
    texts += [text for output in shown for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    for text in texts:
        without_clips = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
        assert not re.search(r"/(?:home|root|tmp|work|usr|Users|var|opt)/", without_clips)


@notebooks
def test_a_notebook_says_what_it_shows_and_needs_and_ends_with_exercises(path):
    first, *_, last = read(path).cells
    assert first.source.startswith("# ") and "**Shows**" in first.source and "**Needs**" in first.source
    assert last.source.startswith("## Exercises")
