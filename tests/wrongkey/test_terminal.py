"""What reaches a terminal, a page and a spreadsheet of names that strangers chose."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.wrongkey.test_cli import SWEEP
from wrongkey.cli import main
from wrongkey.printable import printable
from wrongkey.reports.content import report_content
from wrongkey.reports.figures.style import STYLE, save_figure
from wrongkey.reports.latex import to_latex
from wrongkey.reports.page.html import render
from wrongkey.reports.runs import load_run
from wrongkey.reports.tables import to_csv, to_html, to_markdown

ROOT = Path(__file__).parents[2]
EVIL = "a\x1b[2J\nb\r\u202ec\x9bd\u2028\udcffe"
SHOWN = r"a\x1b[2J\nb\r\u202ec\x9bd\u2028\xffe"
FORBIDDEN = set("\x1b\r\u202e\x9b\u2028\udcff")


def test_only_what_a_terminal_obeys_is_written_out():
    assert printable(EVIL) == SHOWN
    assert printable("näh 语音 عربى e\u0301 👩\u200d🔬 …") == "näh 语音 عربى e\u0301 👩\u200d🔬 …"
    assert printable("two\nlines\t!", keep="\n") == "two\nlines\\t!"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "rom"
    assert main([*SWEEP, "--out", str(folder)]) == 0
    for shard in (folder / "scores").glob("*.parquet"):
        table = pd.read_parquet(shard)
        table["model"] = EVIL.replace("\udcff", "\x00")  # Parquet holds UTF-8
        table.to_parquet(shard, index=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["device"], manifest["config"]["command"] = EVIL, EVIL
    manifest["config"]["model"] = EVIL.replace("\udcff", "\x00")
    del manifest["tables"]  # as of an older wrongkey, whose files have no seal
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_names_of_a_run_obey_nobody_in_terminal_and_page(run, capsys):
    capsys.readouterr()
    assert main(["ls", str(run.parent)]) == 0
    assert main(["compare", str(run), str(run)]) == 3
    said = capsys.readouterr().out
    assert said.count(r"a\x1b[2J\nb\r\u202ec") >= 3
    assert not FORBIDDEN & set(said)
    loaded = load_run(run)
    page = render(report_content([loaded]), {})
    assert SHOWN in page
    assert not FORBIDDEN & set(page)


def test_errors_show_paths_and_do_not_obey_them(tmp_path, capsys):
    assert main(["ls", str(tmp_path / "x\x1b[31m\ny")]) == 2
    said = capsys.readouterr().err
    assert r"x\x1b[31m\ny" in said and said.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_that_no_terminal_can_spell_are_printed(encoding):
    code = "import sys; sys.argv[2] += '\\udcff'; from wrongkey.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "ls", "nowhere-ä"],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    said = done.stderr.decode(encoding)
    assert done.returncode == 2 and r"\xff holds no run folder" in said


def test_no_cell_of_a_spreadsheet_is_computed():
    cells = ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "＝1", "rom", "-1.5", "a=b"]
    table = pd.DataFrame({"run": cells, "value": range(-5, 5), "low": [None, *(-0.5,) * 9]})
    lines = to_csv(table).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [
        "'=1+1", "'+cmd", "'-cmd", "'@SUM(A1)", r"'\t=1", r"'\r=1", "'＝1", "rom", "-1.5", "a=b",
    ]  # fmt: skip
    assert lines[1].endswith(",-5,") and lines[2].endswith(",-4,-0.5")


def test_every_kind_of_table_escapes_names():
    table = pd.DataFrame({"Run": [EVIL.replace("\udcff", "") + "<b>|$x_1$ [y](z)"], "n": [3]})
    for write in (to_html, to_markdown, lambda table: to_latex(table, "A name.", "name"), to_csv):
        assert not FORBIDDEN & set(write(table)), write
    assert "<b>" not in to_html(table)
    assert r"\<b\>\|" in to_markdown(table) and r"[y\](z)" in to_markdown(table)
    assert r"\$x\_1\$" in to_latex(table, "A name.", "name")


def test_figures_are_files_of_printable_text_whatever_matplotlib_is_told(tmp_path):
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure()
    figure.suptitle("a\x1b\ud800b")
    with rc_context({"text.usetex": True, "savefig.facecolor": "red"}):  # a stranger's matplotlibrc
        with rc_context(STYLE):
            figure.text(0, 0, "plain")
        for path in save_figure(figure, tmp_path, "figure"):
            assert path.stat().st_size
    assert figure.get_suptitle() == r"a\x1b\ud800b"


def test_a_backend_of_a_notebook_does_not_reach_the_report():
    code = (
        "import sys; sys.argv = ['wrongkey', '--version']\n"
        "from wrongkey.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "import wrongkey.reports.figures.violins, matplotlib; print(matplotlib.get_backend())"
    )
    environment = {**os.environ, "MPLBACKEND": "module://a_notebook.of_somebody"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "agg", done.stderr
