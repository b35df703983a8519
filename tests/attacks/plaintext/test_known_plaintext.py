"""Known and chosen plaintext on the bundled voices: keys that they must find, and cases that they must report."""

from __future__ import annotations

import numpy as np
import pytest

from tests.attacks.solvers.finite_schemes import SHIFTS, SIGNED, TURNS
from tests.narrow import present
from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.plaintext.chosen import ChosenPlaintext
from wrongkey.attacks.plaintext.known import KnownPlaintext
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import SCHEMES, Scheme


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    utterances = open_corpus("bundled").utterances[:4]
    return np.concatenate([load_audio(utterance) for utterance in utterances]).astype(np.float64)


def blocks_of(speech: np.ndarray, size: int, count: int) -> np.ndarray:
    rows = speech[: len(speech) // size * size].reshape(-1, size)
    first = min(int(np.argmax((rows**2).sum(1))), len(rows) - count)
    return rows[first : first + count]


def setting(scheme: str | Scheme, size: int) -> Setting:
    return Setting(get_scheme(scheme), KeyCut("samples", size), 16_000.0)


def attacked(scheme: str | Scheme, plain: np.ndarray, cipher: np.ndarray):
    evidence = Evidence(setting(scheme, plain.shape[1]), Case(known_blocks=len(plain)), 0, known=(plain, cipher))
    return KnownPlaintext().run(evidence)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [3, 10, 64, 128])
def test_as_many_blocks_as_elements_give_every_key(scheme: str, size: int, speech: np.ndarray) -> None:
    plain = blocks_of(speech, size, size)
    for key in draw_keys(scheme, size, 3, 0, 2):
        recovery = attacked(scheme, plain, plain @ key)
        assert key_error(recovery.key, key, "samples") < 1e-6 and recovery.success_claimed


@pytest.mark.parametrize("size", [3, 10, 64])
def test_invertible_keys_take_one_block_more_to_be_certain(size: int, speech: np.ndarray) -> None:
    (key,) = draw_keys("invertible", size, 3, 0, 1)
    plain = blocks_of(speech, size, size + 1)
    recovery = attacked("invertible", plain, plain @ key)
    assert key_error(recovery.key, key, "samples") < 1e-6 and recovery.success_claimed
    exact = attacked("invertible", plain[:size], plain[:size] @ key)
    assert key_error(exact.key, key, "samples") < 1e-6
    assert not exact.success_claimed and "one more would confirm it" in exact.note
    counts = [
        case.known_blocks for case in KnownPlaintext().cases(setting("invertible", size)) if case.quality == "clean"
    ]
    assert max(map(present, counts)) == size + 1


@pytest.mark.parametrize("scheme", ["shuffling", "flipping"])
def test_one_block_gives_a_discrete_key(scheme: str, speech: np.ndarray) -> None:
    plain = blocks_of(speech, 10, 1)
    for key in draw_keys(scheme, 10, 3, 0, 5):
        recovery = attacked(scheme, plain, plain @ key)
        assert key_error(recovery.key, key, "samples") == 0 and recovery.success_claimed


@pytest.mark.parametrize("scheme", [SIGNED, SHIFTS, TURNS])
def test_one_block_gives_the_key_of_a_users_finite_scheme(scheme: Scheme, speech: np.ndarray) -> None:
    """As one of all orthogonal matrices it would take ten blocks."""
    plain = blocks_of(speech, 10, 1)
    for key in draw_keys(scheme, 10, 3, 0, 5):
        recovery = attacked(scheme, plain, plain @ key)
        np.testing.assert_array_equal(recovery.key, key)
        assert recovery.success_claimed


@pytest.mark.parametrize("count", [1, 5, 9])
def test_too_few_blocks_are_reported(count: int, speech: np.ndarray) -> None:
    plain = blocks_of(speech, 10, count)
    recovery = attacked("rom", plain, plain @ draw_keys("rom", 10, 3, 0, 1)[0])
    assert recovery.success_claimed is False and f"{10 - count} directions" in recovery.note


@pytest.mark.parametrize("scheme", SCHEMES)
def test_noise_that_has_nothing_to_do_with_the_ciphertext_is_reported(scheme: str, speech: np.ndarray) -> None:
    plain = blocks_of(speech, 10, 160)
    cipher = np.random.default_rng(0).standard_normal(plain.shape) * plain.std()
    recovery = attacked(scheme, plain, cipher)
    assert recovery.success_claimed is False
    assert key_error(recovery.key, draw_keys(scheme, 10, 3, 0, 1)[0], "samples") > 0.5


def test_sixteen_bits_and_noise_need_more_blocks(speech: np.ndarray) -> None:
    key = draw_keys("rom", 10, 3, 0, 1)[0]
    rng = np.random.default_rng(0)
    plain = blocks_of(speech, 10, 640)
    rounded = attacked("rom", plain, np.round(plain @ key * 2**15) / 2**15)
    assert key_error(rounded.key, key, "samples") < 5e-3 and rounded.success_claimed
    noise = rng.standard_normal(plain.shape) * np.sqrt((plain**2).mean() / 10)
    noisy = attacked("rom", (plain + noise)[:20], (plain @ key)[:20])
    assert key_error(noisy.key, key, "samples") > 0.3 and noisy.success_claimed is False
    assert noisy.measured["expected error"] > 0.3


def test_the_cases_are_those_of_the_block() -> None:
    cases = KnownPlaintext().cases(setting("rom", 10))
    assert {case.known_blocks for case in cases if case.quality == "clean"} == {1, 9, 10}
    assert {case.quality for case in cases} == {"clean", "16 bit", "10 dB"}
    assert {case.known_blocks for case in cases if case.quality == "16 bit"} == {10, 160}
    assert all(case.known_blocks for case in KnownPlaintext().cases(setting("rom", 1)))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [1, 3, 64])
def test_impulses_return_the_key(scheme: str, size: int) -> None:
    key = draw_keys(scheme, size, 3, 0, 1)[0]
    evidence = Evidence(setting(scheme, size), Case(), 0, encrypt=lambda blocks: blocks @ key)
    recovery = ChosenPlaintext().run(evidence)
    assert key_error(present(recovery.key), key, "tiles") < 1e-12
    assert recovery.success_claimed and recovery.queries == size


def test_impulses_and_their_sum_return_an_invertible_key() -> None:
    (key,) = draw_keys("invertible", 6, 3, 0, 1)
    evidence = Evidence(setting("invertible", 6), Case(), 0, encrypt=lambda blocks: blocks @ key)
    recovery = ChosenPlaintext().run(evidence)
    assert key_error(present(recovery.key), key, "tiles") < 1e-12
    assert recovery.success_claimed and recovery.queries == 7
    assert ChosenPlaintext().cases(evidence.setting) == [Case(queries=7)]
    squared = Evidence(setting("invertible", 6), Case(), 0, encrypt=lambda blocks: (blocks @ key) ** 2)
    assert ChosenPlaintext().run(squared).success_claimed is False


def test_a_device_that_does_something_else_is_not_believed() -> None:
    noise = np.random.default_rng(0).standard_normal((10, 10))
    evidence = Evidence(setting("rom", 10), Case(), 0, encrypt=lambda blocks: blocks @ noise)
    assert ChosenPlaintext().run(evidence).success_claimed is False


def test_missing_evidence_is_refused() -> None:
    for attack in (KnownPlaintext(), ChosenPlaintext()):
        with pytest.raises(BadInput, match=attack.name):
            attack.run(Evidence(setting("rom", 3), Case(), 0))
