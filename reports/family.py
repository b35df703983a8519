"""Key schemes by name: the base that options build on, and the order in which reports show them."""

import re

from wrongkey.keys.labels import FAMILY

Place = tuple[int, list[tuple[int, str]]]


def base_of(scheme: str) -> str:
    """The name of a scheme without its options.

    Examples
    --------
    >>> base_of("rom+turns=4"), base_of("my.module:mine")
    ('rom', 'my.module:mine')
    """
    return scheme.partition("+")[0]


def scheme_place(scheme: str) -> Place:
    """For sorting: the family's order, a user's schemes behind it, and options behind the plain scheme.

    Examples
    --------
    >>> sorted(["mine", "rom+turns=16", "rom+turns=4", "rom", "flipping"], key=scheme_place)
    ['flipping', 'rom', 'rom+turns=4', 'rom+turns=16', 'mine']
    """
    base = base_of(scheme)
    return FAMILY.index(base) if base in FAMILY else len(FAMILY), natural(scheme)


def natural(name: str) -> list[tuple[int, str]]:
    """For sorting: numbers in a name count as numbers."""
    parts = enumerate(re.split(r"(\d+)", name))
    return [(len(part.lstrip("0")), part.lstrip("0")) if number % 2 else (-1, part) for number, part in parts]
