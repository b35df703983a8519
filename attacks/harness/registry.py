"""Opens attacks by name, checks them, and fills in what they left out."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

from wrongkey.attacks.base import Attack, AttackDefaults, CompleteAttack
from wrongkey.attacks.harness.attack_settings import settings_of
from wrongkey.attacks.harness.checks import check_attack, check_optional
from wrongkey.attacks.harness.offered import REGISTRY, SUITE, attack_names
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.completed import Completed

OPTIONAL = tuple(AttackDefaults.__annotations__)  # what a user's attack may leave out


def known_needs() -> dict[str, list[str]]:
    """Return what every attack that can be opened needs, by name, so that reports can say what was not tried."""
    needs: dict[str, list[str]] = {}
    for name in attack_names():
        with suppress(BadInput):
            needs[name] = sorted(open_attack(name).threat.needs)
    return needs


def open_attack(named: str | Attack) -> CompleteAttack:
    """Return an attack, checked and with what it left out filled in.

    Parameters
    ----------
    named : str or Attack
        A name of the suite, a registered one, or ``package.module:name`` of an attack, or of a class or function
        without arguments that makes one; or an attack itself.

    Raises
    ------
    BadInput
        For an unknown name, an attack that cannot be made, lacks a part or has one of another kind, and one of a user's
        that is called what one of the suite is: rows of results are kept by that name.
    """
    attack: Any = REGISTRY.open(named) if isinstance(named, str) else named
    spec = named if isinstance(named, str) else type(attack).__name__
    with REGISTRY.making(spec, "mend it", "fails while it is looked at"):  # its attributes may be properties
        check_attack(attack, spec)
        missing = {name: getattr(AttackDefaults, name) for name in OPTIONAL if not hasattr(attack, name)}
        complete = cast(CompleteAttack, Completed(attack, missing) if missing else attack)
        check_optional(complete, spec)
        settings_of(complete)  # refused before anything runs
    if isinstance(named, str) and named not in SUITE and attack.name in SUITE:
        raise BadInput(f"Attack {named!r} has the name {attack.name!r}, which is one of the suite's: rename it.")
    return complete
