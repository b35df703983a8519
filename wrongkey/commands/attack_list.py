"""``wrongkey attack list``: every attack, with what it needs and what it applies to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from wrongkey.keys.labels import FAMILY
from wrongkey.terminal import answer, say

if TYPE_CHECKING:
    from wrongkey.attacks.base import CompleteAttack

BLOCK_SIZES = {"samples": (10, 32), "tiles": (3,), "frames": (10,)}  # with which attacks are asked whether they apply
OF_ITS_MODEL = "whatever its model reads"


def print_list(json: bool) -> None:
    """Print the attacks, in the order of the suite, as text or as JSON."""
    attacks = list(_attacks())
    if json:
        answer(attacks)
        return
    for attack in attacks:
        needs, applies = ", ".join(attack["needs"]) or "nothing", attack["applies_to"]
        where = "; ".join(f"{blocks}: {', '.join(schemes)}" for blocks, schemes in applies.items()) or OF_ITS_MODEL
        say(f"{attack['name']:20} needs {needs}", f"{'':20} works on {where}", f"{'':20} {attack['adversary']}")
    say("The suite runs all of them that apply.")


def _attacks() -> Iterator[dict[str, Any]]:
    from wrongkey.attacks.harness.guessing import Guessing
    from wrongkey.attacks.harness.offered import SUITE, attack_names
    from wrongkey.attacks.harness.registry import open_attack

    yield _about(Guessing.name, Guessing, "wrongkey")  # asks a model, whichever it is
    for name in attack_names():
        yield _about(name, open_attack(name), "wrongkey" if name in SUITE else "installed package")


def _about(name: str, attack: Any, source: str) -> dict[str, Any]:
    return {
        "name": name,
        "family": attack.family,
        "needs": sorted(attack.threat.needs),
        "applies_to": _applies_to(attack),
        "adversary": attack.threat.adversary,
        "most_trials": attack.most_trials,
        "source": source,
    }


def _applies_to(attack: CompleteAttack) -> dict[str, list[str]]:
    """The schemes that an attack applies to, by kind of blocks; empty where that depends on a model."""
    from wrongkey.attacks.base import Setting
    from wrongkey.attacks.harness.planned import inapplicable
    from wrongkey.evaluation.run_folder.vocabulary import OF_A_MODEL
    from wrongkey.keys import KeyCut, get_scheme

    if attack.threat.needs & OF_A_MODEL:
        return {}
    found: dict[str, list[str]] = {}
    for (blocks, sizes), scheme in product(BLOCK_SIZES.items(), FAMILY):
        settings = [Setting(get_scheme(scheme), KeyCut(blocks, size), rate=100.0, task="asv") for size in sizes]
        if any(inapplicable(attack, setting) is None for setting in settings):
            found.setdefault(blocks, []).append(scheme)
    return found
