"""Attacks on schemes of the family: rows and setting agree, what cannot apply says so, and the report reads it all."""

from typing import Any

import pytest

from tests.narrow import present
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.planned import inapplicable
from wrongkey.attacks.harness.random_keys import RandomKeys
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.suite import run_attacks
from wrongkey.attacks.harness.target import Target
from wrongkey.reports.attacks.rows import load_attacks

BUNDLED: dict[str, Any] = {"corpus": "bundled", "trials": 1, "seed": 3, "media": "none"}


@pytest.mark.parametrize(
    ("attack", "scheme", "block"),
    [
        ("sample-order", "shuffling+turns=2", 4),
        ("known-plaintext", "signed-shuffling", 6),
        ("polyphase", "rom+turns=2", 5),
    ],
)
def test_a_finished_run_is_read_again_with_the_block_size_that_was_asked_for(tmp_path, attack, scheme, block):
    config = AttackConfig(**BUNDLED, scheme=scheme, block=block, seconds=(8.0,))
    run_attacks(config, [attack], tmp_path / "run", workers=1)
    found = present(load_attacks(tmp_path / "run"))
    assert (found.block_size, found.scheme) == (block, scheme)
    run_attacks(config, [attack], tmp_path / "run", workers=1)  # it is finished, and sound


@pytest.mark.parametrize(
    ("attack", "scheme", "says"),
    [
        ("polyphase", "invertible", "orthogonal keys"),
        ("known-plaintext", "invertible", None),
        ("public-statistics", "invertible", "attacks a model"),
        ("polyphase", "rom+turns=2", None),
        ("random-keys", "invertible", None),
    ],
)
def test_what_does_not_apply_says_why(tmp_path, attack, scheme, says):
    target = Target(AttackConfig(**BUNDLED, scheme=scheme, block=5), tmp_path)
    found = inapplicable(RandomKeys(1) if attack == "random-keys" else open_attack(attack), target.setting)
    assert found is None if says is None else says in present(found)


def test_tiles_taken_together_are_open_to_attacks_that_know_blocks(tmp_path):
    config = AttackConfig(**BUNDLED, model="tests.toys:overlapping_tiles", scheme="rom+turns=2", block=4)
    target = Target(config, tmp_path)
    assert target.setting.cut.span == 2
    assert inapplicable(open_attack("known-plaintext"), target.setting) is None
    assert "one by one" in present(inapplicable(open_attack("spectrogram-moments"), target.setting))
