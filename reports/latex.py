r"""Tables for a paper: LaTeX with booktabs and siunitx, in ASCII alone, so that pdfLaTeX sets them.

Columns of numbers are aligned at the decimal point (S columns), cells such as "23.6 [22.9, 24.3]" hold `\num`s, and
everything else is text, in which nothing that a name contains is a command. The preamble needs
`\usepackage{booktabs,siunitx}`.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from wrongkey.printable import printable

Extreme = Literal["most", "least"]

_ESCAPED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''","`": r"\textasciigrave{}",
}  # fmt: skip
_SIGNS = {
    "–": "--", "—": "---", "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$", "±": r"$\pm$", "×": r"$\times$",
    "·": r"$\cdot$", "√": r"$\surd$", "∞": r"$\infty$", "‖": r"$\|$", "′": "$'$", "→": r"$\rightarrow$",
    "…": r"\ldots{}", "’": "'", "‘": "`", "“": "``", "”": "''", "°": r"$^\circ$", "²": "$^2$", "³": "$^3$",
    "µ": r"$\mu$", "\xa0": "~", "α": r"$\alpha$", "β": r"$\beta$",
    "γ": r"$\gamma$", "δ": r"$\delta$", "ε": r"$\varepsilon$", "λ": r"$\lambda$",
    "μ": r"$\mu$", "ξ": r"$\xi$", "π": r"$\pi$", "ρ": r"$\rho$", "σ": r"$\sigma$", "φ": r"$\varphi$", "ß": r"\ss{}",
    "æ": r"\ae{}", "ø": r"\o{}", "ł": r"\l{}", "Æ": r"\AE{}", "Ø": r"\O{}", "Ł": r"\L{}",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0308": '"', "\u030a": "r ",
    "\u030c": "v ", "\u0327": "c ",
}  # fmt: skip
_PLAIN_NUMBER = r"[-−+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?"
_NUMBER = re.compile(rf"(?<![\w.]){_PLAIN_NUMBER}(?![\w^])")
_POWER = re.compile(r"10\^(\d+)")
_QUANTITY = re.compile(r"[-−+]?\d|[≥≤<>] ?\d")  # how a cell of numbers begins
NONE = ("", "–")

SHORTER = (  # headings, where a word or two are enough beside a caption
    (r"^picked among$", "of keys"),
    (r"^its number$", "number"),
    (r"^key or speech$", "recovered"),
    (r"^SNR of unseen speech, dB$", "unseen, dB"),
    (r"^below the correct key, dB$", "below correct, dB"),
)
COLUMN, PAGE = 252.0, 516.0  # points: widths of a column and of a page in IEEE's journals
SIZES = {"footnotesize": 4.2, "scriptsize": 3.7}  # and points of a character, roughly
GAP = 6.0  # points between columns
NARROWEST = 44.0  # points of a column whose text is broken into lines


@dataclass(frozen=True)
class _Column:
    """A column as LaTeX: a heading, cells, the kind ("number", "quantity" or "text") and its width in characters."""

    heading: str
    cells: list[str]
    kind: str
    characters: int
    format: str = ""  # of numbers: digits before and after the point


def to_latex(table: pd.DataFrame, caption: str, label: str, bold: Mapping[str, Extreme] | None = None) -> str:
    r"""Write a table as a LaTeX float, `table` where it fits a column and `table*` otherwise.

    Parameters
    ----------
    table : DataFrame
        Any table of texts and numbers; special characters are escaped.
    caption : str
        Text, not LaTeX.
    label : str
        For `\ref`: "scores" gives `tab:scores`.
    bold : mapping of str to {"most", "least"}, optional
        Columns whose largest or smallest first number is bold.

    Returns
    -------
    str
        ASCII that needs `\usepackage{booktabs,siunitx}`.

    Examples
    --------
    >>> print(to_latex(pd.DataFrame({"Run": ["a_b"], "EER": ["7.5"]}), "A run.", "run"))  # doctest: +ELLIPSIS
    \begin{table}
    ...
    a\_b & 7.5 \\
    ...
    """
    chosen = bold or {}
    texts = [[_cell(value) for value in table.iloc[:, place]] for place in range(table.shape[1])]
    columns = [
        _column(str(name), cells, chosen.get(str(name))) for name, cells in zip(table.columns, texts, strict=True)
    ]
    size, specs, wide = _layout(columns)
    headings = " & ".join(_heading(column) for column in columns)
    rows = [" & ".join(cells) for cells in zip(*(column.cells for column in columns), strict=True)]
    # After a line's end, a bracket or a star would be an argument.
    body = [rf"{'{}' if row[:1] in ('[', '*') else ''}{row} \\" for row in rows]
    kind = "table*" if wide else "table"
    lines = [
        rf"\begin{{{kind}}}",
        r"\centering",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9:-]+', '-', label)}}}",
        rf"\{size}",
        rf"\setlength{{\tabcolsep}}{{{GAP / 2:g}pt}}",
        r"\sisetup{group-separator={,}, group-minimum-digits=4, detect-weight=true}",
        rf"\begin{{tabular}}{{@{{}}{''.join(specs)}@{{}}}}",
        r"\toprule",
        rf"{headings} \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        rf"\end{{{kind}}}",
    ]
    return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    r"""Text in which nothing is a command, in ASCII; what pdfLaTeX has no sign for is written `\u4f60`.

    Examples
    --------
    >>> print(latex_text("Søren’s 5–95 %"))
    S\o{}ren's 5--95 \%
    """
    shown = unicodedata.normalize("NFC", printable(" ".join(text.split())))
    shown = re.sub(r"\bM = (?=\d)", "M\xa0=\xa0", shown)  # stays on one line
    hyphens = re.sub("-(?=-)", "-\0", shown)  # two in a row would be a dash
    return "".join("{}" if character == "\0" else _sign(character) for character in hyphens)


def _sign(character: str) -> str:
    """One character as LaTeX."""
    known = _ESCAPED.get(character) or _SIGNS.get(character)
    if known or character.isascii():
        return known or character
    base, *accents = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in _ACCENTS:
        return rf"\{_ACCENTS[accents[0]]}{{{base}}}"
    code = ord(character)
    return rf"\textbackslash{{}}{f'U{code:08x}' if code > 0xFFFF else f'u{code:04x}'}"


def _cell(value: object) -> str:
    """A value as text; "–" for none."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _column(name: str, cells: Sequence[str], extreme: Extreme | None) -> _Column:
    filled = [cell for cell in cells if cell not in NONE]
    heading = name
    for long, short in SHORTER:
        heading = re.sub(long, short, heading)
    longest = max([len(cell) for cell in cells] + [max(map(len, _stacked(heading)))])
    marked = _extremes(cells, extreme)
    if filled and all(re.fullmatch(_PLAIN_NUMBER, cell) for cell in filled):
        numbers = [_bare(cell) for cell in filled]
        whole = max(len(number.lstrip("-+").split("e")[0].split(".")[0]) for number in numbers)
        places = max(len(number.split("e")[0].partition(".")[2]) for number in numbers)
        power = max(len(number.partition("e")[2]) for number in numbers)
        sign = "-" if any(number.startswith("-") for number in numbers) else ""
        form = f"{sign}{whole}.{places}" + (f"e-{power - 1}" if power else "")
        drawn = [_number(cell, number in marked) for number, cell in enumerate(cells)]
        return _Column(heading, drawn, "number", longest + 2 * bool(sign), form)
    quantity = bool(filled) and all(_QUANTITY.match(cell) for cell in filled)
    write = _quantity if quantity else latex_text
    drawn = [rf"\textbf{{{write(cell)}}}" if i in marked else write(cell) for i, cell in enumerate(cells)]
    wider = longest // 8 if marked else 0  # bold type
    return _Column(heading, drawn, "quantity" if quantity else "text", longest + wider)


