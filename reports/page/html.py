"""The page of a report: `report.json` and its media in one file that fetches nothing.

Style, script, figures and clips are inside. The page works without its script; a Content-Security-Policy lets no other
script run, should a name from a run folder ever find a way past the escaping.
"""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from wrongkey.evaluation.run_folder.adversaries import the
from wrongkey.printable import printable

Media = Mapping[str, bytes]  # file name -> content
HERE = Path(__file__).parent
TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".opus": "audio/ogg",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".tex": "text/x-tex",
}
POLICY = (  # nothing is fetched, and no script runs but ours
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src {source}; "
    "base-uri 'none'; form-action 'none'"
)
RIGHT_TO_LEFT = {"R", "AL", "AN"}
PLACES = (
    ("board", "Verdict"),
    ("listen", "Listen"),
    ("keys", "Keys"),
    ("strength", "Strength"),
    ("analyses", "Analyses"),
    ("attacks", "Attacks"),
    ("trust", "Can it be believed?"),
    ("cite", "Downloads, cite"),
)
EXPLORED = ("anchor", "heading", "task", "metric", "keys", "survival")  # of a section, for the script


def render(content: Mapping[str, Any], media: Media, *, served: str = "") -> str:
    """Make the page of a report.

    Parameters
    ----------
    content : mapping
        `report.json` (`wrongkey.reports.content.report_content`).
    media : mapping of str to bytes
        Its figures (`NAME.svg`), clips and downloads by file name; what is not there is left out.
    served : str, optional
        The address of a further script, for a page that a server sends with a policy of its own (`wrongkey view`).

    Returns
    -------
    str
        The page, the same for the same content and media.
    """
    content = {"strength": None, **content}  # which an older report does not have
    script = _script()
    sections = [{name: one[name] for name in EXPLORED} for one in content["sections"] if one["main"]]
    shown = {name: content[name] for name in ("analyses", "attacks", "strength")}
    shown |= {
        **dict.fromkeys(("board", "trust", "cite"), True),
        "keys": sections,
        "listen": content["listen"] and any(content["listen"][one] for one in ("rows", "withheld")),
    }
    return environment().get_template("report.html.j2").render(
        content,
        media=media,
        uri=lambda name: data_uri(name, media[name]),
        policy=POLICY.format(source=script_source()),
        served=served,
        style=style("report.css"),
        script=Markup(script),
        data=_data(sections) if sections else "",
        places=[(anchor, words) for anchor, words in PLACES if shown.get(anchor)],
    )  # fmt: skip


def script_source() -> str:
    """How a Content-Security-Policy names the script inside the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()}'"


def keep_units_together(text: str) -> str:
    """A number and its percent sign, and "M = 3", stay on one line; markup stays markup."""
    joined = re.sub(r"(?<=\d) (?=%)|(?<=\bM) (?==)|(?<==) (?=\d)", "\u00a0", text)
    return Markup(joined) if isinstance(text, Markup) else joined


def style(name: str) -> Markup:
    """The style of a page, after what all pages share."""
    return Markup("".join((HERE / one).read_text(encoding="utf-8") for one in ("base.css", name)))


def environment() -> Environment:
    """The templates of this folder, escaping, with the filters that they use."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "units": keep_units_together,
        "name": _isolated,
        "intervals": _mark_intervals,
        "is_text": _is_text,
        "state": lambda state: f"state-{re.sub(r'[^a-z]+', '-', str(state).casefold())}",
        "the": the,
        "first_upper": lambda text: f"{text[:1].upper()}{text[1:]}",
        "json": lambda value: json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True),
    }
    return made


def _shown(value: object) -> object:
    """How a page prints a value: untrusted names without control characters."""
    return printable(value, keep="\n") if isinstance(value, str) and not isinstance(value, Markup) else value


def _isolated(text: str) -> Markup:
    """A text that may hold a name: where some of it is written from right to left, it does not reorder the rest."""
    safe = escape(printable(text))
    if any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in text):
        return Markup("<bdi>") + safe + Markup("</bdi>")
    return safe


def _is_text(cell: str) -> bool:
    """Whether a cell holds words, which stand on the left and may wrap, and no number."""
    return len(cell) > 12 and not re.match(r"[-–>≤≥\d(]", cell)


def _mark_intervals(cell: Markup) -> Markup:
    """An interval that a page too narrow for its table can put below its value."""
    return Markup(re.sub(r" (\[[^][<>]*\])$", r' <span class="interval">\1</span>', str(cell)))


def data_uri(name: str, content: bytes) -> str:
    """An address that holds a whole file, of the type that its name says."""
    return (
        f"data:{TYPES.get(Path(name).suffix, 'application/octet-stream')};base64,{base64.b64encode(content).decode()}"
    )


def _script() -> str:
    return (HERE / "report.js").read_text(encoding="utf-8")


def _data(sections: list[dict[str, Any]]) -> Markup:
    """JSON inside a page: no `<` in it can end the element that holds it."""
    text = json.dumps(sections, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))
