"""Spectrogram keys from ciphertext: found on speech-like spectrograms, not on white noise; closed forms are exact."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.attacks.solvers.finite_schemes import SIGNED
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Recovery, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.spectrograms.annealing import annealed_order, move_changes, rearranged
from wrongkey.attacks.spectrograms.likelihood import TileLikelihood, whitening
from wrongkey.attacks.spectrograms.moments import SpectrogramMoments
from wrongkey.attacks.spectrograms.settings import SpectrogramMomentsSettings
from wrongkey.attacks.spectrograms.signs_and_orders import (
    LEAST_GAIN,
    exchange_changes,
    find_order,
    grown_signs,
    sign_energy,
)
from wrongkey.attacks.spectrograms.statistics import block_grid, moments, neighbourhoods
from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.query import encrypt_query
from wrongkey.keys.schemes import SCHEMES, Scheme

BINS, FRAMES = 12, 600
TILES, FRAME = KeyCut("tiles", 3), KeyCut("frames", 24)
SETTINGS = SpectrogramMomentsSettings()

OWN = Scheme("own", SCHEMES["shuffling"].words, SCHEMES["shuffling"].matrices, lambda size: 6)  # finite, of no group


def spectrogram(seed: int, *, centred: bool = False, bins: int = BINS) -> Tensor:
    """Like a log spectrogram: slow smooth changes, more in low bins, and the logarithm of exponential noise."""
    rng = np.random.default_rng(seed)
    field = rng.standard_normal((bins + 8, FRAMES + 40))
    slow = np.apply_along_axis(np.convolve, 1, field, np.hanning(21) / 3, "valid")
    slow = np.apply_along_axis(np.convolve, 0, slow, np.hanning(7) / 2, "valid")[:bins, :FRAMES]
    power = rng.exponential(size=(bins + 2, FRAMES + 4))
    power = np.apply_along_axis(np.convolve, 1, power, [0.25, 0.5, 0.25], "valid")
    power = power[:-1] + power[1:]
    level = np.linspace(2, -2, bins)[:, None]
    x = torch.from_numpy((2 + level / 3) * slow + level + np.log(power[:bins, :FRAMES] + 1e-3))
    return x - x.mean(1, keepdim=True) if centred else x


OTHERS = {
    centred: BackgroundSpeech(tuple(spectrogram(s, centred=centred) for s in range(8)), ()) for centred in (False, True)
}


def attacked(
    scheme: str, key: np.ndarray, queries: list[Tensor], background: BackgroundSpeech, blocks: str = "tiles"
) -> Recovery:
    cut = KeyCut(blocks, len(key) if blocks == "frames" else round(len(key) ** 0.5))
    setting = Setting(SCHEMES[scheme], cut, rate=100.0)
    ciphertext = tuple(encrypt_query(query.double(), key, blocks=blocks) for query in queries)
    return SpectrogramMoments().run(Evidence(setting, Case(), seed=3, ciphertext=ciphertext, background=background))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("scheme", ["flipping", "shuffling", "rom"])
def test_the_key_is_found_up_to_what_the_sample_allows(scheme, centred):
    key = draw_keys(scheme, 9, 1, 0, 1)[0]
    found = attacked(scheme, key, [spectrogram(100 + s, centred=centred) for s in range(4)], OTHERS[centred])
    assert found.key is not None
    assert key_error(found.key, key, "tiles") < (0.1 if scheme == "rom" else 1e-9)
    assert found.success_claimed


@pytest.mark.parametrize("scheme", ["flipping", "shuffling", "rom"])
def test_bins_that_fill_no_row_of_tiles_are_padded_in_both_kinds_of_speech(scheme):
    """13 bins are five rows of tiles, of which the last holds two rows of zeros."""
    background = BackgroundSpeech(tuple(spectrogram(s, bins=13) for s in range(8)), ())
    key = draw_keys(scheme, 9, 3, 0, 1)[0]
    found = attacked(scheme, key, [spectrogram(100 + s, bins=13) for s in range(4)], background)
    assert found.key is not None and key_error(found.key, key, "tiles") < 0.15
    assert found.success_claimed


@pytest.mark.parametrize("scheme", ["flipping", "shuffling", "rom"])
def test_white_noise_tells_nothing_and_the_attack_says_so(scheme):
    key = draw_keys(scheme, 9, 1, 0, 1)[0]
    noise = [torch.from_numpy(np.random.default_rng(s).standard_normal((BINS, FRAMES))) for s in range(4)]
    assert not attacked(scheme, key, noise, OTHERS[True]).success_claimed


def taller(magnitudes: bool, bins: int = 24) -> tuple[list[Tensor], BackgroundSpeech]:
    """Two spectrograms of a victim, and those of others."""
    tilt = torch.linspace(4, -4, bins, dtype=torch.float64)[:, None]  # as of speech, which falls with frequency
    heard = [spectrogram(s, bins=bins) + tilt for s in range(10)]
    if magnitudes:
        heard = [(query / 2).exp() for query in heard]
    return heard[:2], BackgroundSpeech(tuple(heard[2:]), ())


@pytest.mark.parametrize("magnitudes", [False, True])
def test_the_order_of_whole_frames_is_found(magnitudes):
    queries, others = taller(magnitudes)
    key = draw_keys("shuffling", 24, 1, 0, 1)[0]
    found = attacked("shuffling", key, queries, others, "frames")
    assert found.key is not None
    assert np.array_equal(found.key, key)
    assert found.success_claimed


@pytest.mark.parametrize("pair", [[5, 6], [4, 12]])
def test_an_order_that_half_of_the_ciphertext_denies_is_not_claimed(pair):
    """The key changes on the way, by one exchange, so that no order is right for all."""
    queries, others = taller(False)
    early = draw_keys("shuffling", 24, 1, 0, 1)[0]
    late = early.copy()
    late[pair] = early[pair[::-1]]
    setting = Setting(SCHEMES["shuffling"], FRAME, rate=100.0)
    changing = []
    for query in queries:
        parts = zip(query.double().split(6 * FRAMES // 10, dim=1), (early, late), strict=True)
        changing.append(torch.cat([encrypt_query(part, key, blocks="frames") for part, key in parts], dim=1))
    found = SpectrogramMoments().run(Evidence(setting, Case(), seed=3, ciphertext=tuple(changing), background=others))
    assert found.success_claimed is None


@pytest.mark.parametrize("bins", [12, 13])
def test_a_row_that_is_mostly_padding_does_not_decide_a_rom_key_of_whole_frames(bins):
    queries, others = taller(False, bins=bins)
    key = draw_keys("rom", 12, 1, 0, 1)[0]
    assert attacked("rom", key, queries, others, "frames").success_claimed is not True


def test_a_rom_key_of_large_tiles_is_found_and_the_second_search_says_so():
    queries, others = taller(False, bins=25)
    key = draw_keys("rom", 25, 1, 0, 1)[0]
    found = attacked("rom", key, queries, others)
    assert found.key is not None
    assert key_error(found.key, key, "tiles") < 0.2
    assert found.success_claimed


@pytest.mark.parametrize("scheme", ["flipping", "shuffling", "rom"])
def test_plain_spectrograms_hold_no_key(scheme):
    found = attacked(scheme, np.eye(9), [spectrogram(100 + s) for s in range(4)], OTHERS[False])
    assert found.success_claimed is False
    assert "plain" in found.note


@pytest.mark.parametrize("given", ["noise", "plain", "rom", "one sound"])
def test_no_order_of_whole_frames_is_claimed_where_there_is_none(given):
    queries, others = taller(False)
    key = draw_keys("rom", 24, 5, 0, 1)[0] if given == "rom" else np.eye(24)
    if given == "noise":
        queries = [torch.randn(24, FRAMES, generator=torch.Generator().manual_seed(s)) for s in range(2)]
    if given == "one sound":  # all bins change together
        queries = [query[:1].expand(24, -1) for query in queries]
    assert not attacked("shuffling", key, queries, others, "frames").success_claimed


@pytest.fixture
def objective() -> TileLikelihood:
    plain = moments(block_grid(query, TILES) for query in OTHERS[False].queries)
    turned = [block_grid(spectrogram(50), TILES) @ torch.from_numpy(draw_keys("rom", 9, 4, 0, 1)[0])]
    return TileLikelihood(whitening(plain, 0.01), moments(turned), means=True, negligible=SETTINGS.negligible)


def value(objective: TileLikelihood, key: Tensor) -> float:
    return float(objective.value(key[None])[0])


def test_the_gradient_is_that_of_the_value(objective):
    key = torch.from_numpy(draw_keys("rom", 9, 5, 0, 1)[0])
    step = 1e-6 * torch.randn(9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slope = float((objective.value_and_gradient(key[None])[1][0] * step).sum())
    assert value(objective, key + step) - value(objective, key - step) == pytest.approx(2 * slope, rel=1e-5)


def test_signs_and_exchanges_change_j_as_their_closed_forms_say(objective):
    key = torch.from_numpy(draw_keys("rom", 9, 5, 0, 1)[0])
    quadratic, linear = sign_energy(objective, key)
    signs = torch.tensor([1, -1, 1, 1, -1, -1, 1, 1, -1], dtype=torch.float64)
    expected = signs @ quadratic @ signs - signs @ linear - quadratic.sum() + linear.sum()
    assert value(objective, signs[:, None] * key) - value(objective, key) == pytest.approx(float(expected), rel=1e-6)
    changes = exchange_changes(objective, key)
    for i, j in ((0, 1), (2, 7)):
        exchanged = key.clone()
        exchanged[[i, j]] = key[[j, i]]
        assert value(objective, exchanged) - value(objective, key) == pytest.approx(float(changes[i, j]), rel=1e-6)


@pytest.mark.parametrize(("row", "place"), [(0, 8), (7, 2), (3, 4), (5, 5)])
def test_moves_change_j_as_their_table_says(objective, row, place):
    key = torch.from_numpy(draw_keys("shuffling", 9, 5, 0, 1)[0])
    moved = key.tolist()
    moved.insert(place, moved.pop(row))
    change = value(objective, torch.tensor(moved, dtype=torch.float64)) - value(objective, key)
    assert change == pytest.approx(float(move_changes(objective, key)[row, place]), rel=1e-6, abs=1e-12)


def test_a_bin_far_from_its_place_comes_back():
    """All bins between stand one place off, and every exchange of two makes J worse."""
    (query,), others = taller(False)[0][:1], taller(False)[1]
    plain = moments(block_grid(speech, FRAME) for speech in others.queries)
    cipher = moments([block_grid(query, FRAME)])
    objective = TileLikelihood(whitening(plain, SETTINGS.noise), cipher, means=True, negligible=SETTINGS.negligible)
    order = list(range(24))
    order.insert(0, order.pop(14))
    displaced = torch.eye(24, dtype=torch.float64)[order]
    assert float(exchange_changes(objective, displaced).min()) > -LEAST_GAIN
    found, _ = find_order(objective, displaced, SETTINGS.order_rounds)
    assert torch.equal(found, torch.eye(24, dtype=torch.float64))


def test_annealing_leaves_a_minimum_of_single_exchanges(objective):
    start = torch.from_numpy(draw_keys("shuffling", 9, 6, 0, 1)[0])
    stuck, reached = find_order(objective, start, SETTINGS.order_rounds)
    annealed = annealed_order(objective, start, 0, replace(SETTINGS, annealing_work=3e7))
    assert sorted(annealed.argmax(1).tolist()) == list(range(9))
    assert value(objective, annealed) <= reached + 1e-9
    assert value(objective, stuck) <= value(objective, start)


def test_rearranging_lowers_j_from_a_reversed_order(objective):
    start = torch.eye(9, dtype=torch.float64).flip(0)
    found = rearranged(objective, start, 0, (0.1, 0.001), replace(SETTINGS, exchanges=3000))
    assert sorted(found.argmax(1).tolist()) == list(range(9))
    assert value(objective, found) <= value(objective, start)


def test_curvatures_are_second_differences_along_rotations():
    plain = moments(block_grid(query, TILES) for query in OTHERS[False].queries)
    own = TileLikelihood(whitening(plain, 0.01), plain, means=False, negligible=0.0)
    step = 1e-3
    for i, j in ((0, 1), (2, 7)):
        turned = torch.eye(9, dtype=torch.float64).repeat(2, 1, 1)
        for key, angle in zip(turned, (step, -step), strict=True):
            key[i, i] = key[j, j] = np.cos(angle)
            key[i, j], key[j, i] = np.sin(angle), -np.sin(angle)
        bent = float(own.value(turned).sum() - 2 * own.value(torch.eye(9, dtype=torch.float64)[None])[0]) / step**2
        assert float(own.curvatures()[i, j]) == pytest.approx(bent / 2, rel=1e-3)


def test_groups_that_are_right_by_themselves_are_joined():
    truth = torch.tensor([1.0, 1, -1, 1, -1, -1])
    chain = torch.eye(6) + torch.diag(torch.full((5,), 0.4), 1) + torch.diag(torch.full((5,), 0.4), -1)
    found = grown_signs(truth[:, None] * chain.double() * truth)
    assert torch.equal(found * found[0], truth.double())


def test_filling_is_no_speech_and_beyond_the_edge_is_nothing():
    query = torch.cat([spectrogram(0)[:, :30], torch.full((BINS, 60), -1.0)], dim=1)
    assert block_grid(query, TILES).shape == (4, 11, 9)
    around = neighbourhoods(block_grid(query, TILES))
    assert around.shape == (4, 9, 5, 9)
    assert not around[0, :, 3].any()
    assert not around[-1, :, 4].any()
    with pytest.raises(BadInput, match="three blocks"):
        moments([block_grid(query[:, :6], TILES)])


def test_what_it_does_not_attack():
    attack = SpectrogramMoments()
    assert "samples" in (attack.inapplicable(Setting(SCHEMES["rom"], KeyCut("samples", 9), 16_000.0)) or "")
    assert "scheme" in (attack.inapplicable(Setting(OWN, KeyCut("tiles", 3), 100.0)) or "")
    assert attack.inapplicable(Setting(SCHEMES["rom"], KeyCut("tiles", 40), 100.0))
    assert attack.inapplicable(Setting(SCHEMES["rom"], KeyCut("frames", 80), 100.0)) is None
    assert "scheme signed" in (attack.inapplicable(Setting(SIGNED, KeyCut("tiles", 3), 100.0)) or "")
    with pytest.raises(BadInput, match="other people"):
        attack.run(Evidence(Setting(SCHEMES["rom"], KeyCut("tiles", 3), 100.0), Case(), seed=0))
