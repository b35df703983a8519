"""A seed as its owner keeps it: its files, and what is shown of it."""

import copy
import pickle
import stat

import numpy as np
import pytest

from wrongkey.errors import BadInput
from wrongkey.keys import SCHEMES, Derived, SecretKey, SeedKey, derived_scheme, load_key
from wrongkey.keys.schemes import Scheme

KEY = SeedKey.from_seed("rom+nonce+schedule=0.5", 4, seed=1)
OWN = Scheme("mine", lambda size: 1, lambda size, words: np.tile(np.eye(size), (len(words), 1, 1)), lambda size: 1)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_seed_is_saved_for_its_owner_and_loaded_again(tmp_path, ending):
    path = tmp_path / f"key.{ending}"
    key = SeedKey.draw("flipping+nonce", 3, 2)
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SeedKey.load(path) == key == load_key(path) and hash(load_key(path)) == hash(key)
    assert SeedKey.load(path).at("ab") == key.at(b"\xab")
    with pytest.raises(BadInput, match="exists"):
        key.save(path)
    with pytest.raises(BadInput, match="holds the seed of many matrices"):
        SecretKey.load(path)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_matrix_is_no_seed(tmp_path, ending):
    path = tmp_path / f"key.{ending}"
    SecretKey.draw("rom", 4).save(path)
    assert isinstance(load_key(path), SecretKey)
    with pytest.raises(BadInput, match="holds one matrix, of rom"):
        SeedKey.load(path)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_file_that_was_changed_is_refused(tmp_path, ending):
    path = tmp_path / f"key.{ending}"
    KEY.save(path)
    content = bytearray(path.read_bytes())
    at = bytes(content).index(KEY.seed.tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"damaged|complete key file"):
        load_key(path)
    path.write_bytes(content[: at + 8])
    with pytest.raises(BadInput, match="not a complete key file"):
        load_key(path)


def test_a_scheme_of_a_strangers_is_not_imported(tmp_path):
    SeedKey("somewhere.else:mine+nonce", 4, 1, KEY.seed, Derived(OWN, nonce=True)).save(tmp_path / "key.npz")
    with pytest.raises(BadInput, match=r"of a user's own scheme, somewhere\.else:mine"):
        load_key(tmp_path / "key.npz")


def test_a_users_own_scheme_is_given(tmp_path):
    scheme = derived_scheme(OWN, nonce=True)
    SeedKey.draw(scheme, 4).save(tmp_path / "key.npz")
    assert SeedKey.load(tmp_path / "key.npz", scheme).scheme == "mine+nonce"
    with pytest.raises(BadInput, match=r"of the scheme mine\+nonce, not of rom\+nonce"):
        SeedKey.load(tmp_path / "key.npz", derived_scheme(SCHEMES["rom"], nonce=True))


def test_nothing_shows_the_seed():
    secret = KEY.seed.tobytes().hex()
    for shown in (repr(KEY), KEY._repr_html_()):
        assert secret not in shown and not any(str(word) in shown for word in KEY.seed.tolist())
    assert KEY._repr_html_().count("rom+nonce+schedule=0.5") == 1
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(KEY, protocol)
    assert copy.copy(KEY) is KEY and copy.deepcopy([KEY])[0] is KEY
    with pytest.raises(ValueError, match="read-only"):
        KEY.seed[0] = 0


def test_keys_are_equal_where_their_seeds_and_schemes_are():
    assert SeedKey.of("rom+nonce", 4, 1, KEY.seed) != KEY and SeedKey.of(KEY.scheme, 4, 1, KEY.seed) == KEY
    assert SeedKey.from_seed(KEY.scheme, 4, seed=1) == KEY != SeedKey.from_seed(KEY.scheme, 4, seed=1, index=0)
    assert SeedKey.draw(KEY.scheme, 4) != SeedKey.draw(KEY.scheme, 4)


def test_matrices_are_those_of_the_slots():
    for slot, matrix in enumerate(KEY.matrices("a", 3)):
        np.testing.assert_array_equal(KEY.at("a", slot).matrix, matrix)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SeedKey.of("rom", 4, 1, KEY.seed), "one matrix and no seed"),
        (lambda: SeedKey.of("rom+nonce", 4, 1, KEY.seed[:3]), r"shape \(4,\)"),
        (lambda: SeedKey.of("rom+nonce", 0, 1, KEY.seed), "at least 1"),
        (lambda: SeedKey.draw("rom+nonce", 200, 2), "GiB"),
        (lambda: KEY.at(), "needs the nonce"),
    ],
)
def test_bad_input_is_a_sentence(make, sentence):
    with pytest.raises(BadInput, match=sentence):
        make()
