"""What users may do to speech before they encrypt it: options of a scheme's name (``rom+flat=15+noise=20``).

This file knows their names, limits and words, and imports no torch; what they compute is in
`wrongkey.evaluation.preparation`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wrongkey.errors import BadInput

PREPARATIONS = ("noise", "flat", "phase", "lpc")
WINDOW_SECONDS = 0.032  # of speech that flat, phase and lpc look at

Options = Sequence[tuple[str, str]]  # of a scheme's name: ("noise", "20"), ("phase", "")


@dataclass(frozen=True)
class Step:
    """One thing that is done to speech.

    Parameters
    ----------
    name
        One of `PREPARATIONS`.
    amount
        The signal-to-noise ratio in dB of ``noise``, the bins of ``flat``, the order of ``lpc``; 0 for ``phase``.

    Examples
    --------
    >>> str(Step("noise", 20.0))
    'noise at 20 dB'
    """

    name: str
    amount: float = 0.0

    def __str__(self) -> str:
        words = {
            "noise": f"noise at {self.amount:g} dB",
            "flat": f"a spectral envelope flattened over {self.amount:g} bins",
            "phase": "phase only",
            "lpc": f"linear prediction of order {self.amount:g} taken out",
        }
        return words[self.name]


def steps_of(options: Options) -> tuple[Step, ...]:
    """The preparations among the options of a scheme's name, in their order.

    Parameters
    ----------
    options
        Names with their values, which are empty for an option without one; options of other kinds are passed over.

    Returns
    -------
    tuple of Step

    Raises
    ------
    BadInput
        For a value that a preparation cannot have, and for one that is named twice.

    Examples
    --------
    >>> steps_of([("turns", "4"), ("flat", "15"), ("noise", "20")])
    (Step(name='flat', amount=15), Step(name='noise', amount=20.0))
    """
    chosen = [(name, value) for name, value in options if name in PREPARATIONS]
    names = [name for name, _ in chosen]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"Option {twice[0]} is named twice: name it once.")
    return tuple(Step(name, _amount(name, value)) for name, value in chosen)


def check_preparations(options: Options) -> None:
    """Raise BadInput for a preparation among the options of a scheme's name that cannot be, as `steps_of` does.

    Parameters
    ----------
    options
        As for `steps_of`.

    Raises
    ------
    BadInput
        As `steps_of` does.

    Examples
    --------
    >>> check_preparations([("noise", "20"), ("phase", "")])
    """
    steps_of(options)


def _amount(name: str, value: str) -> float:
    if name == "phase":
        if value:
            raise BadInput(f"Option phase takes no value, and {value!r} was given: write phase alone.")
        return 0.0
    if name == "noise":
        if not math.isfinite(ratio := _number(value)):
            raise BadInput(f"Option noise={value} needs a finite signal-to-noise ratio in dB, such as noise=20.")
        return ratio
    what = "bins, such as flat=15" if name == "flat" else "coefficients, such as lpc=16"
    if not (value.isascii() and value.isdigit() and int(value) >= 1):
        raise BadInput(f"Option {name}={value} needs a whole number of 1 or more {what}.")
    return int(value)


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan
