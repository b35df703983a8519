"""Matrices that follow from a seed: each from its own label alone, and slots that begin where blocks do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrongkey.errors import BadInput
from wrongkey.keys import SCHEMES, IncorrectKeys, correct_key, get_scheme
from wrongkey.keys.derived import (
    Derived,
    IncorrectSeeds,
    Label,
    Slots,
    correct_seed,
    derived_matrices,
    derived_scheme,
    public_nonce,
    seed_of,
)

SEEDS = np.arange(8, dtype=np.uint64).reshape(2, 4)
BOTH = Derived(SCHEMES["rom"], hold=1.0, nonce=True)
LABELS = [Label("a", 0), Label("a", 1), Label("b", 0), Label("a/1", 0), Label("1/a", 0)]


@pytest.mark.parametrize("base", SCHEMES)
def test_every_matrix_is_a_key_of_the_base_and_depends_on_seed_and_label_alone(base):
    derived = Derived(SCHEMES[base], hold=1.0, nonce=True)
    found = derived_matrices(derived, 9, SEEDS, LABELS)
    assert found.shape == (2, 5, 9, 9)
    np.testing.assert_allclose(found @ found.swapaxes(-1, -2), np.broadcast_to(np.eye(9), found.shape), atol=1e-12)
    for row, seed in enumerate(SEEDS):
        for column, label in enumerate(LABELS):
            alone = derived_matrices(derived, 9, seed[None], [label])[0, 0]
            np.testing.assert_array_equal(alone, found[row, column])
    assert len({matrix.tobytes() for matrix in found.reshape(-1, 9, 9)}) == 10


def test_other_schemes_and_sizes_are_other_streams():
    words = [
        derived_matrices(Derived(SCHEMES[name], nonce=True), size, SEEDS[:1], [Label("a")])[0, 0]
        for name, size in (("shuffling", 8), ("flipping", 8), ("shuffling", 16))
    ]
    assert not np.array_equal(words[0], np.abs(words[1]))
    assert not np.array_equal(words[0], words[2][:8, :8])


def test_the_stream_stays_as_it_is():
    """Key files hold a seed: another stream would decrypt nothing that was encrypted before."""
    found = derived_matrices(Derived(SCHEMES["shuffling"], nonce=True), 6, SEEDS[:1], [Label("00ff")])[0, 0]
    assert found.argmax(0).tolist() == [2, 0, 3, 5, 4, 1]


@given(st.floats(0.01, 3), st.integers(1, 40), st.sampled_from([100, 8_000, 16_000, 99.5]), st.integers(1, 20_000))
def test_slots_begin_at_the_first_block_after_they_are_due(hold, steps, rate, length):
    derived = Derived(SCHEMES["rom"], hold=hold)
    if hold * rate / steps < 1.001:  # a slot of about a block
        return
    slots = derived.slots(steps, rate, length)
    assert slots.starts[0] == 0 and slots.length % steps == 0 and 0 <= slots.length - length < steps
    assert all(start % steps == 0 for start in slots.starts) and slots.starts[-1] < slots.length
    for number, start in enumerate(slots.starts):
        assert -1e-6 < start - number * hold * rate < steps + 1e-6
    blocks = np.arange(slots.length // steps)
    due = blocks * steps / (hold * rate)  # in floating point: a block that begins when a slot is due may be in either
    found = np.searchsorted(slots.starts, blocks * steps, side="right") - 1
    assert ((found == np.floor(due - 1e-9)) | (found == np.floor(due + 1e-9))).all()
    assert found.max() == len(slots.starts) - 1
    assert derived.slots(steps, rate, 2 * length).starts[: len(slots.starts)] == slots.starts


def test_a_shorter_query_takes_the_first_slots_and_a_longer_one_is_refused():
    slots = Slots((0, 10, 20), 30)
    assert slots.of(10) == ((0, 10),) and slots.of(11) == ((0, 10), (10, 11))
    with pytest.raises(BadInput, match="for 30 samples or frames, and the query has 31"):
        slots.of(31)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", ""])
def test_seconds_that_no_key_lasts(seconds):
    with pytest.raises(BadInput, match="not a positive number of seconds"):
        derived_scheme(SCHEMES["rom"], seconds)


def test_a_slot_is_no_shorter_than_a_block():
    with pytest.raises(BadInput, match=r"within a block, which lasts 0\.1 s"):
        Derived(SCHEMES["rom"], hold=0.05).slots(10, 100, 200)
    assert Derived(SCHEMES["rom"], hold=0.1).slots(10, 100, 200).starts == tuple(range(0, 200, 10))


def test_options_compose_in_either_order_and_once():
    scheme = derived_scheme(derived_scheme(SCHEMES["flipping"], nonce=True), "0.250")
    assert scheme.name == "flipping+nonce+schedule=0.250"
    assert scheme.derived == Derived(SCHEMES["flipping"], 0.25, True)
    assert scheme.group is SCHEMES["flipping"].group and scheme.words(10) == 4 and scheme.space(10) == 2**256
    for again in ({"nonce": True}, {"hold": 1.0}):
        with pytest.raises(BadInput, match="has this option already"):
            derived_scheme(scheme, **again)


def test_such_a_scheme_has_no_matrix_without_a_label():
    for draw in (
        lambda: correct_key("rom+nonce", 4, 0),
        lambda: IncorrectKeys("rom+nonce", 4, 0, np.eye(4)).batch(0, 1),
    ):
        with pytest.raises(BadInput, match="is a seed: it has a matrix only for the nonce"):
            draw()


@pytest.mark.parametrize(
    ("derived", "label", "sentence"),
    [
        (BOTH, Label(None, 0), "needs the nonce"),
        (BOTH, Label("", 0), "needs the nonce"),
        (BOTH, Label("a", -1), "numbered from 0, and -1"),
        (Derived(SCHEMES["rom"], nonce=True), Label("a", 1), "0 alone, because this key has no schedule"),
        (Derived(SCHEMES["rom"], hold=1.0), Label("a", 1), "leave the nonce out"),
    ],
)
def test_labels_that_a_key_does_not_have(derived, label, sentence):
    with pytest.raises(BadInput, match=sentence):
        derived_matrices(derived, 4, SEEDS, [label])


def test_the_keys_of_a_sweep_do_not_depend_on_how_they_are_split():
    scheme = get_scheme("rom+schedule=1")
    incorrect = IncorrectSeeds(scheme, 4, seed=3)
    whole = incorrect.batch(0, 20)
    np.testing.assert_array_equal(whole, np.concatenate([incorrect.batch(0, 7), incorrect.batch(7, 13)]))
    np.testing.assert_array_equal(whole[5], seed_of(scheme, 4, 3, 5))
    others = [correct_seed(scheme, 4, 3), correct_seed(scheme, 4, 4), correct_seed(scheme, 5, 3)]
    assert len({row.tobytes() for row in [*whole, *others]}) == 23
    assert incorrect.total == 2**256 - 1 and not incorrect.enumerated
    with pytest.raises(BadInput, match="numbered from 0"):
        incorrect.batch(-1, 2)


def test_nonces_are_public_and_differ():
    assert len({public_nonce(seed, number) for seed in range(3) for number in range(50)}) == 150
