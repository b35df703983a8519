"""The attack `signed-order`: it must find permutations with signs, and say where there are none."""

import numpy as np
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.signed_order import SignedOrder
from wrongkey.errors import BadInput
from wrongkey.keys import correct_key, encrypt_query, get_scheme
from wrongkey.keys.key_cut import KeyCut

RATE = 16_000


def setting(name, size, blocks="samples"):
    scheme = get_scheme(name)
    return Setting(scheme, KeyCut(blocks, size).under(scheme).merged, RATE)


def run(where, queries):
    whole = tuple(query[: len(query) // where.size * where.size] for query in queries)
    return SignedOrder().run(Evidence(where, Case(), 0, ciphertext=whole))


@pytest.mark.parametrize(
    ("name", "size"),
    [("signed-shuffling", 3), ("signed-shuffling", 10), ("signed-shuffling", 32), ("shuffling+signs=4", 5)],
)
def test_order_and_signs_are_found_from_ciphertext_alone(voice, name, size):
    where = setting(name, size)
    key = correct_key(name, where.size, 1)
    recovery = run(where, [encrypt_query(q[: len(q) // where.size * where.size], key, blocks="samples") for q in voice])
    assert min(key_error(present(recovery.key), turned, "samples") for turned in (key, -key)) == 0
    assert recovery.success_claimed is not False


@pytest.mark.parametrize("size", [3, 10])
def test_no_success_is_claimed_where_there_is_none(voice, size):
    where = setting("signed-shuffling", size)
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.standard_normal((2, 80_000)))
    rom = [encrypt_query(q[: len(q) // size * size], correct_key("rom", size, 0), blocks="samples") for q in voice]
    rows = [q.numpy()[: len(q) // size * size].reshape(-1, 1, size) for q in voice]
    fresh = [(one @ np.linalg.qr(rng.standard_normal((len(one), size, size)))[0]).ravel() for one in rows]
    for queries in (voice, list(noise), rom, [torch.from_numpy(one) for one in fresh]):
        assert not run(where, queries).success_claimed


def test_silence_is_refused_in_a_sentence():
    with pytest.raises(BadInput, match="silent"):
        run(setting("signed-shuffling", 5), [torch.zeros(8000, dtype=torch.float64)])


@pytest.mark.parametrize(
    ("name", "blocks", "size", "word"),
    [
        ("signed-shuffling", "frames", 4, "frames"),
        ("signed-shuffling", "samples", 200, "2 to 128"),
        ("rom", "samples", 4, "no such thing"),
        ("shuffling", "samples", 4, "no such thing"),
    ],
)
def test_what_it_is_not_for_is_said(name, blocks, size, word):
    assert word in present(SignedOrder().inapplicable(setting(name, size, blocks)))
