"""``wrongkey report``: what run folders show, as a page, a document, tables or data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.terminal import conclude, note

if TYPE_CHECKING:
    from wrongkey.reports.page.write import Asked, Written

FORMATS = ("html", "json", "pdf", "md", "csv", "tex")
STYLES = ("screen", "ieee")
WIDTH = 100  # characters of a line of the headline


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "report", help="HTML page, PDF, tables and figures of run folders"
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, help="run folders, or folders that hold some; or a report.json, rendered again"
    )
    parser.add_argument("--out", type=Path, help="the file (default report.html); its ending names the format")
    parser.add_argument(
        "--format",
        action="append",
        help=f"one or more of {', '.join(FORMATS)}, with commas between them: files beside --out",
    )
    parser.add_argument("--figures", type=Path, help="folder for the figures (default: beside the page)")
    parser.add_argument("--table", type=Path, help="one more file, FILE.csv, FILE.md or FILE.tex")
    parser.add_argument("--style", choices=STYLES, default="screen", help="size and type of figures (default screen)")
    parser.add_argument(
        "--media",
        choices=["real"],
        help="real: also clips of real people, some decrypted; hand out such a report to nobody else",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the report in every format that is asked for."""
    from wrongkey.reports.page.write import Asked, figures_beside, write_again

    places = files(options.out, options.format, options.table)
    first = next(iter(places.values()))
    asked = Asked(places, options.figures or figures_beside(first), options.style, options.media == "real")
    source = [path for path in options.runs if path.suffix == ".json" and path.is_file()]
    if source and len(options.runs) > 1:
        raise BadInput(f"{source[0]} is a whole report: give it alone, or run folders.")
    written = write_again(source[0], asked, note) if source else _write(options.runs, asked)
    conclude(*_shortened(written.headline), *written.files)
    return 0


def _shortened(headline: str) -> list[str]:
    return wrap(headline, WIDTH, max_lines=2, placeholder=" …", break_on_hyphens=False)


def files(out: Path | None, formats: Sequence[str] | None, table: Path | None) -> dict[str, Path]:
    """The file of each format; `formats`: names, also several with commas between them.

    Raises
    ------
    BadInput
        For an unknown format, and an ending that names another one.
    """
    named = [name.strip().lower() for name in ",".join(formats or ()).split(",") if name.strip()]
    if formats is not None and not named:
        raise BadInput(f"--format names no format: give one or more of {', '.join(FORMATS)}.")
    for name in named:
        if name not in FORMATS:
            raise BadInput(f"--format {name} is unknown: give one or more of {', '.join(FORMATS)}.")
    ending = out.suffix.lower().removeprefix(".") if out else ""
    if out and ending and ending not in (named or FORMATS):
        known = f"the formats asked for, {', '.join(named)}" if named else f"{', '.join(FORMATS)}"
        raise BadInput(f"--out {out} ends in .{ending}, which is none of {known}: name another file or --format.")
    named = named or [ending or "html"]
    stem = out or Path("report.html")
    places = {name: stem if stem.suffix.lower() == f".{name}" else stem.with_suffix(f".{name}") for name in named}
    if table:
        kind = table.suffix.lower().removeprefix(".")
        if kind not in ("csv", "md", "tex"):
            raise BadInput(f"--table {table} has an unknown ending: give FILE.csv, FILE.md or FILE.tex.")
        places[kind] = table
    return places


def _write(paths: list[Path], asked: Asked) -> Written:
    from wrongkey.reports.found import find_all
    from wrongkey.reports.page.write import write_formats

    for path in paths:
        if path.is_file():
            raise BadInput(f"{path} is neither a folder nor a .json file: give run folders, or the report.json of one.")
    note(f"Reading {', '.join(map(str, paths))} …")
    found = find_all(paths)
    for reason in found.left_out:
        note(f"wrongkey: left out: {reason}")
    strengths = f", strengths: {len(found.strengths)}" if found.strengths else ""
    many = f"of attacks: {len(found.attacks)}, analyses: {len(found.analyses)}{strengths}"
    note(f"Runs of sweeps: {len(found.runs)}, {many}.")
    return write_formats(found.runs, asked, found.attacks, found.analyses, note, found.strengths)
