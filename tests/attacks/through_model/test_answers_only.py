"""Attack 7 on a tiny classifier: keys that it must find by asking, the count of queries, and honest failure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.attacks.solvers.finite_schemes import SHIFTS, SIGNED, TURNS
from tests.attacks.weights.tiny_classifier import recogniser, setting, speech, trained, under
from wrongkey.attacks.base import Case, Evidence, Matrix, Recovery
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.through_model.answer_loss import answer_loss
from wrongkey.attacks.through_model.answers_only import HILL, AnswersOnly
from wrongkey.attacks.through_model.keyed_answers import KeyedAnswers
from wrongkey.attacks.through_model.settings import AnswersOnlySettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Scheme


class Service:
    """The encrypted model behind an interface that counts."""

    def __init__(self, scheme: str | Scheme, key: Matrix, heard: bool = True) -> None:
        self.model, self.background, self.keys = trained(len(key)), speech(len(key), 24, heard=heard), 0
        encrypted = under(self.model, scheme, key)
        self.answers = KeyedAnswers(encrypted, "asc", self.background.queries, KeyCut("samples", len(key)))

    @torch.no_grad()
    def ask(self, keys: Matrix) -> object:
        self.keys += len(keys)
        return self.answers(torch.from_numpy(keys)).answers


def attacked(scheme: str | Scheme, key: Matrix, case: Case, heard: bool = True) -> tuple[Recovery, Service]:
    service = Service(scheme, key, heard)
    where = setting(scheme, len(key), service.model)
    return AnswersOnly().run(Evidence(where, case, 3, background=service.background, ask=service.ask)), service


@pytest.mark.parametrize("variant", ["", HILL])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_random_orthogonal_key_is_found_by_asking(variant: str, seed: int) -> None:
    key = correct_key("rom", 3, seed)
    found, service = attacked("rom", key, Case(queries=500, variant=variant))
    assert found.key is not None and found.success_claimed
    assert key_error(found.key, key, "tiles") < 0.25
    assert found.queries == service.keys == 500 and found.measured["utterances of a query"] == 24


@pytest.mark.parametrize(
    ("scheme", "size", "queries"),
    [
        ("flipping", 5, 100),
        ("shuffling", 5, 300),
        (SIGNED, 3, 100),
        (SHIFTS, 8, 50),
        (TURNS, 4, 50),
    ],
)
def test_keys_of_finite_schemes_are_found_exactly(scheme: str | Scheme, size: int, queries: int) -> None:
    key = correct_key(scheme, size, 1)
    found, service = attacked(scheme, key, Case(queries=queries))
    np.testing.assert_array_equal(found.key, key)
    assert found.success_claimed and found.queries == service.keys <= queries


def test_more_queries_find_a_better_key() -> None:
    key = correct_key("rom", 4, 0)
    few, many = (attacked("rom", key, Case(queries=n))[0].objective for n in (30, 600))
    assert few is not None and many is not None and many < few


def test_white_noise_is_reported_as_failure() -> None:
    runs = [attacked("rom", correct_key("rom", 4, seed), Case(queries=200), heard=False)[0] for seed in range(3)]
    assert not any(run.success_claimed for run in runs)


def test_texts_are_enough() -> None:
    key, model = correct_key("flipping", 4, 0), recogniser(4)
    background = speech(4, 24)
    background = replace(background, labels=tuple("word " + "abcdef"[int(label[-1])] for label in background.labels))
    encrypted = under(model, "flipping", key)

    def ask(keys: Matrix) -> list[list[Hypothesis]]:
        queries = torch.stack(background.queries)
        heard = [encrypted.transcribe(encrypt_query(queries, key, blocks="samples")) for key in keys]
        return [[Hypothesis(text) for text in texts] for texts in heard]

    where = setting("flipping", 4, model, "asr")
    found = AnswersOnly().run(Evidence(where, Case(queries=100), 0, background=background, ask=ask))
    np.testing.assert_array_equal(found.key, key)


def test_the_loss_of_texts_is_the_share_of_wrong_words() -> None:
    loss = answer_loss(setting("rom", 3, trained(3), "asr"), ["one two three", "four"], AnswersOnlySettings())
    heard = [[Hypothesis("one three"), Hypothesis("four")], [Hypothesis("one two three"), Hypothesis("six seven")]]
    np.testing.assert_allclose(loss(heard, torch.tensor([0, 1])), [1 / 4, 2 / 4])


def test_the_loss_of_texts_without_spaces_is_the_share_of_wrong_characters() -> None:
    loss = answer_loss(setting("rom", 3, trained(3), "asr"), ["今天天气很好", "再见"], AnswersOnlySettings())
    heard = [[Hypothesis("今天天气不好"), Hypothesis("再见")], [Hypothesis(""), Hypothesis("再。见")]]
    np.testing.assert_allclose(loss(heard, torch.tensor([0, 1])), [1 / 8, 6 / 8])


def test_what_it_needs_is_said() -> None:
    attack = open_attack("answers-only")
    assert isinstance(attack, AnswersOnly)
    model, background = trained(3), speech(3, 12)
    assert attack.inapplicable(replace(setting("rom", 3, model), model=None)) is not None
    with pytest.raises(BadInput, match="needs a model"):
        attack.run(Evidence(setting("rom", 3, model), Case(queries=9), 0, background=background))
    with pytest.raises(BadInput, match="12 labelled queries"):
        ask = lambda keys: torch.zeros(len(keys), 5, 6)  # noqa: E731
        attack.run(Evidence(setting("rom", 3, model), Case(queries=9), 0, background=background, ask=ask))
    with pytest.raises(BadInput, match="too few"):
        attack.run(
            Evidence(setting("rom", 3, model), Case(queries=9), 0, background=speech(3, 2), ask=lambda keys: keys)
        )
