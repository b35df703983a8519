"""The tuning constants of an attack, as they are recorded beside its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from wrongkey.attacks.base import CompleteAttack
from wrongkey.errors import BadInput


def settings_of(attack: CompleteAttack) -> dict[str, Any]:
    """The attack's `settings` as JSON holds them; empty where it has none.

    Raises BadInput where they are not a frozen dataclass of numbers and strings: such settings could change during a
    run, or could not be compared with those of an earlier one.
    """
    if attack.settings is None:
        return {}
    kind = type(attack.settings)
    if not (is_dataclass(kind) and kind.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise BadInput(f"The settings of attack {attack.name!r} are not a frozen dataclass: see docs/extending.md.")
    try:
        recorded: dict[str, Any] = json.loads(json.dumps(asdict(attack.settings)))
    except (TypeError, ValueError) as error:  # the latter: one that holds itself
        raise BadInput(
            f"The settings of attack {attack.name!r} hold more than numbers, strings and tuples of them ({error}): see "
            "docs/extending.md."
        ) from None
    return recorded


def changed_setting(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first setting that is not as it was, as in "restarts (8 there, 4 now)"; None where all are."""
    for name in dict.fromkeys((*before, *now)):
        was, value = (repr(settings.get(name, "absent")) for settings in (before, now))
        if was != value:
            return f"{name} ({was} there, {value} now)"
    return None
