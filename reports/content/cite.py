"""How to cite wrongkey: the fields of CITATION.cff, which an installation does not hold (a test compares them)."""

from wrongkey import __version__

TITLE = "wrongkey: how much a secret key really protects speech"
AUTHOR = "The wrongkey developers"
YEAR = 2026


def bibtex() -> str:
    """An entry for a bibliography."""
    fields = {"author": f"{{{AUTHOR}}}", "title": TITLE, "version": __version__, "year": YEAR}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join(["@software{wrongkey,", *lines, "}"])