def _extremes(cells: Sequence[str], extreme: Extreme | None) -> set[int]:
    """The rows whose first number is the largest or the smallest."""
    values = {}
    for number, cell in enumerate(cells):
        if extreme and (found := _NUMBER.search(cell)):
            values[number] = float(_bare(found[0]))
    best = {"most": max, "least": min}[extreme](values.values()) if extreme and values else None
    return {number for number, value in values.items() if value == best}


def _bare(number: str) -> str:
    return number.replace(",", "").replace("−", "-")


def _number(cell: str, marked: bool) -> str:
    """A cell of an S column."""
    if cell in NONE:
        return "{--}" if cell else "{}"
    return (r"\bfseries " if marked else "") + _bare(cell)


def _quantity(cell: str) -> str:
    r"""Numbers as `\num`, powers of ten in mathematics, the rest as text."""
    parts, end = [], 0
    for found in re.finditer(rf"{_POWER.pattern}|{_NUMBER.pattern}", cell):
        parts.append(_part(cell[end : found.start()]))
        parts.append(rf"$10^{{{found[1]}}}$" if found[1] else rf"\num{{{_bare(found[0])}}}")
        end = found.end()
    return "".join([*parts, _part(cell[end:])])


def _part(text: str) -> str:
    """As `latex_text`, with the spaces at both ends kept."""
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before and ' '}{latex_text(text)}{after and ' '}" if text.strip() else text and " "


