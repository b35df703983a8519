"""What attacks will do with a target: each asked whether it applies, and for its cases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from wrongkey.attacks.base import Asset, Attack, Case, CompleteAttack, Setting
from wrongkey.attacks.harness.attack_settings import settings_of
from wrongkey.attacks.harness.checks import check_case, check_reason
from wrongkey.attacks.harness.offered import REGISTRY
from wrongkey.attacks.harness.one_key import OF_MANY, why_not
from wrongkey.attacks.harness.random_keys import RandomKeys
from wrongkey.attacks.harness.target import Target
from wrongkey.evaluation.run_folder.vocabulary import OF_A_MODEL
from wrongkey.evaluation.windows import sends_windows

OF_PLAINTEXT = frozenset({"known plaintext", "chosen plaintext"})  # of blocks as a key multiplies them


@dataclass(frozen=True)
class Planned:
    """An attack, asked what it will do: its cases, or the reason why it does not apply."""

    attack: CompleteAttack
    reason: str | None
    cases: Sequence[Case]


def planned(attack: CompleteAttack, target: Target) -> Planned:
    """Ask an attack whether it applies, and for its cases; raises BadInput for answers that are none."""
    reason = why_not(target.derived, attack) or inapplicable(attack, target.setting)
    return Planned(attack, reason, () if reason else cases(attack, target))


def about(plan: Planned, task: str | None) -> dict[str, Any]:
    """What `suite.json` says of an attack: threat model, settings, what it is after, and why it does not apply."""
    attack = plan.attack
    own_needs = [case for case in plan.cases if case.needs is not None]
    return {
        "family": attack.family,
        "adversary": attack.threat.adversary,
        "needs": sorted(attack.threat.needs),
        "settings": settings_of(attack),
        "obstacle": plan.reason,
        "wants_key": attack.wants_key,
        "claims": attack.claims,
        "asset": asset_of(attack, task),
        "null": isinstance(attack, RandomKeys),
        "cases": {str(case): {"needs": sorted(case.needs or ())} for case in own_needs},
    }


def inapplicable(attack: CompleteAttack, setting: Setting) -> str | None:
    """Why an attack cannot be run on a target, as a sentence; None where it can."""
    if setting.model is None and attack.threat.needs & OF_A_MODEL:
        return "It attacks a model, and only speech was given: name one with --model."
    if sends_windows(setting.scheme.name) and attack.threat.needs & OF_MANY:
        return "It cuts the ciphertext of many people into a model's segments, and windows are cut before encryption."
    if setting.cut.span > 1 and not (attack.any_key or attack.threat.needs & OF_PLAINTEXT):
        together = f"a key of {setting.scheme.name} multiplies {setting.cut.span} of them together"
        return f"It reads tiles one by one, and {together}."
    if attack.wants_key and not attack.any_key and not setting.scheme.orthogonal:
        return f"It finds orthogonal keys, and those of {setting.scheme.name} are invertible only."
    with _asking(attack, "inapplicable"):
        reason = attack.inapplicable(setting)
    check_reason(reason, attack.name)
    return reason


def cases(attack: Attack, target: Target) -> list[Case]:
    """The attack's own cases; those with ciphertext at the seconds that the user asked for, if any."""
    with _asking(attack, "cases"):
        own = list(attack.cases(target.setting))
    for case in own:
        check_case(case, attack.name, attack.threat.needs)
    timed = [case for case in own if case.seconds is not None]
    if not (target.config.seconds and timed):
        return own
    kinds = list(dict.fromkeys(replace(case, seconds=None) for case in timed))
    return [replace(kind, seconds=seconds) for kind in kinds for seconds in target.config.seconds]


def _asking(attack: Attack, function: str) -> AbstractContextManager[None]:
    """Turn any error of a user's attack, asked for its cases say, into BadInput."""
    return REGISTRY.making(attack.name, "mend it", f"fails in {function}")


def asset_of(attack: CompleteAttack, task: str | None) -> Asset:
    """What an attack is after: the key, with which speech and model are open, or what the attack itself says."""
    own: Asset = "identity" if task == "asv" else "use"
    return "key" if attack.wants_key else attack.asset or own
