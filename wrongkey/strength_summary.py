"""The strength of a key in sentences, from what `strength/strength.json` holds."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

NORMAL = 1.96  # half of a 95 % interval, in standard deviations


def sentences(content: Mapping[str, Any]) -> list[str]:
    """A sentence for each goal."""
    return [_sentence(content, one) for one in content["estimates"]]


def times_fewer(estimate: Mapping[str, Any]) -> float | None:
    """How many times the evaluations plain guessing takes to an estimate as precise as this one.

    n random keys estimate a probability P with the relative variance (1 - P) / (P n); that of the estimate is taken
    from its interval. None where there is no interval.
    """
    if estimate["probability"] is None or estimate["bits_high"] is None:
        return None
    deviation = (estimate["bits_high"] - estimate["bits_low"]) * log(2) / (2 * NORMAL)
    if not deviation:
        return None
    p = estimate["probability"]
    evaluations = sum(one["evaluations"] for one in estimate["repetitions"])
    return float((1 - p) / (p * deviation**2) / evaluations)


def _sentence(content: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    points = f"{one['within']:g} point{'' if one['within'] == 1 else 's'}"
    if one["bits"] is None:
        return f"Within {points} of plain no bits are given. {one['why_not']}"
    evaluations = sum(repetition["evaluations"] for repetition in one["repetitions"])
    interval = "" if content.get("counted") else f" [{one['bits_low']:.1f}, {one['bits_high']:.1f}]"
    return (
        f"A random key unlocks within {points} of plain with P = {one['probability']:.2g}: about "
        f"{_number(one['guesses'])} guess{'' if round(one['guesses']) == 1 else 'es'}, {one['bits']:.1f} bits{interval}"
        f"{_nominal(content)}; {evaluations:,} evaluations{_cost(content, one)}."
    )


def _nominal(content: Mapping[str, Any]) -> str:
    bits, tolerance = content["nominal_bits"], content["tolerance"]
    if bits is None:
        return ""
    return f" (nominal {bits:.1f} bits{'' if tolerance is None else f' at a tolerance of {tolerance:g}'})"


def _cost(content: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    if content.get("counted"):
        return ", which are all keys there are"
    times = times_fewer(one)
    return "" if times is None or times < 1 else f", {times:,.0f} times fewer than guessing to the same precision"


def _number(guesses: float) -> str:
    return f"{guesses:,.0f}" if guesses < 1e9 else f"{guesses:.1e}"
