"""Query encryption against Algorithms 1, 3 and 5, element by element."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.key import SecretKey
from wrongkey.keys.query import decrypt_query, encrypt_query

SCHEMES = ("shuffling", "flipping", "rom")


def encrypt_block(block: np.ndarray, scheme: str, matrix: np.ndarray) -> np.ndarray:
    """One flattened block, as the paper's algorithms write it."""
    encrypted = np.zeros_like(block)
    for k in range(len(block)):
        if scheme == "shuffling":  # Algorithm 1: X[Ks], where Ks[k] names the unit vector in column k
            encrypted[k] = block[matrix[:, k].tolist().index(1.0)]
        elif scheme == "flipping":  # Algorithm 3
            encrypted[k] = -block[k] if matrix[k, k] == -1 else block[k]
        else:  # Algorithm 5
            encrypted[k] = sum(block[m] * matrix[m, k] for m in range(len(block)))
    return encrypted


def encrypt_by_loops(speech: np.ndarray, scheme: str, matrix: np.ndarray, block_size: int, dims: int) -> np.ndarray:
    """Algorithms 1, 3 and 5 on one waveform or spectrogram of whole blocks."""
    size = block_size
    if dims == 1:
        starts = range(0, len(speech), size)
        return np.concatenate([encrypt_block(speech[j : j + size], scheme, matrix) for j in starts])
    encrypted = np.zeros_like(speech)
    for i in range(0, speech.shape[0], size):
        for j in range(0, speech.shape[1], size):
            tile = encrypt_block(speech[i : i + size, j : j + size].flatten(), scheme, matrix)
            encrypted[i : i + size, j : j + size] = tile.reshape(size, size)
    return encrypted


def padded(speech: np.ndarray, block_size: int, dims: int) -> np.ndarray:
    after = [(0, 0)] * (speech.ndim - dims) + [(0, -length % block_size) for length in speech.shape[-dims:]]
    return np.pad(speech, after)


@st.composite
def cases(draw):
    """A key and a batch of speech in float64: (key, speech)."""
    dims = draw(st.sampled_from([1, 2]))
    block_size = draw(st.integers(1, 6 if dims == 1 else 3))
    seed = draw(st.integers(0, 1000))
    key = SecretKey.from_seed(draw(st.sampled_from(SCHEMES)), block_size, dims, seed=seed)
    lead = draw(st.sampled_from([(), (2,), (2, 3)]))
    extent = [draw(st.integers(1, 14)) for _ in range(dims)]
    return key, np.random.default_rng(seed).normal(size=(*lead, *extent))


@settings(max_examples=80)
@given(cases())
def test_encryption_follows_the_algorithms(case) -> None:
    key, speech = case
    encrypted = encrypt_query(speech, key)
    whole = padded(speech, key.block_size, key.dims)
    assert isinstance(encrypted, np.ndarray) and encrypted.shape == whole.shape
    for index in np.ndindex(speech.shape[: -key.dims]):
        expected = encrypt_by_loops(whole[index], key.scheme, key.matrix, key.block_size, key.dims)
        if key.scheme == "rom":
            assert np.abs(encrypted[index] - expected).max() < 1e-13
        else:
            assert np.array_equal(encrypted[index], expected)


@settings(max_examples=60)
@given(cases(), st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]))
def test_decryption_gives_the_speech_again(case, dtype) -> None:
    key, speech = case
    plain = torch.from_numpy(speech).to(dtype)
    encrypted = encrypt_query(plain, key)
    extent = plain.shape[-key.dims :]
    again = decrypt_query(encrypted, key, extent=tuple(extent))
    assert encrypted.dtype == again.dtype == dtype and again.shape == plain.shape
    if key.scheme == "rom":
        assert (again - plain).abs().max() <= 30 * torch.finfo(dtype).eps * plain.abs().max()
    else:
        assert torch.equal(again, plain)


@settings(max_examples=40)
@given(cases())
def test_a_dropped_tail_is_the_encryption_of_the_whole_blocks(case) -> None:
    key, speech = case
    kept = [length - length % key.block_size for length in speech.shape[-key.dims :]]
    if min(kept) == 0:
        with pytest.raises(BadInput, match="shorter than one block"):
            encrypt_query(speech, key, tail="drop")
        return
    whole = speech[..., : kept[0]] if key.dims == 1 else speech[..., : kept[0], : kept[1]]
    assert np.array_equal(encrypt_query(speech, key, tail="drop"), encrypt_query(whole, key))


@settings(max_examples=40)
@given(cases(), st.integers(1, 4))
def test_a_batch_of_keys_puts_a_leading_dimension(case, count) -> None:
    key, speech = case
    keys = draw_keys(key.scheme, key.size, 5, 0, count)
    together = encrypt_query(speech, keys, dims=key.dims)
    assert together.shape[0] == count
    back = decrypt_query(together[0], keys, dims=key.dims)
    for i, matrix in enumerate(keys):
        alone = encrypt_query(speech, matrix, dims=key.dims)
        assert np.abs(together[i] - alone).max() < 1e-13
        assert np.abs(back[i] - decrypt_query(together[0], matrix, dims=key.dims)).max() < 1e-13
    assert np.abs(back[0] - padded(speech, key.block_size, key.dims)).max() < 1e-13


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 5), st.sampled_from([(), (2,), (2, 3)]), st.integers(0, 99))
def test_frames_are_encrypted_bin_by_bin(block_size, bins, frames, lead, seed) -> None:
    key = SecretKey.from_seed("rom", block_size, seed=seed)
    speech = np.random.default_rng(seed).normal(size=(*lead, bins, frames))
    encrypted = encrypt_query(speech, key, blocks="frames")
    assert encrypted.shape == (*lead, bins + -bins % block_size, frames)
    for frame in range(frames):
        assert np.abs(encrypted[..., frame] - encrypt_query(speech[..., frame], key)).max() < 1e-13
    again = decrypt_query(encrypted, key.matrix, blocks="frames", extent=(bins, frames))
    assert again.shape == speech.shape and np.abs(again - speech).max() < 1e-13
    keys = draw_keys("rom", block_size, seed, 0, 2)
    together = encrypt_query(torch.from_numpy(speech), keys, blocks="frames")
    assert together.is_contiguous() and together.shape == (2, *encrypted.shape)
    assert np.abs(together[1].numpy() - encrypt_query(speech, keys[1], blocks="frames")).max() < 1e-13


