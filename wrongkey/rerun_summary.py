"""Whether a run that was made again has the same scores, in sentences, with the largest differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wrongkey.printable import listed
from wrongkey.reports.metrics import METRICS

if TYPE_CHECKING:
    from wrongkey.attacks.harness.again import ComparedAttacks
    from wrongkey.evaluation.rerun.compare import Compared
    from wrongkey.evaluation.rerun.difference import Difference

SHOWN = 5  # differences
ROUNDED = "Rounding may differ, since the run was made with another"


def of_scores(found: Compared) -> list[str]:
    """Whether the scores of a sweep are equal; where not bit for bit, why that may be, and what differs the most."""
    compared = f"{_counted(found.scores, 'score')} of {_counted(found.keys, 'incorrect key')} and of the conditions"
    if found.exact:
        return [f"The scores are equal bit for bit: {compared}."]
    label = METRICS[found.metric].label
    words = "equal within the tolerance" if found.equal else "not equal"
    differ = f"{len(found.differing):,} of {compared} differ, {label} by {found.largest:.3g} at most"
    lines = [f"The scores are {words}: {differ}."]
    if found.changed:
        lines.append(
            f"{ROUNDED} {listed(found.changed)}. {label} may then differ by {found.allowed:.3g}: {found.tolerance:g} "
            "of its range, as the self-checks allow of the answers, or one trial or utterance."
        )
    else:
        lines.append("Machine and versions are the same, so that every bit should be.")
    lines += [f"  {_of(one)}: {_was(one)}." for one in found.differing[:SHOWN]]
    if found.outputs is None:
        lines.append("The run kept no outputs (--keep-outputs), so that no trial or utterance can be named.")
    else:
        lines += [f"  {_of(one)}: {_was(one)}." for one in found.outputs[:SHOWN]]
    return lines


def of_attacks(found: ComparedAttacks) -> list[str]:
    """Whether the rows of attacks are equal, and which are not."""
    lines = []
    if found.drawn_anew:
        lines.append(
            f"{_counted(found.drawn_anew, 'trial')} of attacks had keys whose salt was not kept: keys were drawn anew, "
            "and these trials cannot be compared."
        )
    if not found.rows:
        return lines
    compared = f"of {_counted(found.rows, 'trial')} of attacks"
    if not found.differing:
        return [*lines, f"All results {compared} are equal bit for bit."]
    if found.equal:
        lines.append(f"The outcomes {compared} are equal; the numbers of {len(found.differing):,} differ.")
    else:
        lines.append(f"The results {compared} are not equal: {len(found.differing):,} differ.")
    if found.changed:
        lines.append(
            f"{ROUNDED} {listed(found.changed)}. A search may then take another path, so that only outcomes must be "
            "equal: whether the key was recovered, and whether success was claimed."
        )
    wrong = found.decided_otherwise if found.changed else found.differing
    return lines + _shown(wrong)


def _shown(rows: Sequence[str]) -> list[str]:
    more = len(rows) - SHOWN
    return [*(f"  {row}" for row in rows[:SHOWN]), *([f"  and {more:,} more"] if more > 0 else [])]


def _of(one: Difference) -> str:
    whose = one.condition.replace("_", " ") if one.key < 0 else f"key {one.key}"
    return f"{whose}, {one.of}"


def _was(one: Difference) -> str:
    there, here = ("nothing" if value is None else _value(value) for value in (one.there, one.here))
    return f"{there} there, {here} here"


def _value(value: float | str) -> str:
    return f"{value:.9g}" if isinstance(value, float) else repr(value)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
