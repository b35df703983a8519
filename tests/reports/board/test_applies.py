"""What the board says of attacks without asking them agrees with what they say."""

import pytest

from wrongkey.attacks.harness.offered import attack_names
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.commands.attack_list import _about
from wrongkey.keys.blocks import Blocks
from wrongkey.reports.board.applies import BLOCKS, OTHER_SCHEMES, TASKS, may_apply
from wrongkey.reports.board.joining import Place

SCHEMES = ("shuffling", "flipping", "rom")


def place(scheme, blocks, task="asv"):
    return Place(task, scheme, 10, blocks, "own", "a model")


@pytest.mark.parametrize("name", attack_names())
def test_attacks_without_a_model_apply_where_they_say(name):
    said = _about(name, open_attack(name), "wrongkey")["applies_to"]
    if not said:  # its model decides
        return
    for blocks in Blocks:
        for scheme in SCHEMES:
            assert may_apply(name, place(scheme, blocks.value)) == (scheme in said.get(blocks.value, ()))


def test_a_recogniser_has_no_speakers_to_link():
    asr, asc, asv = place("rom", "tiles", "asr"), place("rom", "tiles", "asc"), place("rom", "samples")
    assert not may_apply("linkability", asr) and may_apply("linkability", asv)
    assert not may_apply("informed", asr) and may_apply("informed", asc)
    assert not may_apply("shifted-kernels", place("rom", "frames"))


def test_every_name_is_an_attack_of_the_suite():
    assert {*BLOCKS, *OTHER_SCHEMES, *TASKS} <= set(attack_names())


def test_a_scheme_of_a_user_is_ruled_out_by_its_blocks_alone():
    assert may_apply("sign-chain", place("signed-permutation", "samples"))
    assert not may_apply("sign-chain", place("signed-permutation", "tiles"))