def test_blocks_dims_and_keys_that_contradict_each_other_are_refused() -> None:
    key, tile, speech = SecretKey.draw("rom", 3), SecretKey.draw("rom", 3, 2), np.zeros((9, 9))
    for use in (encrypt_query, decrypt_query):
        with pytest.raises(BadInput, match=r"key is for 1-D blocks, and 2-D \(tiles\) was asked"):
            use(speech, key, blocks="tiles")
        with pytest.raises(BadInput, match=r"key is for 2-D blocks, and 1-D \(frames\) was asked"):
            use(speech, tile, blocks="frames")
        with pytest.raises(BadInput, match="Blocks of frames need a 1-D key, and 2-D was asked"):
            use(speech, key, blocks="frames", dims=2)
        with pytest.raises(BadInput, match="not into 'words'"):
            use(speech, key, blocks="words")
        with pytest.raises(BadInput, match="a waveform, and this key is for 3 bins of the frames"):
            use(speech[0], key, blocks="frames")
        assert use(speech, key, blocks="samples", dims=1).shape == (9, 9)
    with pytest.raises(BadInput, match="whole blocks of 3"):
        decrypt_query(np.zeros((10, 9)), key, blocks="frames")
    assert decrypt_query(np.zeros((9, 10)), key, blocks="frames").shape == (9, 10)


@given(cases())
def test_energy_is_kept_and_the_transposed_key_decrypts(case) -> None:
    key, speech = case
    encrypted = encrypt_query(speech, key)
    assert np.isclose((encrypted**2).sum(), (speech**2).sum())
    again = encrypt_query(encrypted, SecretKey(key.scheme, key.block_size, key.dims, key.matrix.T))
    assert np.abs(again - decrypt_query(encrypted, key)).max() < 1e-13


def test_an_integer_extent_cuts_a_waveform() -> None:
    key = SecretKey.draw("flipping", 4)
    speech = torch.randn(2, 10)
    assert torch.equal(decrypt_query(encrypt_query(speech, key), key, extent=10), speech)


def test_gradients_reach_the_speech_and_a_raw_matrix() -> None:
    speech = torch.randn(7, dtype=torch.float64, requires_grad=True)
    matrix = torch.from_numpy(draw_keys("rom", 3, 0, 0, 1)[0]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, k: encrypt_query(x, k, dims=1), (speech, matrix))


def test_views_and_read_only_arrays_are_taken_without_a_warning() -> None:
    key = SecretKey.draw("rom", 3)
    speech = np.arange(12.0)
    speech.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backwards = encrypt_query(speech[::-1], key)
        assert np.array_equal(encrypt_query(speech[::-1].copy(), key.matrix, dims=1), backwards)
    assert np.array_equal(speech, np.arange(12.0))


@pytest.mark.parametrize(("value", "text"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_speech_that_is_not_finite_is_refused_with_its_index(value: float, text: str) -> None:
    speech = np.zeros((2, 9))
    speech[1, 4] = value
    for call in (encrypt_query, decrypt_query):
        with pytest.raises(BadInput, match=rf"index \(1, 4\) is {text}"):
            call(speech, SecretKey.draw("rom", 3))


def test_speech_and_keys_that_do_not_fit_are_refused() -> None:
    key, tile = SecretKey.draw("rom", 3), SecretKey.draw("rom", 3, 2)
    with pytest.raises(BadInput, match="int16"):
        encrypt_query(np.zeros(9, dtype=np.int16), key)
    for shape, used in [((), key), ((1, 1, 1, 9), key), ((9,), tile), ((1, 1, 1, 9, 9), tile)]:
        with pytest.raises(BadInput):
            encrypt_query(np.zeros(shape), used)
    with pytest.raises(BadInput, match=r"\(1, 1, 1, 9\) is not a waveform, .*: give it 1 to 3 dimensions"):
        encrypt_query(np.zeros((1, 1, 1, 9)), key)
    for length in (9, 10):
        for use in (encrypt_query, decrypt_query):
            with pytest.raises(BadInput, match=r"is a waveform, .* 3 × 3 tiles .* needs a key of 1-D blocks\.$"):
                use(np.zeros(length), tile)
    with pytest.raises(BadInput, match="whole blocks of 3: give the key that it was encrypted with"):
        decrypt_query(np.zeros(10), key)
    with pytest.raises(BadInput, match="cannot be cut"):
        decrypt_query(np.zeros(9), key, extent=10)
    with pytest.raises(BadInput, match="dims=1"):
        encrypt_query(np.zeros(9), np.eye(3))
    with pytest.raises(BadInput, match="N must be a square"):
        encrypt_query(np.zeros((9, 9)), np.eye(3), dims=2)
    with pytest.raises(BadInput, match="1-D blocks, and 2-D"):
        encrypt_query(np.zeros((9, 9)), key, dims=2)
    for matrix in (np.eye(3)[:2], np.ones(3), np.ones((0, 3, 3))):
        with pytest.raises(BadInput):
            encrypt_query(np.zeros(9), matrix, dims=1)
