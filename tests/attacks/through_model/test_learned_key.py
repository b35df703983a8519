"""Attack 6 on a tiny classifier: keys that it must find, and speech that says nothing about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.attacks.solvers.finite_schemes import SHIFTS, SIGNED, TURNS
from tests.attacks.weights.tiny_classifier import TinyClassifier, recogniser, setting, speech, trained, under
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Recovery
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.solvers.orthogonal_group import OrthogonalAdam, cayley, dimensions, geodesic, mirrors, skew
from wrongkey.attacks.through_model.criterion import criterion_of, halves, split
from wrongkey.attacks.through_model.keyed_answers import KeyedAnswers
from wrongkey.attacks.through_model.learned_key import NO_NORMS, UNLABELLED, LearnedKey
from wrongkey.attacks.through_model.search import neighbours
from wrongkey.attacks.through_model.settings import LearnedKeySettings
from wrongkey.errors import BadInput
from wrongkey.keys import correct_key, draw_keys, encrypt_query
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import SCHEMES, Scheme

QUICK = LearnedKeySettings(guesses=48, starts=6, first_steps=30, steps=25, batch=24)


def attacked(scheme: str | Scheme, key: np.ndarray, variant: str = "", heard: bool = True) -> Recovery:
    model = trained(len(key))
    encrypted = under(model, scheme, key)
    background = speech(len(key), 48, heard=heard)
    evidence = Evidence(
        setting(scheme, len(key), model), Case(variant=variant), 3, encrypted=encrypted, background=background
    )
    return LearnedKey(QUICK).run(evidence)


@pytest.mark.parametrize("variant", ["", NO_NORMS, UNLABELLED])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_random_orthogonal_key_is_found(variant: str, seed: int) -> None:
    key = correct_key("rom", 4, seed)
    found = attacked("rom", key, variant)
    assert found.key is not None and found.success_claimed is (None if variant == UNLABELLED else True)
    np.testing.assert_allclose(found.key @ found.key.T, np.eye(4), atol=1e-10)
    assert key_error(found.key, key, "tiles") < 0.25  # with no regard to the sign


def test_a_start_from_elsewhere_is_refined() -> None:
    key, model = correct_key("rom", 6, 0), trained(6)
    near = geodesic(torch.from_numpy(key), 0.1 * torch.ones(dimensions(6), dtype=torch.float64)).numpy()
    evidence = Evidence(
        setting("rom", 6, model), Case(), 0, encrypted=under(model, "rom", key), background=speech(6, 48)
    )
    found = LearnedKey(QUICK, start=lambda _: near).run(evidence)
    assert found.key is not None and key_error(found.key, key, "tiles") < 0.25


def test_both_determinants_are_reached() -> None:
    keys = draw_keys("rom", 3, 5, 0, 20)
    for sign in (1, -1):
        key = next(k for k in keys if np.sign(np.linalg.det(k)) == sign)
        found = attacked("rom", key)
        assert found.key is not None and np.sign(np.linalg.det(found.key)) == sign


@pytest.mark.parametrize("scheme", ["flipping", "shuffling", SHIFTS, TURNS])
def test_keys_of_finite_schemes_are_found_exactly(scheme: str | Scheme) -> None:
    key = correct_key(scheme, 5, 1)
    found = attacked(scheme, key)
    assert found.success_claimed
    np.testing.assert_array_equal(found.key, key)


def test_white_noise_is_reported_as_failure() -> None:
    success_claimed = [
        attacked("rom", correct_key("rom", 4, seed), NO_NORMS, heard=False).success_claimed for seed in range(3)
    ]
    assert success_claimed.count(True) == 0


def test_a_layer_that_reads_more_than_a_block_is_asked_through_its_queries() -> None:
    first = nn.Conv1d(1, 3, 6, stride=3)
    model = trained(3)
    model.network = nn.Sequential(first, nn.Tanh()).eval()
    key, keys = correct_key("rom", 3, 0), torch.from_numpy(draw_keys("rom", 3, 1, 0, 2))
    encrypted = under(model, "rom", key)
    queries = speech(3, 5).queries
    answers = KeyedAnswers(encrypted, "asc", queries, KeyCut("samples", 3))(keys).answers
    for k, answer in zip(keys, answers, strict=True):
        explicit = encrypted.classify(encrypt_query(torch.stack(queries), k.numpy(), blocks="samples"))
        torch.testing.assert_close(answer, explicit, atol=1e-5, rtol=1e-4)


def test_answers_and_moments_are_those_of_encrypted_queries() -> None:
    model = under(trained(4), "rom", correct_key("rom", 4, 0))
    queries, keys = speech(4, 30).queries, torch.from_numpy(draw_keys("rom", 4, 1, 0, 3))
    answered = KeyedAnswers(model, "asc", queries, KeyCut("samples", 4))(keys, torch.tensor([2, 7, 20]), watch=True)
    some = torch.stack([queries[i] for i in (2, 7, 20)])
    (mean, variance), *_ = answered.moments
    for i, key in enumerate(keys):
        encrypted = encrypt_query(some, key.numpy(), blocks="samples")
        torch.testing.assert_close(answered.answers[i], model.classify(encrypted), atol=1e-5, rtol=1e-4)
        z = next(model.network.children())(encrypted[:, None]).transpose(0, 1).flatten(1)
        torch.testing.assert_close(mean[i], z.mean(1), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(variance[i], z.var(1, correction=0), atol=1e-3, rtol=1e-3)


def test_the_gradient_of_the_criterion_is_its_slope() -> None:
    key = correct_key("rom", 3, 2)
    model = trained(3)
    background = speech(3, 24)
    learned = criterion_of(under(model, "rom", key), setting("rom", 3, model), background, QUICK)
    at, everything = torch.from_numpy(draw_keys("rom", 3, 4, 0, 1)), torch.arange(learned.size)
    _, gradient = learned.gradient(at, everything)
    step = torch.zeros_like(at)
    step[0, 1, 2] = 1e-2
    slope = (learned.losses(at + step, everything) - learned.losses(at - step, everything)) / 2e-2
    assert float(slope) == pytest.approx(float(gradient[0, 1, 2]), rel=0.02)


def test_voices_are_held_out_whole() -> None:
    names = [f"voice {i % 9}" for i in range(45)]
    learned, held = split(names, 45, 0, QUICK)
    assert not {names[i] for i in learned} & {names[i] for i in held}
    assert len(held) == 12 and len(learned) == 24
    with pytest.raises(BadInput, match="too few"):
        split(["a", "a", "b", "b", "c"], 5, 0, QUICK)


def test_halves_end_at_a_block() -> None:
    speech = BackgroundSpeech((torch.arange(35.0),), ("someone",))
    pieces = halves(speech, setting("rom", 4, trained(4), "asv"))
    assert [len(piece) for piece in pieces.queries] == [16, 19] and pieces.labels == ("0", "0")


@pytest.mark.parametrize("variant", ["", UNLABELLED])
def test_a_speaker_model_under_the_key_found_separates_voices_as_under_the_right_one(variant: str) -> None:
    key, model = correct_key("rom", 3, 0), trained(3)
    encrypted, background, where = under(model, "rom", key), speech(3, 48), setting("rom", 3, model, "asv")
    found = LearnedKey(QUICK).run(Evidence(where, Case(variant=variant), 0, encrypted=encrypted, background=background))
    learned = criterion_of(encrypted, where, background, QUICK)
    assert found.key is not None
    keys = torch.from_numpy(np.stack([found.key, key, *draw_keys("rom", 3, 9, 0, 9)]))
    mine, right, *random = learned.losses(keys).tolist()
    assert mine < right + 0.1 * (np.median(random) - right)


def test_steps_stay_on_the_orthogonal_group_and_descend() -> None:
    target = torch.from_numpy(draw_keys("rom", 5, 0, 0, 2))
    adam = OrthogonalAdam(
        target @ cayley(skew(torch.full((2, dimensions(5)), 0.3, dtype=torch.float64), 5)), (0.9, 0.99)
    )
    for step in range(150):
        adam.step(-target, 0.1 * 0.96**step)
    torch.testing.assert_close(adam.keys, target, atol=1e-2, rtol=0)
    torch.testing.assert_close(adam.keys @ adam.keys.mT, torch.eye(5).double().expand(2, 5, 5), atol=1e-10, rtol=0)
    moved = geodesic(target, torch.full((2, dimensions(5)), 1e-3, dtype=torch.float64))
    lengths = (moved - target).norm(dim=(1, 2))
    torch.testing.assert_close(lengths, torch.full_like(lengths, 1e-3 * dimensions(5) ** 0.5), rtol=1e-4, atol=0)
    assert torch.linalg.det(mirrors(torch.eye(5).double()[:2])).round().tolist() == [-1, -1, -1]


def test_neighbours_are_keys_of_the_scheme() -> None:
    one = torch.eye(4).double()

    def around(scheme: Scheme, drawn: int = 100) -> list[torch.Tensor]:
        return list(neighbours(scheme, one, np.random.default_rng(0), drawn))

    signs, orders = around(SCHEMES["flipping"]), around(SCHEMES["shuffling"])
    assert len(signs) == 4 and len(orders) == 6 and len(around(SIGNED)) == 10
    assert all(float((key - one).abs().sum()) == 2 for key in signs)
    assert all(bool((key.sum(0) == 1).all()) for key in orders)
    shifts = torch.stack([one.roll(step, 1) for step in range(1, 4)])
    assert torch.equal(torch.stack(around(SHIFTS)), shifts)
    drawn = around(SHIFTS, drawn=3)  # too few for the whole list: random keys, without the key itself
    assert 0 < len(drawn) <= 3 and all(any(torch.equal(key, shift) for shift in shifts) for key in drawn)


def test_what_it_needs_is_said() -> None:
    attack = open_attack("learned-key")
    assert isinstance(attack, LearnedKey)
    silent = recogniser(3)
    assert "encode" in str(attack.inapplicable(setting("rom", 3, silent, "asr")))
    assert attack.inapplicable(setting("rom", 3, trained(3))) is None
    assert attack.inapplicable(replace(setting("rom", 3, silent), model=None)) is not None
    with pytest.raises(BadInput, match="learned-key needs the encrypted model"):
        attack.run(Evidence(setting("rom", 3, trained(3)), Case(), 0))
    background = replace(speech(3, 12), labels=("unknown",) * 12)
    model = under(TinyClassifier(torch.eye(3)), "rom", np.eye(3))
    with pytest.raises(BadInput, match="unknown"):
        attack.run(Evidence(setting("rom", 3, model), Case(), 0, encrypted=model, background=background))
