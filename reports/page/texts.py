"""A report as Markdown and as LaTeX: headline, board and tables, out of `report.json` alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from wrongkey.reports.content.schema import Table
from wrongkey.reports.content.tables import as_frame
from wrongkey.reports.latex import to_latex
from wrongkey.reports.tables import markdown_text, to_markdown

BOARD = "Verdict board"
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
    commands = [run["command"] for run in content["runs"] if run["command"]]
    if commands:
        lines += ["## Commands", "", *(f"    {command}" for command in commands), ""]
    return "\n".join(lines)


def to_tex(content: Mapping[str, Any]) -> str:
    """The tables of the report for LaTeX: board, scores, best wrong keys, attacks."""
    tables = [table for _, table in tables_of(content)]
    return "% Needs \\usepackage{booktabs,siunitx} in the preamble.\n\n" + "\n".join(
        to_latex(as_frame(table), table.caption, f"wrongkey-{number}") for number, table in enumerate(tables, start=1)
    )


def board_rows(board: Mapping[str, Any]) -> Table:
    """The board as a table of texts."""
    columns = ["Scheme", *(column["name"] for column in board["columns"])]
    rows = [[f"{row['label']} ({row['facts']})", *map(_cell, row["cells"])] for row in board["rows"]]
    return Table(caption="Verdict on each scheme and block size, for each adversary", columns=columns, rows=rows)


def _cell(cell: Mapping[str, Any]) -> str:
    said = ", ".join(filter(None, (cell["price"], cell["sure"])))
    state = f"{cell['state'][:1].upper()}{cell['state'][1:]}"
    return f"{state}: {said}" if said else state


def tables_of(content: Mapping[str, Any]) -> Iterator[tuple[str, Table]]:
    """(heading, table); the heading only of the first table below it."""
    if content["board"]:
        yield BOARD, board_rows(content["board"])
    for section in content["sections"]:
        for number, table in enumerate(section["tables"][:TABLES]):
            yield "" if number else section["heading"], Table(**table)
    for run in (content["attacks"] or {"runs": []})["runs"]:
        for number, table in enumerate(run["tables"]):
            yield "" if number else f"Attacks: {run['label']}", Table(**table)