def _heading(column: _Column) -> str:
    lines = [latex_text(line) for line in _stacked(column.heading)]
    stacked = r"\\{}".join(lines)  # a line that begins with a bracket is no argument
    side = {"text": "[l]", "quantity": "[r]"}.get(column.kind, "")
    return f"{{{lines[0]}}}" if len(lines) == 1 else rf"{{\shortstack{side}{{{stacked}}}}}"


def _stacked(heading: str) -> list[str]:
    """A heading of more than a few characters on two lines of about the same length."""
    words = heading.split()
    if len(heading) <= 9 or len(words) < 2:
        return [heading]
    cuts = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
    return list(min(cuts, key=lambda lines: max(map(len, lines))))


def _layout(columns: Sequence[_Column]) -> tuple[str, list[str], bool]:
    """Size of the type, a specification for every column, and whether the table spans the page.

    Where the rows would be longer than the page, the longest columns of text are broken into lines.
    """
    by_size = {size: [character * one.characters + GAP for one in columns] for size, character in SIZES.items()}
    size = next((size for size, widths in by_size.items() if sum(widths) <= PAGE), list(SIZES)[-1])
    widths = by_size[size]
    broken = _broken(columns, widths, ("text",)) or _broken(columns, widths, ("text", "quantity")) or {}
    specs = []
    for place, column in enumerate(columns):
        if place in broken:
            specs.append(rf">{{\raggedright\arraybackslash}}p{{{broken[place] - GAP:.0f}pt}}")
        elif column.kind == "number":
            specs.append(f"S[table-format={column.format}]")
        else:
            specs.append("r" if column.kind == "quantity" else "l")
    return size, specs, sum(widths) > COLUMN


def _broken(columns: Sequence[_Column], widths: Sequence[float], kinds: tuple[str, ...]) -> dict[int, float] | None:
    """The room in points of each column that is broken so that rows fit the page; None where that is too little.

    Only columns of these kinds are broken, and only those that need more than an equal share.
    """
    places = sorted((n for n, column in enumerate(columns) if column.kind in kinds), key=lambda n: widths[n])
    room = PAGE - sum(width for n, width in enumerate(widths) if n not in places)
    found = {}
    for done, place in enumerate(places):
        share = room / (len(places) - done)
        if widths[place] > share:
            found[place] = share
        room -= min(share, widths[place])
    return found if min(found.values(), default=NARROWEST) >= NARROWEST else None
