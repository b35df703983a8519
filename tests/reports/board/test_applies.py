"""What the board says of attacks without asking them agrees with what they say."""

import pytest

from wrongkey.attacks.harness.offered import attack_names
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.commands.attack_list import _about
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import FAMILY
from wrongkey.reports.board.applies import BLOCKS, KEYS, KINDS, TASKS, may_apply
from wrongkey.reports.board.joining import Place


def place(scheme, blocks, task="asv"):
    return Place(task, scheme, 32, blocks, "own", "a model")


@pytest.mark.parametrize("name", attack_names())
def test_attacks_without_a_model_apply_where_they_say(name):
    said = _about(name, open_attack(name), "wrongkey")["applies_to"]
    if not said:  # its model decides
        return
    for blocks in Blocks:
        for scheme in FAMILY:
            assert may_apply(name, place(scheme, blocks.value)) == (scheme in said.get(blocks.value, ()))


def test_a_recogniser_has_no_speakers_to_link():
    asr, asc, asv = place("rom", "tiles", "asr"), place("rom", "tiles", "asc"), place("rom", "samples")
    assert not may_apply("linkability", asr) and may_apply("linkability", asv)
    assert not may_apply("informed", asr) and may_apply("informed", asc)
    assert not may_apply("shifted-kernels", place("rom", "frames"))


def test_every_name_is_an_attack_of_the_suite():
    assert {*BLOCKS, *KEYS, *TASKS} <= set(attack_names())


def test_every_base_of_the_family_says_what_its_keys_are():
    assert set(KINDS) == set(FAMILY)


@pytest.mark.parametrize(
    ("scheme", "after"),
    [
        ("rom+turns=4", {"polyphase", "polyphase-of-many", "linear-prediction", "independent-components"}),
        ("rom+signs=8", {"polyphase", "polyphase-of-many", "linear-prediction", "independent-components"}),
        ("invertible", {"oblique-polyphase"}),
        ("flipping+windows", {"sign-chain", "shared-samples"}),
        ("flipping+turns=2", {"sign-chain"}),
        ("shuffling+order=4+noise=20", {"sample-order"}),
        ("signed-shuffling", {"signed-order"}),
        ("shuffling+signs=4", {"signed-order"}),
        ("flipping+order=4", {"signed-order"}),
        (
            "mine+turns=4",  # nothing is known of its keys
            set(KEYS) - {"spectrogram-moments"},
        ),
    ],
)
def test_options_keep_the_kind_of_keys_or_mix_two(scheme, after):
    assert {name for name in KEYS if may_apply(name, place(scheme, "samples"))} == after


def test_an_attack_on_patterns_of_blocks_is_for_schemes_that_have_one():
    assert may_apply("block-pattern", place("rom+signs=8", "samples"))
    assert may_apply("block-pattern", place("flipping+order=4", "samples"))
    assert not may_apply("block-pattern", place("rom+turns=2", "samples"))
    assert not may_apply("block-pattern", place("rom+signs=8", "tiles"))


def test_a_scheme_of_a_user_is_ruled_out_by_its_blocks_alone():
    assert may_apply("sign-chain", place("signed-permutation", "samples"))
    assert not may_apply("sign-chain", place("signed-permutation", "tiles"))
