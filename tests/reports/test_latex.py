"""Tables for LaTeX: what is aligned, bold and escaped, and that pdflatex sets all of them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.narrow import present
from tests.reports.attack_folders import random_keys, rows, write_attacks
from wrongkey.reports.attacks.rows import load_attacks
from wrongkey.reports.content.gather import gather
from wrongkey.reports.content.report import content_of
from wrongkey.reports.latex import COLUMN, PAGE, latex_text, to_latex
from wrongkey.reports.page.texts import to_tex
from wrongkey.reports.runs import load_runs

MakeRun = Callable[..., Path]
EVIL = '\\input{/etc/passwd} $x_1^2$ & #1 ~ 50 % "a" `b` <c> |d| --e ^^M é č ç ø 你 😀 \x1b\u202e'


def cells(table: str) -> list[list[str]]:
    """The rows below the headings."""
    body = table.split("\\midrule\n")[1].split("\\bottomrule")[0]
    return [line.removesuffix(" \\\\").split(" & ") for line in body.splitlines()]


def specification(table: str) -> str:
    return present(re.search(r"begin{tabular}{@{}(.*)@{}}", table))[1]


def test_numbers_are_aligned_and_quantities_are_numbers_with_text() -> None:
    table = pd.DataFrame(
        {"Run": ["a", "b"], "n": ["1,000", "–"], "EER": ["7.54", "-12.5"], "at": ["> 1,000 [≥ 2]", "3–4"]}
    )
    text = to_latex(table, "Two runs.", "two runs")
    assert specification(text) == "lS[table-format=4.0]S[table-format=-2.2]r"
    assert cells(text) == [
        ["a", "1000", "7.54", r"\textgreater{} \num{1000} [$\geq$ \num{2}]"],
        ["b", "{--}", "-12.5", r"\num{3}--\num{4}"],
    ]
    assert r"\caption{Two runs.}" in text and r"\label{tab:two-runs}" in text and r"\begin{table}" in text


def test_the_best_of_a_column_is_bold() -> None:
    table = pd.DataFrame({"n": ["1", "30", "4"], "mean": ["9 [8, 10]", "12 [1, 99]", "–"]})
    text = cells(to_latex(table, "", "", {"n": "most", "mean": "least"}))
    assert [row[0] for row in text] == ["1", r"\bfseries 30", "4"]
    assert [row[1].startswith(r"\textbf") for row in text] == [True, False, False]


def test_known_headings_are_short_and_long_ones_have_two_lines() -> None:
    table = pd.DataFrame({"Guesses to within 5 points": ["1"], "Best wrong key [95 %]": ["2"], "its number": ["3"]})
    heading = to_latex(table, "", "").split("\\toprule\n")[1].splitlines()[0]
    stacked = r"{\shortstack{Guesses to\\{}within 5 points}} & {\shortstack{Best wrong\\{}key [95 \%]}}"
    assert heading == rf"{stacked} & {{number}} \\"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a & b_c # 5 %", r"a \& b\_c \# 5 \%"),
        (r"\evil{$x$}", r"\textbackslash{}evil\{\$x\$\}"),
        ("5–95 ± 2 ≥ 1", r"5--95 $\pm$ 2 $\geq$ 1"),
        ("--block - x", "-{}-block - x"),
        ("M = 10", "M~=~10"),
        ("é Ñ č ø", r"\'{e} \~{N} \v {c} \o{}"),
        ("你😀", r"\textbackslash{}u4f60\textbackslash{}U0001f600"),
    ],
)
def test_text_is_ascii_in_which_nothing_is_a_command(text: str, latex: str) -> None:
    assert latex_text(text) == latex


def test_no_name_is_a_command_or_an_argument() -> None:
    text = to_latex(pd.DataFrame({EVIL: ["[2pt]", "*", EVIL]}), EVIL, EVIL)
    assert text.isascii() and "\\input" not in text and [row[0][:2] for row in cells(text)[:2]] == ["{}", "{}"]
    assert re.fullmatch(r"[\w:-]+", present(re.search(r"\\label{(.*)}", text))[1])


def test_wide_tables_span_the_page_and_break_their_texts() -> None:
    narrow, wide = (to_latex(pd.DataFrame({c: ["x" * n] for c in "abc"}), "", "") for n in (5, 90))
    assert r"\begin{table}" in narrow and specification(narrow) == "lll"
    assert r"\begin{table*}" in wide
    widths = [float(width) for width in re.findall(r"p{(\d+)pt}", specification(wide))]
    assert len(widths) == 3 and COLUMN < sum(widths) < PAGE


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed (texlive-science)")
def test_pdflatex_sets_all_tables_within_the_page(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    evil = EVIL.replace("/passwd", "")  # a word that is longer than a column cannot be broken
    folders = [make_run("a", scores), make_run("b", scores[:50] / 3, scheme="shuffling", block_size=10, model=evil)]
    folders.append(make_run("c", scores * 2, task="asr", metric="wer", corpus_recordings="synthetic"))
    table = [
        *rows("order", "2 s of ciphertext", [0.5] * 4, snr=[11.0] * 4, snr_unseen=9.0, seconds=2.0),
        *random_keys(),
    ]
    attacks = [present(load_attacks(write_attacks(tmp_path / "attacks", table)))]
    floats = to_tex(content_of(gather(load_runs(folders), attacks, [])))
    labels = re.findall(r"\\label{(.*)}", floats)
    assert labels == [f"tab:{n}" for n in ("board", "scores-asv-eer", "best-wrong-keys-asv-eer", "near-keys-asv-eer",
                                           "scores-asr-wer", "best-wrong-keys-asr-wer", "near-keys-asr-wer",
                                           "verdicts-1", "attacks-1")]  # fmt: skip
    assert "Guesses to" in floats and "Keys within" in floats and r"[95 \%]" in floats and "Only 4 trials" in floats
    page = r"\documentclass[twocolumn]{article}\usepackage[textwidth=7.16in,columnsep=0.16in,height=9in]{geometry}"
    body = rf"\usepackage{{booktabs,siunitx}}\begin{{document}}{floats}\end{{document}}"
    (tmp_path / "page.tex").write_text(page + body, encoding="ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and "Undefined" not in done.stdout and "siunitx Warning" not in done.stdout
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
