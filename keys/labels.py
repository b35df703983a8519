"""What schemes are called where people read them, and in which order they are shown. Knows no torch."""

from wrongkey.errors import BadInput
from wrongkey.keys.spec import BASES, OPTIONS, PAPER, Spec, parse

__all__ = ["FAMILY", "PAPER", "place_of_scheme", "scheme_label", "taken_apart"]

FAMILY = tuple(BASES)


def scheme_label(name: str) -> str:
    """A scheme in words, for any name; an unknown one stays as it is.

    Parameters
    ----------
    name
        As run folders write it.

    Returns
    -------
    str
        For titles, tables and figures.

    Examples
    --------
    >>> scheme_label("rom+turns=4"), scheme_label("mine:scheme")
    ('ROM, 4 in turn', 'mine:scheme')
    """
    spec = taken_apart(name)
    base = BASES[spec.base].label if spec.base in BASES else spec.base
    return ", ".join([base, *(OPTIONS[option].label.format(value) for option, value in spec.options)])


def place_of_scheme(name: str) -> tuple[int, int, str]:
    """A sort key: by base in the order of `FAMILY`, those of users last, fewer options before more.

    Parameters
    ----------
    name
        As run folders write it.

    Returns
    -------
    tuple
        Of two numbers and the name.

    Examples
    --------
    >>> sorted(["shuffling", "rom+turns=2", "mine", "rom"], key=place_of_scheme)
    ['rom', 'rom+turns=2', 'shuffling', 'mine']
    """
    spec = taken_apart(name)
    return FAMILY.index(spec.base) if spec.base in BASES else len(FAMILY), len(spec.options), name


def taken_apart(name: str) -> Spec:
    """A name of any kind, taken apart; one that is no name of a scheme is a base without options."""
    try:
        return parse(name)
    except BadInput:  # from a run folder of somebody else's
        return Spec(name)
