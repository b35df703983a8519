"""Batch-norm statistics beside encrypted kernels: what they decide, what they leave open, and when they say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.attacks.solvers.finite_schemes import SHIFTS, SIGNED, TURNS
from tests.attacks.weights.test_public_model import Toy
from tests.narrow import of_type, present
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.weights.norm_statistics import discrepancy, norm_behind
from wrongkey.attacks.weights.public_statistics import (
    Problem,
    PublicStatistics,
    PublicStatisticsSettings,
    problem_of,
    solve,
    turned,
)
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.model import encrypt_model
from wrongkey.keys.schemes import SCHEMES, Scheme

SIZE = 4


def voices(seed: int, count: int = 40, length: int = 2400) -> list[Tensor]:
    """Noise with the spectrum of a decaying recursion, and pulses that a reversal in time would turn round."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        drive = rng.standard_normal(length) * 0.3 + (rng.random(length) < 0.05) * 3.0
        wave = np.zeros(length)
        for t in range(length):
            wave[t] = drive[t] + 0.8 * wave[t - 1] - 0.3 * wave[t - 2] if t > 1 else drive[t]
        found.append(torch.from_numpy(wave).float())
    return found


@pytest.fixture(scope="module")
def trained() -> Toy:
    """A network whose norms have seen speech like the others'."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv1d(1, 24, SIZE, SIZE), nn.BatchNorm1d(24, momentum=None), nn.ReLU(),
        nn.Conv1d(24, 16, 3), nn.BatchNorm1d(16, momentum=None), nn.ReLU(),
    )  # fmt: skip
    network.train()
    for _ in range(2):  # the second norm's statistics are those behind the first one's
        with torch.no_grad():
            network(torch.stack(voices(1, 60)).unsqueeze(1))
    return Toy(network.eval().requires_grad_(False))


@pytest.fixture(scope="module")
def background() -> BackgroundSpeech:
    queries = voices(2)
    return BackgroundSpeech(tuple(queries), ("",) * len(queries))


def evidence(model: Toy, background: BackgroundSpeech, scheme: str | Scheme, key: np.ndarray) -> Evidence:
    where = Setting(get_scheme(scheme), KeyCut("samples", SIZE), 16_000.0, model, "asv")
    encrypted = Toy(encrypt_model(model.network, "0", key))
    return Evidence(where, Case(), 0, encrypted=encrypted, background=background)


def problem_under(model: Toy, background: BackgroundSpeech, scheme: str, key: np.ndarray) -> Problem:
    has = evidence(model, background, scheme, key)
    return problem_of(present(has.encrypted), background, has.setting, "1")


def test_flipping_is_found(trained: Toy, background: BackgroundSpeech) -> None:
    for key in draw_keys("flipping", SIZE, 0, 0, 4):
        recovery = PublicStatistics().run(evidence(trained, background, "flipping", key))
        assert key_error(present(recovery.key), key, "samples") == 0 and recovery.success_claimed
        assert present(recovery.objective) < 0.1 and recovery.measured["equations"] == 23


@pytest.mark.parametrize("scheme", [SHIFTS, TURNS])
def test_keys_of_a_list_are_found(trained: Toy, background: BackgroundSpeech, scheme: Scheme) -> None:
    for key in draw_keys(scheme, SIZE, 0, 0, 4):
        recovery = PublicStatistics().run(evidence(trained, background, scheme, key))
        assert key_error(present(recovery.key), key, "samples") < 1e-9 and recovery.success_claimed
        assert recovery.measured["unknowns"] == 0


def test_signed_orders_are_searched_as_such(trained: Toy, background: BackgroundSpeech) -> None:
    """The equations leave a block and its reverse: the key found, or its reverse, is the right one up to its sign."""
    for key in draw_keys(SIGNED, SIZE, 0, 0, 4):
        recovery = PublicStatistics().run(evidence(trained, background, SIGNED, key))
        found = present(recovery.key)
        assert set(np.abs(found).ravel()) == {0.0, 1.0} and present(recovery.objective) < 0.1
        errors = [key_error(one, key, "samples") for one in (found, found[::-1])]
        assert min(errors) == 0


def test_a_finite_scheme_without_numbers_is_refused(trained: Toy) -> None:
    unnumbered = replace(TURNS, unrank=None)
    where = Setting(unnumbered, KeyCut("samples", SIZE), 16_000.0, trained, "asv")
    assert "turns does not number its keys" in (PublicStatistics().inapplicable(where) or "")
    assert PublicStatistics().inapplicable(replace(where, scheme=TURNS)) is None


@pytest.mark.parametrize("scheme", ["shuffling", "rom"])
def test_the_equations_leave_a_block_and_its_reverse(trained: Toy, background: BackgroundSpeech, scheme: str) -> None:
    """Up to signs of eigenvectors of S (a reversal turns some of them), the key that they give is the right one."""
    for key in draw_keys(scheme, SIZE, 0, 0, 3):
        problem = problem_under(trained, background, scheme, key)
        found = solve(problem, SCHEMES[scheme], np.random.default_rng(0), PublicStatisticsSettings())
        vectors = np.linalg.eigh(problem.second)[1]
        right, _, _ = turned(found[0], 4.0, problem, lambda k: key_error(k, key, "samples"))  # noqa: B023
        assert key_error(right, key, "samples") < 0.15
        turn = vectors.T @ key @ found[0].T @ vectors
        assert np.allclose(np.abs(turn), np.eye(SIZE), atol=0.2)


def test_the_discrepancy_is_least_under_the_right_key(trained: Toy, background: BackgroundSpeech) -> None:
    key, *wrong = draw_keys("rom", SIZE, 0, 0, 6)
    model = present(evidence(trained, background, "rom", key).encrypted)
    pieces = [query[: len(query) // SIZE * SIZE] for query in background.queries[:16]]
    right = discrepancy(model, pieces, key, Blocks.SAMPLES)
    assert right < 0.2 < min(discrepancy(model, pieces, other, Blocks.SAMPLES) for other in wrong)


def test_gradients_of_the_equations_are_right(trained: Toy, background: BackgroundSpeech) -> None:
    problem = problem_under(trained, background, "rom", np.eye(SIZE))
    keys = torch.from_numpy(draw_keys("rom", SIZE, 0, 0, 2)).requires_grad_(True)
    assert torch.autograd.gradcheck(problem.squares, keys)
    assert problem.misfits(np.eye(SIZE)[None])[0] < 0.1


def test_statistics_that_say_nothing_are_not_believed(trained: Toy, background: BackgroundSpeech) -> None:
    key = draw_keys("flipping", SIZE, 0, 0, 1)[0]
    case = evidence(trained, background, "flipping", key)
    norm = of_type(nn.BatchNorm1d, present(case.encrypted).network.get_submodule("1"))
    norm.running_var = present(norm.running_var)[torch.randperm(24, generator=torch.Generator().manual_seed(0))]
    recovery = PublicStatistics().run(case)
    assert recovery.success_claimed is False and present(recovery.objective) > 0.3


def test_white_speech_decides_no_key(background: BackgroundSpeech) -> None:
    """Every orthogonal key fits the second moments of white noise."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 24, SIZE, SIZE), nn.BatchNorm1d(24, momentum=None), nn.ReLU())
    network.train()
    with torch.no_grad():
        network(torch.randn(60, 1, 2400))
    model = Toy(network.eval().requires_grad_(False))
    white = BackgroundSpeech(tuple(torch.randn(40, 2400).unbind()), ("",) * 40)
    for scheme in ("rom", "flipping", "shuffling"):
        key = draw_keys(scheme, SIZE, 0, 0, 1)[0]
        assert PublicStatistics().run(evidence(model, white, scheme, key)).success_claimed is False


