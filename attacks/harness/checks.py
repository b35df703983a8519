"""What is required of an attack, which may be anybody's code: one sentence for whatever is missing or of another kind.

All of this is checked before any trial runs: a run whose rows or `suite.json` could not be written would be in vain.
"""

from __future__ import annotations

import re
from numbers import Real
from typing import Any, get_args

from wrongkey.attacks.base import Asset, Case, Claim, Need, Quality, Threat
from wrongkey.errors import BadInput
from wrongkey.printable import listed

PARTS = ("name", "family", "threat", "inapplicable", "cases", "run")  # of an attack
FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")  # rows lie in a file of this name
RESERVED = ("random-keys", "incorrect-keys", "suite", "list")  # the harness's own rows, and words of the command line
KEYLESS = tuple(asset for asset in get_args(Asset) if asset != "key")
CLAIMS = get_args(Claim)
SEE = "see docs/extending.md"


def check_attack(attack: Any, spec: str) -> None:
    """Raise BadInput where `attack`, which `spec` names in sentences, lacks a part or has one of another kind."""
    missing = [part for part in PARTS if not hasattr(attack, part)]
    if missing:
        raise BadInput(f"Attack {spec!r} lacks {listed(missing)}: {SEE} for what it needs.")
    name = attack.name
    if not (isinstance(name, str) and FILE_NAME.fullmatch(name)):
        raise BadInput(
            f"The name of attack {spec!r} is {name!r}: give letters, digits, '.', '_' and '-', a letter or digit first."
        )
    if name in RESERVED:
        raise BadInput(f"Attack {spec!r} has the name {name!r}, which the harness uses itself: rename it.")
    if not _is_count(attack.family, least=0):
        raise _refused(spec, "family", attack.family, "a whole number from 0 up")
    _check_threat(attack.threat, spec)
    for part in ("inapplicable", "cases", "run"):
        if not callable(getattr(attack, part)):
            raise _refused(spec, part, getattr(attack, part), "a method")


def check_optional(attack: Any, spec: str) -> None:
    """Raise BadInput where what an attack may leave out is there, and of another kind."""
    if attack.most_trials is not None and not _is_count(attack.most_trials, least=1):
        raise _refused(spec, "most_trials", attack.most_trials, "a whole number from 1 up")
    for name in ("wants_key", "any_key"):
        if not isinstance(value := getattr(attack, name), bool):
            raise _refused(spec, name, value, "True or False")
    if attack.claims not in CLAIMS:
        raise _refused(spec, "claims", attack.claims, " or ".join(map(repr, CLAIMS)))
    if not attack.wants_key and attack.asset is not None and attack.asset not in KEYLESS:
        raise _refused(spec, "asset", attack.asset, " or ".join(map(repr, KEYLESS)))


def check_reason(reason: Any, attack: str) -> None:
    """Raise BadInput where what `inapplicable` returned is no reason."""
    if not (reason is None or isinstance(reason, str)):
        raise BadInput(f"Attack {attack!r} returned {reason!r} from inapplicable: return a sentence, or None.")


def check_case(case: Any, attack: str, needs: frozenset[Need]) -> None:
    """Raise BadInput where one of the cases of an attack with these `needs` is none, or asks for more than them."""
    if not isinstance(case, Case):
        raise BadInput(f"Attack {attack!r} returned {case!r} from cases: return a list of Case, {SEE}.")
    spec = f"{attack}, cases"
    if case.seconds is not None and not (_is_number(case.seconds) and case.seconds > 0):
        raise _refused(spec, "seconds", case.seconds, "a number above 0")
    for name in ("known_blocks", "queries"):
        value = getattr(case, name)
        if value is not None and not _is_count(value, least=1):
            raise _refused(spec, name, value, "a whole number from 1 up")
    if case.quality not in get_args(Quality):
        raise _refused(spec, "quality", case.quality, ", ".join(map(repr, get_args(Quality))))
    if not isinstance(case.variant, str):
        raise _refused(spec, "variant", case.variant, "a text")
    if case.needs is not None:
        _check_needs(case.needs, spec)
        if not case.needs <= needs:
            raise BadInput(
                f"Attack {attack!r} has a case that needs {listed(sorted(case.needs - needs))}, which its threat does "
                "not name: add it there."
            )


def _check_threat(threat: Any, spec: str) -> None:
    if not isinstance(threat, Threat):
        raise _refused(spec, "threat", threat, "a wrongkey.attacks.base.Threat")
    if not isinstance(threat.adversary, str):
        raise _refused(spec, "threat.adversary", threat.adversary, "a sentence")
    _check_needs(threat.needs, spec)


def _check_needs(needs: Any, spec: str) -> None:
    if not isinstance(needs, frozenset):
        raise _refused(spec, "needs", needs, "a frozenset")
    unknown = [need for need in needs if need not in get_args(Need)]
    if unknown:
        known = ", ".join(map(repr, get_args(Need)))
        raise BadInput(f"Attack {spec!r} needs {unknown[0]!r}, which is not known: give some of {known}.")


def _refused(spec: str, part: str, value: Any, wanted: str) -> BadInput:
    shown = repr(value) if isinstance(value, str | Real) or value is None else f"of type {type(value).__name__}"
    return BadInput(f"{part} of attack {spec!r} is {shown}: give {wanted}, {SEE}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
