"""Composed and invertible keys: exact for every layer, counted right, taken apart and put together again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.keys import IncorrectKeys, SecretKey, decrypt_query, draw_keys, encrypt_model, encrypt_query, get_scheme
from wrongkey.keys.family import known_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.labels import place_of_scheme, scheme_label
from wrongkey.keys.lift import lift
from wrongkey.keys.schemes import Group
from wrongkey.keys.space import key_space
from wrongkey.keys.spec import BASES, OPTIONS, parse
from wrongkey.keys.volume import log10_guesses

COMPOSED = (
    "rom+turns=2",
    "rom+turns=3",
    "rom+signs=4",
    "shuffling+signs=2",
    "flipping+order=3",
    "rom+order=2",
    "signed-shuffling",
    "signed-shuffling+turns=2",
    "rom+turns=2+order=2",
    "invertible",
    "invertible+turns=2",
    "invertible+condition=50+signs=2",
)


@st.composite
def convolutions(draw):
    """A Conv1d whose stride divides a block, and a waveform that gives outputs."""
    stride, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    block = stride * draw(st.integers(1, 3))
    kernel, dilation = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, 4))
    layer = nn.Conv1d(groups * 2, groups * 3, kernel, stride, padding, dilation, groups, dtype=torch.float64)
    speech = torch.randn(2, groups * 2, dilation * (kernel - 1) + 1 + draw(st.integers(0, 40)), dtype=torch.float64)
    return layer.requires_grad_(False), block, speech


@given(convolutions(), st.sampled_from(COMPOSED), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_the_correct_key_of_every_scheme_is_exact_for_any_convolution(case, name, seed):
    layer, block, speech = case
    key = SecretKey.from_seed(name, block, seed=seed)
    encrypted = encrypt_model(layer, "", key, "samples")
    answer = encrypted(encrypt_query(speech, key))
    padded = nn.functional.pad(speech, (0, -speech.shape[-1] % key.cut().steps))
    torch.testing.assert_close(answer, layer(padded), atol=1e-9, rtol=0)


@given(st.sampled_from(COMPOSED), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_decryption_undoes_encryption(name, seed):
    key = SecretKey.from_seed(name, 3, seed=seed)
    speech = torch.randn(2, 50, dtype=torch.float64)
    torch.testing.assert_close(decrypt_query(encrypt_query(speech, key), key, extent=50), speech, atol=1e-9, rtol=0)


@pytest.mark.parametrize("along", ["time", "bins"])
@pytest.mark.parametrize("layer", [nn.Conv2d(1, 4, 2, 2), nn.Conv2d(1, 3, 3, 1, 1), nn.Conv1d(12, 5, 3, 2, 1)])
def test_tiles_in_turn_along_either_axis_are_exact(layer, along):
    layer = layer.double().requires_grad_(False)
    key = SecretKey.from_seed(f"rom+turns=3+along={along}", 2, 2, seed=1)
    cut = key.cut("tiles")
    assert cut.lengths == ((2, 6) if along == "time" else (6, 2))
    query = torch.randn(2, 12, 18, dtype=torch.float64)
    given = query[:, None] if isinstance(layer, nn.Conv2d) else query
    encrypted = encrypt_query(given, key)
    torch.testing.assert_close(encrypt_model(layer, "", key, "tiles")(encrypted), layer(given), atol=1e-9, rtol=0)
    torch.testing.assert_close(decrypt_query(encrypted, key), given, atol=1e-9, rtol=0)


def test_in_turn_multiplies_block_t_by_key_t_mod_p():
    key = SecretKey.from_seed("rom+turns=3", 4, seed=2)
    parts = [key.matrix[4 * t : 4 * t + 4, 4 * t : 4 * t + 4] for t in range(3)]
    speech = np.random.default_rng(0).normal(size=24)
    blocks = speech.reshape(6, 4)
    expected = np.concatenate([block @ parts[t % 3] for t, block in enumerate(blocks)])
    np.testing.assert_allclose(encrypt_query(speech, key), expected, atol=1e-12)
    assert np.count_nonzero(key.matrix) == 3 * 16


def test_order_moves_whole_blocks_and_signs_turn_whole_blocks():
    speech = np.arange(1.0, 9.0)
    ordered = encrypt_query(speech, SecretKey.from_seed("flipping+order=4", 2, seed=5)).reshape(4, 2)
    assert sorted(np.abs(ordered).sum(1).tolist()) == [3.0, 7.0, 11.0, 15.0]
    turned = encrypt_query(speech, SecretKey.from_seed("shuffling+signs=4", 2, seed=6)).reshape(4, 2)
    assert np.abs(turned).sum(1).tolist() == [3.0, 7.0, 11.0, 15.0]
    assert all(abs(row.sum()) == np.abs(row).sum() for row in turned)


@pytest.mark.parametrize("name", [name for name in COMPOSED if "invertible" not in name])
def test_taken_apart_and_composed_again_a_key_is_the_same(name):
    scheme = get_scheme(name)
    keys = draw_keys(scheme, 3 * scheme.span, seed=3, start=0, count=4)
    structure = present(scheme.structure)
    np.testing.assert_array_equal(structure.compose(structure.decompose(keys)), keys)


@pytest.mark.parametrize(
    ("name", "block", "count"),
    [
        ("shuffling+turns=2", 3, 36),
        ("flipping+signs=3", 3, 2**5),  # 8 keys, and two free signs: -K is a key itself
        ("shuffling+signs=3", 2, 2 * 8),
        ("flipping+order=3", 2, 4 * 6),
        ("signed-shuffling", 3, 48),
    ],
)
def test_finite_compositions_are_counted_without_repetition(name, block, count):
    scheme = get_scheme(name)
    size = block * scheme.span
    ranks = np.arange(count)
    keys = present(scheme.unrank)(size, ranks)
    assert key_space(name, block).count == count == len(np.unique(keys.reshape(count, -1), axis=0))
    np.testing.assert_array_equal(present(scheme.rank)(keys), ranks)
    correct = draw_keys(scheme, size, 0, 0, 1)[0]
    incorrect = IncorrectKeys(scheme, size, 0, correct)
    assert incorrect.enumerated
    assert incorrect.total == count - 1


def test_keys_in_turn_have_as_many_bits_as_all_of_them():
    one, four = key_space("rom", 3), key_space("rom+turns=4", 3)
    assert four.dimension == 4 * one.dimension
    assert 2 * one.bits < four.bits < 4 * one.bits  # an error of one key counts a quarter in the mean over four
    assert key_space("rom+signs=4", 3).bits == pytest.approx(one.bits + 3)
    with pytest.raises(BadInput, match="volume that is not known"):
        key_space("invertible", 3)


@pytest.mark.parametrize("right", [1, 2, 3])
def test_some_of_the_keys_in_turn_are_right(right):
    scheme = get_scheme("rom+turns=4")
    correct = draw_keys(scheme, 12, 7, 0, 1)[0]
    keys = IncorrectKeys(scheme, 12, 1, correct, right).batch(0, 50)
    structure = present(scheme.structure)
    parts, own = structure.decompose(keys), structure.decompose(correct[None])
    same = np.stack([(part == mine).all(axis=(1, 2)) for part, mine in zip(parts, own, strict=True)])
    assert same.sum(axis=0).tolist() == [right] * 50
    assert same.any(axis=1).all()  # in different places
    split = IncorrectKeys(scheme, 12, 1, correct, right)
    np.testing.assert_array_equal(np.concatenate([split.batch(0, 20), split.batch(20, 30)]), keys)


def test_an_invertible_key_has_a_bounded_condition_number_and_keeps_the_energy():
    keys = draw_keys("invertible+condition=20", 10, 0, 0, 200)
    conditions = np.linalg.cond(keys)
    assert conditions.max() <= 20 * (1 + 1e-9)
    assert np.median(conditions) > 5
    np.testing.assert_allclose(np.linalg.norm(keys, axis=(1, 2)), 10**0.5)
    assert get_scheme("invertible").group is Group.INVERTIBLE


@pytest.mark.parametrize("condition", [10, 1_000, 100_000])
def test_the_error_in_float32_grows_with_the_condition_number_and_no_faster(condition):
    layer = nn.Conv1d(1, 64, 10, stride=10).requires_grad_(False)
    speech = torch.randn(1, 1, 4_000)
    key = SecretKey.from_seed(f"invertible+condition={condition}", 10, seed=0)
    answer, plain = encrypt_model(layer, "", key)(encrypt_query(speech, key)), layer(speech)
    assert float((answer - plain).abs().max() / plain.abs().max()) < 1e-6 * key.condition


@pytest.mark.parametrize("name", ["rom+turns=2", "invertible", "rom+turns=2+along=bins", "signed-shuffling"])
@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_key_files_keep_what_is_new_about_a_key(tmp_path, name, ending):
    key = SecretKey.draw(name, 2, 2)
    key.save(tmp_path / f"key{ending}")
    loaded = SecretKey.load(tmp_path / f"key{ending}")
    assert loaded == key
    assert (loaded.span, loaded.along, loaded.orthogonal) == (key.span, key.along, key.orthogonal)
    assert loaded.cut() == key.cut()


def test_a_singular_matrix_is_no_key():
    with pytest.raises(BadInput, match="well conditioned"):
        SecretKey("invertible", 2, 1, np.ones((2, 2)), orthogonal=False)
    with pytest.raises(BadInput, match="not orthogonal"):
        SecretKey("rom", 2, 1, np.array([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(BadInput, match="well conditioned"):
        encrypt_model(nn.Conv1d(1, 2, 2, stride=2), "", np.array([[1.0, 1.0], [1.0, 1.0]]))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rom+turns=0", "from 2"),
        ("rom+turns", "write turns=P"),
        ("rom+turns=2+turns=2", "twice"),
        ("rom+turn=2", "did you mean turns"),
        ("rom+condition=3", "only where its base is invertible"),
        ("invertible+condition=0.5", "from 1 to"),
        ("rom+along=bins", "takes no blocks together"),
        ("rom+turns=2+along=left", "along=time or along=bins"),
        ("rum", "There is no scheme 'rum'"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(name, words):
    with pytest.raises(BadInput, match=words):
        get_scheme(name)


def test_every_base_opens_and_every_name_comes_back():
    for base in BASES:
        assert get_scheme(base).name == base
    assert str(parse("ROM+Turns=4")) == "rom+turns=4" == get_scheme("ROM+turns=4").name
    assert scheme_label("invertible+condition=20+turns=2") == "Invertible, condition 20, 2 in turn"
    assert scheme_label("a+b") == "a+b"
    assert known_scheme("mine:make") is None
    names = ["shuffling", "mine:make", "rom+signs=2", "flipping", "rom"]
    assert sorted(names, key=place_of_scheme) == ["rom", "rom+signs=2", "flipping", "shuffling", "mine:make"]
    assert all(option.label for option in OPTIONS.values())


def test_blocks_taken_together_that_do_not_hold_the_stride_are_refused():
    with pytest.raises(BadInput, match="3 together"):
        lift(nn.Conv1d(1, 2, 4, stride=4), KeyCut("samples", 2, span=3))
    assert lift(nn.Conv1d(1, 2, 4, stride=4), KeyCut("samples", 2, span=2)).weight.shape == (2, 1, 4)


def test_right_parts_that_leave_no_other_key_end_in_a_sentence():
    keys = IncorrectKeys("shuffling+turns=2", 2, 0, np.eye(2), right=1)  # blocks of one element have one order
    with pytest.raises(BadInput, match="No other key"):
        keys.batch(0, 1)


@pytest.mark.parametrize("name", ["rom+turns=02", "rom+turns= 2", "rom+turns=2_0", "rom+schedule=0.50"])
def test_a_number_is_written_in_one_way(name):
    """Keys are drawn by the scheme's name: two names of one scheme would have other keys."""
    with pytest.raises(BadInput, match=r"is written|whole number|unknown option"):
        get_scheme(name)


def test_only_tiles_lie_along_bins():
    with pytest.raises(BadInput, match="Only tiles"):
        KeyCut("samples", 4).under(get_scheme("rom+turns=2+along=bins"))


def test_a_users_scheme_has_no_options_in_its_own_name():
    with pytest.raises(BadInput, match="plus sign begins an option"):
        get_scheme(f"{__name__}:named_like_another")


def named_like_another():
    return replace(get_scheme("rom"), name="rom+turns=2")


def test_an_option_that_changes_no_key_changes_no_count():
    assert log10_guesses("shuffling+windows", 100, 0.3) == log10_guesses("shuffling", 100, 0.3)