def test_too_few_channels_are_said(background: BackgroundSpeech) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 5, SIZE, SIZE), nn.BatchNorm1d(5)).eval()
    recovery = PublicStatistics().run(evidence(Toy(network), background, "rom", draw_keys("rom", SIZE, 0, 0, 1)[0]))
    assert recovery.success_claimed is False and "fewer numbers" in recovery.note


def test_a_merged_norm_keeps_nothing(background: BackgroundSpeech) -> None:
    for rest in ([nn.ReLU()], [nn.ReLU(), nn.BatchNorm1d(8)]):  # a norm behind a non-linearity sees other numbers
        model = Toy(nn.Sequential(nn.Conv1d(1, 8, SIZE, SIZE), *rest).eval())
        assert norm_behind(model, background.queries[0]) is None
        recovery = PublicStatistics().run(evidence(model, background, "rom", np.eye(SIZE)))
        assert recovery.key is None and recovery.success_claimed is False and "No batch norm" in recovery.note


def test_layers_that_read_several_blocks_are_refused() -> None:
    for layer in (nn.Conv1d(1, 8, SIZE, 2), nn.Conv1d(3, 8, SIZE, SIZE)):
        where = Setting(SCHEMES["rom"], KeyCut("samples", SIZE), 1.0, Toy(nn.Sequential(layer)), "asv")
        assert "more than one block" in (PublicStatistics().inapplicable(where) or "")
