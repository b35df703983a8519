"""Recovery from recordings alone: what it claims, what it must not claim, and why it says so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wrongkey.attacks import recover as module
from wrongkey.attacks.base import AttackDefaults, Recovery
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.judgement import SETTINGS, Judgement
from wrongkey.attacks.recover import recover, structure_curve
from wrongkey.attacks.solvers.stable_linalg import GAVE_UP, NonFinite
from wrongkey.attacks.waveforms.block_size import DEFAULTS as PERIOD
from wrongkey.attacks.waveforms.block_size import period_of
from wrongkey.attacks.waveforms.block_structure import BlockStructure
from wrongkey.attacks.waveforms.mirror import NOT_TOLD
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.evaluation.preparation import Preparation
from wrongkey.keys import SecretKey, draw_keys, encrypt_query
from wrongkey.keys.schemes import SCHEMES, Scheme
from wrongkey.keys.windows import Windows

RATE = 16_000


@pytest.fixture(scope="module")
def voice():
    """Eight seconds of one of the bundled voices."""
    return [load_audio(utterance) for utterance in open_corpus("bundled").utterances[:3]]


def encrypted(voice, scheme, size, seed=0):
    key = SecretKey.from_seed(scheme, size, seed=seed)
    return key, [encrypt_query(wave, key) for wave in voice]


@pytest.mark.parametrize(
    ("scheme", "size", "attack"), [("rom", 5, "polyphase"), ("rom", 10, "polyphase"), ("flipping", 10, "sign-chain")]
)
def test_the_key_of_a_voice_is_found_and_opens_every_recording(voice, scheme, size, attack):
    key, secret = encrypted(voice, scheme, size)
    found = recover(secret, RATE, scheme, size)
    assert found.success_claimed and found.attack == attack
    assert key_error(found.key.matrix, key.matrix, "samples") < 0.1
    assert found.key.scheme == scheme and found.predictable[1] > found.predictable[0]
    for plain, wave in zip(found.plain, voice, strict=True):
        shared = plain[: len(wave)]
        assert min(np.linalg.norm(shared - wave), np.linalg.norm(shared + wave)) < 0.1 * np.linalg.norm(wave)
    assert "as in plain speech" in found.evidence[0]


def test_a_shuffled_voice_is_put_in_order(voice):
    key, secret = encrypted(voice, "shuffling", 5)
    found = recover(secret, RATE, "shuffling", 5)
    assert found.success_claimed and found.key == key


@pytest.mark.parametrize(
    ("scheme", "size", "taken", "taken_size", "said"),
    [
        ("rom", 5, "rom", 3, "another size"),
        ("rom", 10, "rom", 7, "another size"),
        ("flipping", 10, "flipping", 7, "another size"),
        ("shuffling", 5, "shuffling", 3, "another size"),
        ("rom", 10, "flipping", 10, "is another"),
        (None, None, "rom", 5, "not encrypted"),
        (None, None, "flipping", 4, "not encrypted"),
        (None, None, "shuffling", 3, "not encrypted"),
    ],
)
def test_what_is_wrong_is_not_claimed(voice, scheme, size, taken, taken_size, said):
    secret = voice if scheme is None else encrypted(voice, scheme, size)[1]
    found = recover(secret, RATE, taken, taken_size)
    assert not found.success_claimed
    assert said in found.evidence[0]


def test_a_turned_spectrum_is_not_claimed(voice):
    """Flipping at M = 10 whose second half is the first with other signs: at M = 5 it has a key that turns spectra."""
    half = np.array([-1.0, -1.0, 1.0, 1.0, 1.0])
    key = SecretKey("flipping", 10, 1, np.diag([*half, *-half]))
    found = recover([encrypt_query(wave, key) for wave in voice], RATE, "flipping", 5)
    assert found.structure.taken_away and not found.success_claimed
    assert "turned around" in found.evidence[-1]


def test_a_multiple_of_the_block_size_is_as_good(voice):
    _, secret = encrypted(voice, "rom", 5)
    assert recover(secret, RATE, "rom", 10).success_claimed


@pytest.mark.parametrize(("scheme", "size", "taken"), [("rom", 10, 20), ("rom", 5, 20)])
def test_the_block_size_that_a_multiple_hides_is_named(voice, scheme, size, taken):
    _, secret = encrypted(voice, scheme, size)
    found = recover(secret, RATE, "rom", taken)
    assert not found.success_claimed
    assert "as in plain speech" not in found.evidence[0]
    assert found.evidence[-1].endswith(f"the blocks look like M = {size}; try --block {size}.")


def test_the_right_block_size_is_not_taken_for_a_multiple(voice):
    _, secret = encrypted(voice, "rom", 20)
    assert not any("try --block" in sentence for sentence in recover(secret, RATE, "rom", 20).evidence)


def test_a_little_speech_that_is_uncertain_is_said_to_be(voice):
    _, secret = encrypted([voice[0][:32_000]], "rom", 20)
    found = recover(secret, RATE, "rom", 20)
    assert not found.success_claimed and found.structure.seen
    assert "more recordings" in found.evidence[-1]


def test_an_attack_that_says_what_withholds_its_claim_is_not_contradicted():
    structure = BlockStructure(0.1, 1.0, 2, SETTINGS)
    for note, said in ((NOT_TOLD, NOT_TOLD), ("", "give more recordings")):
        recovery = Recovery(np.eye(2), success_claimed=False, note=note)
        *_, last = Judgement(recovery, structure, (0.1, 0.9), upright=True).sentences()
        assert said in last


def test_white_noise_is_not_claimed():
    noise = [np.random.default_rng(1).standard_normal(80_000)]
    for scheme in ("rom", "flipping", "shuffling"):
        assert not recover(noise, RATE, scheme, 5).success_claimed


def test_a_recording_shorter_than_a_block_stays_empty(voice):
    _, secret = encrypted(voice[:2], "flipping", 10)
    found = recover([*secret, secret[0][:4]], RATE, "flipping", 10)
    assert found.success_claimed and [len(one) for one in found.plain] == [*map(len, secret), 0]


def _unused(size, words):
    raise AssertionError("no key is drawn")


@pytest.mark.parametrize(
    ("waves", "scheme", "size", "said"),
    [
        ([np.ones(9)], "rom", 10, "no block of 10 samples"),
        ([np.zeros(16_000)], "rom", 10, "silent"),
        ([np.ones(16_000)], "rom", 1, "blocks of 2 to 128"),
        ([np.ones(16_000)], "flipping", 129, "not of 129"),
        ([np.ones(16_000)], "none", 10, "no scheme"),
        ([np.ones(16_000)], Scheme("mine", lambda size: 1, _unused, lambda size: 7), 10, "finitely many"),
    ],
)
def test_what_cannot_be_attacked_is_refused(waves, scheme, size, said):
    with pytest.raises(BadInput, match=said):
        recover(waves, RATE, scheme, size)


def test_the_curve_of_evidence_dips_at_the_block_size(voice):
    _, secret = encrypted(voice, "rom", 5)
    sizes, before, after = structure_curve(recover(secret, RATE, SCHEMES["rom"], 5), secret, RATE)
    assert {5, 10} <= set(sizes) and sizes == sorted(set(sizes))
    assert before[sizes.index(5)] < 0.5 < 0.9 < before[sizes.index(3)]
    assert after.min() > 0.98


def test_the_curve_of_evidence_has_the_blocks_of_all_keys_in_turn(voice, monkeypatch):
    key, secret = encrypted(voice, "rom+turns=4", 10)
    says(monkeypatch, Says("right", key.matrix))
    sizes, _, _ = structure_curve(recover(secret, RATE, "rom+turns=4", 10), secret, RATE)
    assert {40, 80} <= set(sizes)


def test_several_keys_in_turn_are_one_longer_key(voice):
    key, secret = encrypted(voice, "rom+turns=2", 5, seed=3)
    found = recover(secret, RATE, "rom+turns=2", 5)
    assert found.success_claimed and found.key.span == 2
    assert key_error(found.key.matrix, key.matrix, "samples") < 0.1


@pytest.mark.parametrize(
    ("waves", "said"),
    [([], "no recording"), ([np.zeros((2, 9))], r"shape \(2, 9\)"), ([np.full(9_000, np.nan)], "not finite")],
)
def test_what_is_no_recording_is_refused(waves, said):
    with pytest.raises(BadInput, match=said):
        recover(waves, RATE, "rom", 5)


def test_a_period_beyond_all_doubt_is_said_in_numbers():
    long = [load_audio(utterance) for utterance in open_corpus("bundled").utterances[:8]]
    _, secret = encrypted(long, "flipping", 64)
    found = recover(secret, RATE, "flipping")
    assert found.key.block_size == 64 and any("below 1e-30" in sentence for sentence in found.evidence)


def test_blocks_that_no_attack_reaches_are_refused_with_its_limit():
    with pytest.raises(BadInput, match="blocks of 2 to 32 samples, not of 64"):
        recover([np.random.default_rng(0).normal(size=64_000)], RATE, "invertible", 64)


def test_keys_that_change_are_refused():
    with pytest.raises(BadInput, match="use the scheme rom"):
        recover([np.random.default_rng(0).normal(size=16_000)], 16_000, "rom+nonce", 5)


@pytest.mark.parametrize(
    ("scheme", "size", "attack"),
    [
        ("rom+signs=4", 5, "block-pattern"),
        ("shuffling+order=4", 5, "block-pattern"),
        ("signed-shuffling", 10, "signed-order"),
        ("invertible", 3, "oblique-polyphase"),
        ("invertible+signs=4", 3, "block-pattern"),
        ("invertible+order=3", 3, "block-pattern"),
        ("invertible+turns=2", 3, "oblique-polyphase"),
    ],
)
def test_every_scheme_has_the_attack_that_knows_its_structure(voice, scheme, size, attack):
    key, secret = encrypted(voice, scheme, size)
    found = recover(secret, RATE, scheme, size)
    assert found.success_claimed and found.attack == attack
    assert key_error(found.key.matrix, key.matrix, "samples") < 0.1


@pytest.mark.parametrize(("scheme", "size"), [("rom", 10), ("shuffling", 5), ("flipping", 12), ("rom+turns=2", 5)])
def test_the_block_size_is_found_where_nobody_gives_it(voice, scheme, size):
    key, secret = encrypted(voice, scheme, size)
    found = recover(secret, RATE, scheme)
    assert found.success_claimed and found.key.block_size == size and found.period == key.size
    assert any(f"repeat every {key.size} samples" in sentence for sentence in found.evidence)


def test_keys_in_turn_that_are_taken_for_one_are_told_of(voice):
    _, secret = encrypted(voice, "rom+turns=2", 6)
    found = recover(secret, RATE, "rom")
    assert found.key.block_size == 12
    assert "rom+turns=2, +signs=2 or +order=2 with --block 6" in found.evidence[-1]


def test_a_wrong_block_size_is_told_of_whatever_it_is(voice):
    _, secret = encrypted(voice, "rom", 10)
    assert recover(secret, RATE, "rom", 7).evidence[-1].endswith("look like M = 10; try --block 10.")


def test_speech_without_blocks_shows_no_block_size(voice):
    keystream = np.random.default_rng(2).integers(-(2**15), 2**15, 80_000) / 2**15
    for nothing in (voice, [keystream]):
        with pytest.raises(BadInput, match="show no blocks of 2 to 128"):
            recover(nothing, RATE, "rom")
    with pytest.raises(BadInput, match="silent"):
        recover([np.zeros(16_000)], RATE, "rom")


class Says(AttackDefaults):
    """An attack that returns what it was made with."""

    def __init__(self, name, key, claims=True, **measured):
        self.name, self.answer = name, Recovery(key, claims, measured=measured)
        self.error: Exception = BadInput("Too little.")

    def inapplicable(self, setting):
        return None

    def run(self, evidence):
        if self.answer.key is None:
            raise self.error
        return self.answer


def says(monkeypatch, *attacks, of="ATTACKS"):
    monkeypatch.setattr(module, of, tuple(lambda attack=attack: attack for attack in attacks))


def test_attacks_are_tried_in_turn_until_one_is_believed(voice, monkeypatch):
    key, secret = encrypted(voice, "rom", 5)
    right = Says("right", key.matrix)
    says(monkeypatch, Says("short", None), Says("boastful", np.eye(5)), right, Says("late", key.matrix))
    found = recover(secret, RATE, "rom", 5)
    assert found.success_claimed and found.attack == "right"
    assert [(one.attack, one.success_claimed) for one in found.attempts] == [
        ("boastful", False),
        ("right", True),
        ("short", False),
    ]
    assert "boastful was tried too, and its key is not believed." in found.evidence
    assert found.evidence[-1].startswith("short was tried too: ")


@pytest.mark.parametrize(("taken", "believed"), [(6, True), (12, True), (4, False)])
def test_no_key_is_believed_whose_blocks_cannot_have_the_period_of_the_ciphertext(voice, taken, believed, monkeypatch):
    """Whatever the attack and the decrypted audio say; in sounds of few segments both may be deceived."""
    _, secret = encrypted(voice, "rom", 6)
    says(monkeypatch, Says("sure", np.eye(taken)))
    structure = BlockStructure(0.1, 1.0, taken, SETTINGS)
    monkeypatch.setattr(
        module, "judge", lambda recovery, *_, **__: Judgement(recovery, structure, (0.1, 0.9), upright=True)
    )
    found = recover(secret, RATE, "rom", taken)
    assert found.success_claimed is believed
    assert believed or found.evidence[-1].endswith("the blocks look like M = 6; try --block 6.")


def test_of_failed_attacks_the_best_guess_is_kept(voice, monkeypatch):
    key, secret = encrypted(voice, "rom", 5)
    says(monkeypatch, Says("modest", key.matrix, claims=False), Says("wrong", np.eye(5)))
    found = recover(secret, RATE, "rom", 5)
    assert not found.success_claimed and found.attack == "modest"


def test_where_all_attacks_have_too_little_it_is_said(voice, monkeypatch):
    says(monkeypatch, Says("short", None))
    with pytest.raises(BadInput, match="Too little"):
        recover(encrypted(voice, "rom", 5)[1], RATE, "rom", 5)


@pytest.mark.parametrize("kind", [GAVE_UP, np.linalg.LinAlgError, NonFinite, ZeroDivisionError])
def test_an_attack_that_breaks_down_keeps_no_other_from_running(voice, monkeypatch, kind):
    key, secret = encrypted(voice, "rom", 5)
    breaks = Says("fragile", None)
    breaks.error = kind("no")
    says(monkeypatch, breaks, Says("right", key.matrix))
    found = recover(secret, RATE, "rom", 5)
    assert found.success_claimed and "fragile was tried too: the attack broke down" in found.evidence[-1].lower()
    says(monkeypatch, breaks)
    with pytest.raises(BadInput, match="broke down"):
        recover(secret, RATE, "rom", 5)


def test_recordings_may_be_views_and_stay_as_they_were(voice, monkeypatch):
    key, secret = encrypted([np.array(one, float)[::-1] for one in voice], "rom", 5)
    views = [one[::-1].copy()[::-1] for one in secret]
    before = [one.copy() for one in views]
    says(monkeypatch, Says("right", key.matrix))
    found = recover(views, RATE, "rom", 5)
    structure_curve(found, views, RATE)
    assert all(np.array_equal(*pair) for pair in zip(views, before, strict=True))


def test_whitened_speech_is_recovered_by_linear_prediction(voice):
    phases = [Preparation.of("rom+phase").recording(torch.from_numpy(one), RATE).numpy() for one in voice]
    emphasised = [np.append(one[:1], one[1:] - 0.97 * one[:-1]) for one in phases]  # as a model's front end does
    key, secret = encrypted(emphasised, "rom+phase", 3)
    found = recover(secret, RATE, "rom+phase", 3)
    assert found.success_claimed and found.attack == "linear-prediction"
    assert key_error(found.key.matrix, key.matrix, "samples") < 0.1
    assert any("two halves" in sentence for sentence in found.evidence)


@pytest.mark.parametrize("taken", ["invertible+signs=2", "invertible+turns=2", "rom+flat=15"])
def test_keys_of_several_blocks_and_of_whitened_speech_are_not_claimed_where_there_are_none(voice, taken):
    _, other = encrypted(voice, "rom", 5)
    noise = [np.random.default_rng(1).standard_normal(60_000)]
    for waves in (voice, noise, other):
        assert not recover(waves, RATE, taken, 3).success_claimed


def test_a_claim_is_not_believed_where_whitened_speech_shows_no_blocks(voice, monkeypatch):
    says(monkeypatch, Says("moments", np.eye(5)))
    found = recover(voice, RATE, "rom+lpc=16", 5)
    assert not found.success_claimed and "shows no blocks of 5 samples" in found.evidence[0]


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (6, 1)])
def test_windows_are_joined_and_believed_where_they_agree(voice, monkeypatch, kernel, stride):
    windows = Windows(kernel, stride)
    key, wrong = draw_keys("rom", kernel, 0, 0, 2)
    sent = [(windows.cut(torch.from_numpy(wave)).numpy().reshape(-1, kernel) @ key).ravel() for wave in voice]
    says(monkeypatch, Says("shared", key, step=stride), of="ON_WINDOWS")
    found = recover(sent, RATE, "rom+windows", kernel)
    assert found.success_claimed and "one every" in found.evidence[0]
    for plain, wave in zip(found.plain, voice, strict=True):
        np.testing.assert_allclose(plain, wave[: len(plain)], atol=1e-6)
        assert len(wave) - len(plain) < kernel
    says(monkeypatch, Says("shared", wrong, step=stride), of="ON_WINDOWS")
    says(monkeypatch, Says("blocks", key))  # windows that overlap are no blocks, so that this is not tried
    found = recover(sent, RATE, "rom+windows", kernel)
    assert not found.success_claimed and [one.attack for one in found.attempts] == ["shared"]
    assert "Windows that share no samples are blocks: name the scheme without +windows for them." in found.evidence


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": -16_000}, "rate"),
        ({"block_size": 5.5}, "whole number of samples, not 5.5"),
        ({"seed": -1}, "seed"),
        ({"waveforms": [np.array(["a", "b"])]}, "real numbers"),
        ({"waveforms": [np.ones(9_000, complex)]}, "complex128"),
    ],
)
def test_invalid_numbers_are_refused(changed, said):
    given = {"waveforms": [np.ones(9_000)], "rate": RATE, "scheme": "shuffling", "block_size": 6}
    with pytest.raises(BadInput, match=said):
        recover(**given | changed)


@pytest.mark.parametrize(
    ("size", "largest", "said"), [(6, 12, "repeat every 24 samples"), (4, 8, "shows of 4 blocks of 4")]
)
def test_super_blocks_beyond_the_longest_period_are_found_by_divisors_of_it(size, largest, said, voice, monkeypatch):
    """Of 24 samples the periods 8 and 12 show, where only periods up to 12 are looked for; of 16 only divisors of 8."""
    _, secret = encrypted(voice, "rom+order=4", size)
    short = replace(PERIOD, largest=largest)
    monkeypatch.setattr(module, "PERIOD", short)
    monkeypatch.setattr(module, "period_of", lambda waves, rate, span: period_of(waves, rate, short, span))
    found = recover(secret, RATE, "rom+order=4")
    assert found.success_claimed and found.key.block_size == size and found.block_from_ciphertext
    assert said in found.evidence[-1]
