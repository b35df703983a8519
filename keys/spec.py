"""Names of schemes with options: ``rom+turns=4`` is four random orthogonal keys in turn. Knows no torch.

A name is a base, then options, each of which acts on all that stands to its left. The tables `BASES` and `OPTIONS` are
the one list of the family of schemes: the command line, the documentation and the reports take it from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from wrongkey.errors import BadInput

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Base:
    """A scheme by itself.

    Attributes
    ----------
    label
        As reports write it.
    meaning
        What a key does, in one line.
    """

    label: str
    meaning: str


@dataclass(frozen=True)
class Option:
    """What can be added to a scheme.

    Attributes
    ----------
    label
        As reports write it behind the base, with the value in braces.
    meaning
        What it does, in one line.
    value
        What stands behind the equals sign, in one word; empty where nothing does.
    """

    label: str
    meaning: str
    value: str = ""


PAPER = ("shuffling", "flipping", "rom")  # the paper's schemes, in its order

# In the order in which they are shown: the largest key space first.
BASES = {
    "rom": Base("ROM", "a random orthogonal matrix, Haar distributed"),
    "invertible": Base("Invertible", "a random matrix of bounded condition number"),
    "signed-shuffling": Base("Signed shuffling", "a permutation with random signs"),
    "flipping": Base("Flipping", "random signs"),
    "shuffling": Base("Shuffling", "a permutation"),
}

OPTIONS = {
    "turns": Option("{} in turn", "P independent keys: block t is multiplied by key t mod P", "P"),
    "signs": Option("signs over {}", "a random sign per block, P blocks taken together", "P"),
    "order": Option("order of {}", "blocks permuted, P blocks taken together", "P"),
    "along": Option("along {}", "blocks that are taken together lie side by side along time (default) or bins", "AXIS"),
    "condition": Option("condition {}", "the largest condition number of an invertible key", "NUMBER"),
    "windows": Option("windows", "the first layer's overlapping windows are encrypted one by one"),
    "schedule": Option("every {} s", "another key every so many seconds", "SECONDS"),
    "nonce": Option("nonces", "a key per utterance, from a public nonce"),
    "noise": Option("noise {} dB", "noise added to the query before encryption, at this SNR", "DB"),
    "flat": Option("flattened to {}", "the STFT's envelope over so many bins is divided out first", "BINS"),
    "lpc": Option("whitened by LPC {}", "the linear prediction residual of this order is encrypted", "ORDER"),
    "phase": Option("phase only", "all magnitudes of the STFT are set to one first"),
}


@dataclass(frozen=True)
class Spec:
    """A scheme's name, taken apart.

    Attributes
    ----------
    base
        The scheme by itself: a name of `BASES`, one that a package registers, or ``package.module:name``.
    options
        Name and value of each option, from left to right; an empty value where there is none.

    Examples
    --------
    >>> str(parse("rom+turns=4+nonce"))
    'rom+turns=4+nonce'
    """

    base: str
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """The name again."""
        return "+".join([self.base, *(f"{option}={value}" if value else option for option, value in self.options)])

    def value(self, option: str) -> str | None:
        """The value of an option, None where it is not there."""
        return dict(self.options).get(option)


def parse(name: str) -> Spec:
    """Take a scheme's name apart; nothing is looked up or imported.

    Parameters
    ----------
    name
        As users write it. The names of the bases and options may be in any case.

    Returns
    -------
    Spec
        Base and options.

    Raises
    ------
    BadInput
        For an unknown option, one that is given twice, a value too many or too few.

    Examples
    --------
    >>> parse("ROM+turns=4").options
    (('turns', '4'),)
    """
    base, *rest = name.split("+")
    base = base.lower() if base.lower() in BASES else base
    options: list[tuple[str, str]] = []
    for text in rest:
        option, equals, value = text.partition("=")
        option = option.lower()
        if option not in OPTIONS:
            near = get_close_matches(option, OPTIONS, n=1) or [", ".join(OPTIONS)]
            raise BadInput(f"The scheme {name!r} has the unknown option {option!r}: did you mean {near[0]}?")
        if bool(value) != bool(OPTIONS[option].value) or (equals and not value):
            wanted = f"{option}={OPTIONS[option].value}" if OPTIONS[option].value else f"{option} alone"
            raise BadInput(f"The scheme {name!r} has {text!r}: write {wanted}.")
        if option in dict(options):
            raise BadInput(f"The scheme {name!r} has the option {option} twice: leave one out.")
        options.append((option, value))
    return Spec(base, tuple(options))


def whole_number(option: str, value: str, least: int, most: int) -> int:
    """The value of an option as a whole number; BadInput where it is none, or out of range."""
    number = int(value) if re.fullmatch(r"[0-9]{1,9}", value) else least - 1
    if not least <= number <= most:
        raise BadInput(f"The option {option}={value} of a scheme needs a whole number from {least} to {most:,}.")
    return _as_written(option, value, number)


def real_number(option: str, value: str, least: float, most: float) -> float:
    """The value of an option as a number; BadInput where it is none, or out of range."""
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise BadInput(f"The option {option}={value} of a scheme needs a number from {least:g} to {most:g}.")
    return _as_written(option, value, number)


def _as_written(option: str, value: str, number: Number) -> Number:
    """The number, if it is written as anybody would: keys are drawn by a scheme's name, and one scheme has one name."""
    written = f"{number:.12g}"
    if value != written:
        raise BadInput(f"The option {option}={value} of a scheme is written {option}={written}.")
    return number
