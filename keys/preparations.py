"""What users may do to speech before they encrypt it: options of a scheme's name (``rom+flat=15+noise=20``).

This file knows their names, limits and words, and imports no torch; what they compute is in
`wrongkey.evaluation.preparation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wrongkey.keys.spec import real_number, whole_number

PREPARATIONS = ("noise", "flat", "phase", "lpc")
WINDOW_SECONDS = 0.032  # of speech that flat, phase and lpc look at

LEAST_RATIO, MOST_RATIO = -100.0, 200.0  # dB, of noise
MOST = 2**15  # bins and coefficients at any sample rate; a window of 32 ms has fewer

Options = Sequence[tuple[str, str]]  # of a scheme's name, as `wrongkey.keys.spec.parse` gives them


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
        Names with their values; options of other kinds are passed over.

    Returns
    -------
    tuple of Step

    Raises
    ------
    BadInput
        For a value that is no number, or out of range. How many bins and coefficients there can be depends on the
        sample rate as well: `wrongkey.evaluation.whitening` refuses more.

    Examples
    --------
    >>> steps_of([("turns", "4"), ("flat", "15"), ("noise", "20")])
    (Step(name='flat', amount=15), Step(name='noise', amount=20.0))
    """
    return tuple(Step(name, _amount(name, value)) for name, value in options if name in PREPARATIONS)


def _amount(name: str, value: str) -> float:
    if name == "phase":
        return 0.0
    if name == "noise":
        return real_number(name, value, LEAST_RATIO, MOST_RATIO)
    return whole_number(name, value, 1, MOST)
