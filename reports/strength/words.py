"""The strength of a key in words: bits, guesses and probabilities as tables and sentences have them."""

from collections.abc import Iterator

import numpy as np

from wrongkey.evaluation.run_folder.strength import Estimate
from wrongkey.reports.statistics.key_statistics import count_words
from wrongkey.reports.strength.runs import StrengthRun

UNCOUNTED = "not countable"
NONE = "–"


def bits_words(bits: float) -> str:
    """Bits in a table.

    Examples
    --------
    >>> [bits_words(bits) for bits in (4.32, 111.3, 4012.0)]
    ['4.3', '111', '4,012']
    """
    return f"{bits:.1f}" if bits < 100 else f"{bits:,.0f}"


def nominal_words(run: StrengthRun) -> str:
    """The nominal bits of a key, or that they cannot be counted."""
    nominal = run.found.nominal_bits
    return UNCOUNTED if nominal is None else bits_words(nominal)


def effective_words(estimate: Estimate) -> str:
    """Effective bits with their interval, if it has a width, such as "13.8 [12.3, 15.3]"; "–" where none are given."""
    if estimate.bits is None:
        return NONE
    low, high = estimate.bits_low, estimate.bits_high
    if low is None or high is None or low == high:
        return bits_words(estimate.bits)
    return f"{bits_words(estimate.bits)} [{bits_words(low)}, {bits_words(high)}]"


def guess_words(estimate: Estimate) -> str:
    """Guesses on average; "–" where no bits are given.

    Examples
    --------
    >>> [guess_words(Estimate(within=1.0, bits=bits)) for bits in (4.0, 1500.0, None)]
    ['16', '10^452', '–']
    """
    if estimate.bits is None:
        return NONE
    if estimate.bits > 1000:
        return f"10^{estimate.bits * np.log10(2):.0f}"
    return count_words(estimate.guesses or 2**estimate.bits)


def probability_words(estimate: Estimate) -> str:
    """P of a random key; "–" where none is given.

    Examples
    --------
    >>> [probability_words(Estimate(within=1.0, probability=p)) for p in (0.0513, 6.31e-05, None)]
    ['0.051', '6.3e-5', '–']
    """
    if not estimate.probability:
        return NONE
    if estimate.probability >= 0.001:
        return f"{estimate.probability:.2g}"
    return f"{estimate.probability:.1e}".replace("e-0", "e-")


def short_words(run: StrengthRun) -> str:
    """Such as "13.8 [12.3, 15.3] of 111 bits to within 1 point"; of a measurement without bits that there are none."""
    nominal = run.found.nominal_bits
    of = f" of {bits_words(nominal)}" if nominal is not None else ""
    if (nearest := run.nearest) is None:
        return "no effective bits given"
    return f"{effective_words(nearest)}{of} bits to within {run.metric.distance_words(nearest.within)}"


def sentence(run: StrengthRun) -> str:
    """What was measured, in whole sentences."""
    return " ".join([_nominal(run), *_estimates(run), *_best(run)])


def _nominal(run: StrengthRun) -> str:
    found = run.found
    if found.nominal_bits is None:
        return "The keys form a continuum that cannot be counted."
    at = f" at a relative key error of {found.tolerance:g}" if found.tolerance else ""
    return f"The key space has {bits_words(found.nominal_bits)} bits{at}."


def _estimates(run: StrengthRun) -> Iterator[str]:
    found, metric = run.found, run.metric
    if not found.estimates:
        yield "There is no estimate yet."
    for number, estimate in enumerate(found.estimates):
        near = f"within {metric.distance_words(estimate.within)}"
        near += "" if number else f" of the plain model’s {metric.label} ({metric.words(found.plain)})"
        if estimate.bits is None:
            yield f"No bits are given for keys {near}: {_ended(estimate.why_not or 'the measurement has not ended')}"
        else:
            guesses = guess_words(estimate)
            times = "guess" if guesses == "1" else "guesses"
            yield f"A random key comes {near} after {guesses} {times} on average: {effective_words(estimate)} bits."


def _best(run: StrengthRun) -> Iterator[str]:
    found, metric = run.found, run.metric
    if found.best is not None:
        far = "" if found.best_distance is None else f", and a relative error of {found.best_distance:.2f} as a key"
        keys = f"{found.evaluations:,} key{'' if found.evaluations == 1 else 's'}"
        yield f"The best of the {keys} that were scored has {metric.words(found.best)}{far}."


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
