"""How a measured number is written where rounding errors are nothing, and a signal that is exact has no ratio."""

from wrongkey.evaluation.run_folder.vocabulary import EXACT

NOTHING = 1e-9  # what differs by less, in units of about 1, differs by rounding alone


def rounded(value: float, form: str) -> str:
    """A number in that format; rounding errors are 0, which has no sign.

    Examples
    --------
    >>> rounded(1.6e-15, ".2g"), rounded(-0.2, ".0f"), rounded(-12.4, ".0f")
    ('0', '0', '-12')
    """
    return f"{0.0 if abs(value) < NOTHING else value:z{form}}"


def two_digits(value: float) -> str:
    """A number to two digits, without an exponent below a million.

    Examples
    --------
    >>> [two_digits(value) for value in (0.0123, 1.999875, 12.5, 120.0, 4321.0)]
    ['0.012', '2', '12', '120', '4300']
    """
    return f"{float(f'{value:.2g}'):g}"


def decibels(snr: float, form: str = ".0f", unit: str = "") -> str:
    """A signal-to-noise ratio; "exact" where only rounding is left.

    Examples
    --------
    >>> decibels(150.0), decibels(38.6), decibels(-0.2, unit=" dB")
    ('exact', '39', '0 dB')
    """
    return "exact" if snr >= EXACT else f"{rounded(snr, form)}{unit}"
