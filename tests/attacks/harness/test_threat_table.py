"""The table of adversaries in docs/threat-model.md: every attack stands beside each adversary who has all for it."""

import re
from pathlib import Path

import pytest

from wrongkey.attacks.harness.offered import SUITE
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.keyless.informed import NEEDS as INFORMED
from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES, Adversary
from wrongkey.reports.attacks.guessing import GUESSING_NEEDS
from wrongkey.reports.attacks.rows import GUESSING

PAGE = (Path(__file__).parents[3] / "docs" / "threat-model.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("| adversary | has |")[2].partition("\n\n")[0]
ROWS = {name: attacks for name, _, attacks in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", TABLE, flags=re.M)}
BASES = {  # whose attacks "also" adds to
    "provider": "eavesdropper",
    "provider of a public model": "provider",
    "someone in the room": "eavesdropper",
    "borrowed device": "someone in the room",
    "insider with names": "eavesdropper",
}


def named(adversary: str) -> set[str]:
    """The attacks in the row of an adversary and in those that it adds to; of `informed` each variant."""
    base = named(BASES[adversary]) if adversary in BASES else set()
    return base | set(re.findall(r"[`*](.+?)[`*]", ROWS[adversary]))


def possible(adversary: Adversary) -> set[str]:
    """The attacks that an adversary has all for."""
    needs: dict[str, frozenset[str]] = {name: open_attack(name).threat.needs for name in SUITE if name != "informed"}
    needs |= {GUESSING: GUESSING_NEEDS, **INFORMED}
    found = {name for name, needed in needs.items() if adversary.can(needed)}
    return found | ({"informed"} if found & INFORMED.keys() else set())


def test_the_table_has_every_adversary_in_order() -> None:
    assert list(ROWS) == [one.name for one in ADVERSARIES]


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda one: one.name)
def test_an_adversary_is_shown_with_all_attacks_that_they_can_run(adversary: Adversary) -> None:
    assert named(adversary.name) == possible(adversary)


def test_every_attack_is_somebodys() -> None:
    assert {name for one in ADVERSARIES for name in named(one.name)} == {*SUITE, GUESSING, *INFORMED}
