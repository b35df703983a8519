"""Recovery where keys change with the recording or with time: every matrix by itself."""

import numpy as np
import pytest

from wrongkey.attacks.recover_changing import Piece, recover_changing
from wrongkey.commands.seeds import Sent
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys import SeedKey

RATE = 16_000


@pytest.fixture(scope="module")
def voice():
    """Eight seconds of one of the bundled voices."""
    return [load_audio(utterance) for utterance in open_corpus("bundled").utterances[:3]]


def encrypted(voice, scheme, size, segment=None):
    """The recordings as `wrongkey encrypt` writes them, each under a nonce of its own where the scheme has nonces."""
    key = SeedKey.from_seed(scheme, size, seed=3)
    sent = []
    for number, wave in enumerate(voice):
        wave = wave[: len(wave) // segment * segment] if segment else wave
        nonce = f"{number:02x}" if key.derived.nonce else None
        sent.append(Sent(key, nonce, RATE, segment or len(wave)).encrypted(wave))
    return key, sent


def same(plain, wave):
    """Whether speech is the same up to its sign and its end."""
    shared = min(len(plain), len(wave))
    return min(np.linalg.norm(plain[:shared] - sign * wave[:shared]) for sign in (1, -1)) < 0.1 * np.linalg.norm(wave)


@pytest.mark.parametrize("block", [5, None])
def test_recordings_under_nonces_are_opened_one_by_one(voice, block):
    _, sent = encrypted(voice[:2], "rom+nonce", 5)
    found = recover_changing(sent, RATE, "rom+nonce", block)
    assert found.block_size == 5 and [part.believed for part in found.parts] == [True, True]
    assert all(same(plain, wave) for plain, wave in zip(found.plain(), voice, strict=False))


def test_the_same_slot_of_every_recording_is_under_one_matrix(voice):
    key, sent = encrypted(voice, "flipping+schedule=1", 6)
    found = recover_changing(sent, RATE, "flipping+schedule=1", 6)
    begin = -(-RATE // 6) * 6
    assert found.parts[1].pieces[0] == Piece(0, begin, -(-2 * RATE // 6) * 6)
    assert len(found.parts[0].pieces) == len(voice)
    for slot in (0, 1):
        (recovered,) = [found.parts[slot].found]
        assert recovered is not None and recovered.success_claimed
        right = np.diag(key.at(slot=slot).matrix)
        assert abs(np.diag(recovered.key.matrix) @ right) == 6


def test_parts_are_joined_without_a_change_of_sign(voice):
    _, sent = encrypted(voice, "flipping+schedule=1", 6)
    found = recover_changing(sent, RATE, "flipping+schedule=1", 6)
    until = 2 * RATE  # of the first recording: two keys, both found
    assert all(part.believed for part in found.parts[:2]) and same(found.plain()[0][:until], voice[0][:until])


def test_slots_count_anew_in_every_segment_and_with_every_nonce(voice):
    scheme, segment = "flipping+schedule=0.5+nonce", 16_001
    _, sent = encrypted(voice, scheme, 6, segment)
    found = recover_changing(sent, RATE, scheme, 6, segments=[segment] * len(sent))
    whole = -(-segment // 6) * 6
    numbers = [{piece.number for piece in part.pieces} for part in found.parts]
    assert all(len(one) == 1 for one in numbers) and {*map(max, numbers)} == {0, 1, 2}
    assert [piece.begin for piece in found.parts[0].pieces] == [whole * n for n in range(len(sent[0]) // whole)]
    assert found.success_claimed


def test_what_is_not_believed_stays_silent(voice):
    _, sent = encrypted(voice[:1], "rom+nonce", 5)
    noise = np.random.default_rng(0).standard_normal(40_000)
    found = recover_changing([*sent, noise], RATE, "rom+nonce", 5)
    assert [part.believed for part in found.parts] == [True, False] and found.success_claimed
    first, second = found.plain()
    assert same(first, voice[0]) and not second.any() and found.plain(guesses=True)[1].any()


def test_plain_speech_and_noise_are_not_claimed(voice):
    noise = np.random.default_rng(0).standard_normal(40_000)
    for scheme in ("flipping+nonce", "flipping+schedule=1"):
        assert not recover_changing([*voice, noise], RATE, scheme, 5).success_claimed


@pytest.mark.parametrize(
    ("waves", "scheme", "size", "said"),
    [
        ([np.ones(9_000)], "rom", 5, "does not change"),
        ([np.ones(9_000)], "rom+windows+nonce", 5, "windows"),
        ([np.zeros(16_000)], "rom+nonce", 5, "silent"),
        ([np.ones(16_000)], "rom+schedule=0.0001", 5, "within a block"),
        ([np.random.default_rng(0).normal(size=40_000)], "rom+nonce", None, "shows no blocks"),
        ([], "rom+nonce", 5, "no recording"),
        ([np.ones(9_000)], "rom+nonce", 300, "2 to 128"),
        ([np.ones(9_000)], "rom+nonce", 0, "at least 1, not 0"),
    ],
)
def test_what_cannot_be_attacked_is_refused(waves, scheme, size, said):
    with pytest.raises(BadInput, match=said):
        recover_changing(waves, RATE, scheme, size)


@pytest.mark.parametrize("segments", [[], [100, 100], [0], [-5]])
def test_segments_are_of_every_recording(segments):
    with pytest.raises(BadInput, match="each of the 1 recordings"):
        recover_changing([np.ones(9_000)], RATE, "flipping+nonce", 6, segments=segments)
