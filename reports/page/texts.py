"""A report as Markdown and as LaTeX: headline, board and tables, out of `report.json` alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from wrongkey.reports.board.table import board_table
from wrongkey.reports.content.schema import Table
from wrongkey.reports.content.tables import as_frame, as_table
from wrongkey.reports.latex import Extreme, to_latex
from wrongkey.reports.tables import BEST, markdown_text, to_markdown

BOARD = "Verdict board"
CAPTION = "Verdict on each scheme and block size, for each adversary"
PREAMBLE = "% Needs \\usepackage{booktabs,siunitx} in the preamble.\n"
FLOATS = (  # label and caption of each table of a section
    ("scores", "Scores, with 95 % intervals over keys in brackets:"),
    ("best-wrong-keys", "The best wrong key, and how many random keys it takes to come close to the plain model:"),
    ("near-keys", "How many keys came close to the plain model; in parentheses by the ends of their intervals:"),
)
MOST: Extreme = "most"
LEAST: Extreme = "least"
TABLES = 3  # of a section: scores, best wrong keys, keys that came close


def to_text(content: Mapping[str, Any]) -> str:
    """The report as Markdown: headline, board, score tables, attack tables."""
    lines = [f"# {markdown_text(content['title'])}", "", f"**{markdown_text(content['headline'])}**", ""]
    lines += [f"- {markdown_text(caution)}" for caution in content["cautions"]]
    lines += ["", markdown_text("; ".join(content["facts"])) + ".", ""]
    if content["criteria"]:
        lines += [f"Criteria. {markdown_text(content['criteria'])}", ""]
    for heading, table in tables_of(content):
        lines += [f"## {markdown_text(heading)}", ""] if heading else []
        lines += [f"**{markdown_text(table.caption)}**", "", to_markdown(as_frame(table))]
    commands = dict.fromkeys(run["command"] for run in content["runs"] if run["command"])
    if commands:
        lines += ["## Commands", "", *(f"    {command}" for command in commands), ""]
    return "\n".join(lines)


def to_tex(content: Mapping[str, Any]) -> str:
    r"""The tables of the report as floats of LaTeX, which need booktabs and siunitx.

    Bold: the mean that is safest, and the best wrong key that works best.
    """
    return PREAMBLE + "\n" + "\n".join(_floats(content))


def _floats(content: Mapping[str, Any]) -> Iterator[str]:
    if content["board"]:
        yield to_latex(board_table(content["board"]), f"{CAPTION}.", "board")
    for section in content["sections"]:
        bold = {"Mean [95 %]": LEAST, f"{BEST} [95 %]": MOST}
        if section["metric"]["higher_is_safer"]:
            bold = {"Mean [95 %]": MOST, f"{BEST} [95 %]": LEAST}
        for (label, about), table in zip(FLOATS, section["tables"][:TABLES], strict=False):
            caption = f"{about} {section['heading']}."
            yield to_latex(as_frame(Table(**table)), caption, f"{label}-{section['anchor']}", bold)
    for label, item in zip(("strength", "strength-estimates"), _strength(content), strict=False):
        yield to_latex(as_frame(item), f"{item.caption}.", label)
    for number, run in enumerate((content["attacks"] or {"runs": []})["runs"], start=1):
        for label, table in zip(("verdicts", "attacks", "measured"), run["tables"], strict=False):
            yield to_latex(as_frame(Table(**table)), f"{table['caption']}.", f"{label}-{number}")


def tables_of(content: Mapping[str, Any]) -> Iterator[tuple[str, Table]]:
    """(heading, table); the heading only of the first table below it."""
    if content["board"]:
        yield BOARD, as_table(board_table(content["board"]), CAPTION)
    for section in content["sections"]:
        for number, table in enumerate(section["tables"][:TABLES]):
            yield "" if number else section["heading"], Table(**table)
    for number, item in enumerate(_strength(content)):
        yield "" if number else "Effective strength", item
    for run in (content["attacks"] or {"runs": []})["runs"]:
        for number, table in enumerate(run["tables"]):
            yield "" if number else f"Attacks: {run['label']}", Table(**table)


def _strength(content: Mapping[str, Any]) -> list[Table]:
    """The tables of measured strengths; none in a report of an older wrongkey."""
    return [Table(**table) for table in (content.get("strength") or {"tables": []})["tables"]]
