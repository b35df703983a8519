"""Polyphase spectra: exact identities without speech, keys found from made speech, nothing found in white noise."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt
from torch import Tensor

from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.solvers.stable_linalg import polar
from wrongkey.attacks.waveforms.block_spectra import block_spectra, follow, polyphase_estimates, tones
from wrongkey.attacks.waveforms.joint_diagonalisation import Criterion, principal_axes, separate, separate_jointly
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS
from wrongkey.errors import BadInput
from wrongkey.keys.cutting import to_blocks
from wrongkey.keys.draw import draw_keys

RATE = 16_000


def made_speech(seconds: float, seed: int) -> Tensor:
    """A voice of pulses and breath through resonances that change every 80 ms: (samples,)."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(round(seconds / 0.08)):
        length = round(0.08 * RATE)
        voiced = rng.random() < 0.6
        source = 0.3 * rng.standard_normal(length)
        if voiced:
            source[:: rng.integers(60, 160)] += 8.0
        frequencies = np.fft.rfftfreq(length, 1 / RATE)
        gain = 0.02 + sum(
            rng.uniform(0.1, 1) / (1 + ((frequencies - centre) / rng.uniform(80, 250)) ** 2)
            for centre in (
                rng.uniform(250, 900),
                rng.uniform(900, 2800),
                rng.uniform(2500, 4500),
                rng.uniform(4000, 7500),
            )
        )
        gain = gain * (1.0 if voiced else 0.3) / (1 + (frequencies / 1500) ** 1.0)
        parts.append(np.fft.irfft(np.fft.rfft(source) * gain, length))
    return torch.from_numpy(np.concatenate(parts))


def rom(size: int, seed: int = 5) -> Tensor:
    return torch.from_numpy(draw_keys("rom", size, seed, 0, 1)[0])


@pytest.mark.parametrize("size", [2, 3, 8, 13])
def test_tones_are_an_orthonormal_basis_that_diagonalises_a_filtered_block(size: int) -> None:
    frequencies = torch.tensor([0.3, 1.1, 2.9], dtype=torch.float64)
    basis = tones(frequencies, size)
    assert torch.allclose(basis.mH @ basis, torch.eye(size, dtype=basis.dtype).expand(3, -1, -1), atol=1e-12)
    # A sinusoid of frequency f appears in the one band that holds f, with w = 2 pi f M.
    f = (frequencies[1] / (2 * torch.pi) + 1 - 1) / size
    wave = torch.cos(2 * torch.pi * f * torch.arange(200 * size, dtype=torch.float64))
    width = 64
    spectra = block_spectra([to_blocks(wave, size, "samples")], width, DEFAULTS)
    near = int((spectra.frequencies - frequencies[1]).abs().argmin())
    inside = (tones(spectra.frequencies, size)[near].to(torch.complex64).mH @ spectra.values[near]).abs() ** 2
    assert inside[0].sum() > 0.9 * inside.sum()


def test_block_spectra_turn_with_the_key_and_nothing_else_changes() -> None:
    blocks, key = to_blocks(made_speech(2, 0), 7, "samples"), rom(7)
    plain, secret = (block_spectra([part], 32, DEFAULTS) for part in (blocks, blocks @ key))
    assert torch.allclose(key.mT.to(torch.complex64) @ plain.values, secret.values, atol=1e-4)


@pytest.mark.parametrize("size", [2, 5, 12])
def test_the_path_orders_shuffled_columns_of_any_phase_and_gives_the_key(size: int) -> None:
    known, key = tones(torch.linspace(0.3, torch.pi - 0.3, 8, dtype=torch.float64), size), rom(size)
    columns = key.mT.to(known.dtype) @ known
    generator = torch.Generator().manual_seed(1)
    orders = [torch.randperm(size, generator=generator) for _ in known]
    shuffled = torch.stack([column[:, order] for column, order in zip(columns, orders, strict=True)])
    shuffled = shuffled * torch.polar(torch.ones(()), 6 * torch.rand(8, 1, size, generator=generator)).to(known.dtype)
    decryptions, linked = follow(shuffled, known, orders[0].argsort(), DEFAULTS)  # from every tone in turn
    assert linked[0] == size
    assert linked.count(size) == 2 - size % 2  # for even sizes the spectrum may be mirrored
    assert key_error(polar(decryptions[0]).numpy(), key.numpy(), "samples") < 1e-6
    alone = [follow(shuffled, known, start[None], DEFAULTS) for start in orders[0].argsort()]
    assert linked == [bands for _, (bands,) in alone]
    assert torch.allclose(decryptions, torch.cat([one for one, _ in alone]))


def test_separation_finds_the_unitary_mixture_of_unsteady_components() -> None:
    generator = torch.Generator().manual_seed(0)
    loudness = torch.exp(2 * torch.randn(2, 6, 100, generator=generator)).repeat_interleave(10, dim=-1).sqrt()
    noise = torch.randn(2, 2, 6, 1000, generator=generator)
    sources = loudness * torch.complex(noise[0], noise[1])
    sources = sources / (sources.abs() ** 2).mean().sqrt()
    mixture = polar(torch.complex(*torch.randn(2, 2, 6, 6, generator=generator)))
    snapshots = mixture @ sources
    bases, values = separate(snapshots, principal_axes(snapshots), Criterion(0.01, DEFAULTS), 60)
    assert (values <= Criterion(0.01, DEFAULTS)(sources)[0] + 1e-3).all()
    overlap = (mixture.mH @ bases).abs()
    assert (overlap.amax(2) > 0.98).all()


def test_a_joint_descent_lowers_the_criterion_and_returns_from_nearby() -> None:
    size, key = 6, rom(6)
    blocks = to_blocks(made_speech(6, 1), size, "samples")
    spectra = block_spectra([blocks @ key], 85, DEFAULTS)
    known = tones(spectra.frequencies, size)
    turn = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    near = torch.linalg.matrix_exp(0.05 * (turn - turn.mT)) @ key
    start = separate_jointly(spectra.values, known, near, Criterion(0.01, DEFAULTS), 0)[1]
    found, value = separate_jointly(spectra.values, known, near, Criterion(0.01, DEFAULTS), 60)
    assert value < start
    assert key_error(found.numpy(), key.numpy(), "samples") < 0.5 * key_error(near.numpy(), key.numpy(), "samples")


@pytest.mark.parametrize("size", [3, 10])
def test_keys_are_recovered_from_ciphertext_alone(size: int) -> None:
    key = rom(size)
    blocks = [to_blocks(made_speech(6, seed), size, "samples") @ key for seed in range(3)]
    estimates = polyphase_estimates(blocks, seed=0, count=2, rate=16_000.0, settings=DEFAULTS)
    assert estimates[0].linked == 1
    assert estimates[0].criterion <= estimates[1].criterion
    assert key_error(estimates[0].key.numpy(), key.numpy(), "samples") < 0.1


def test_white_noise_links_no_bands_and_gives_no_key() -> None:
    size, key = 10, rom(10)
    noise = torch.randn(16 * RATE, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    [estimate] = polyphase_estimates(
        [to_blocks(noise, size, "samples") @ key], seed=0, count=1, rate=16_000.0, settings=DEFAULTS
    )
    assert estimate.linked < 0.7
    assert key_error(estimate.key.numpy(), key.numpy(), "samples") > 0.9


def test_keys_are_orthogonal_and_the_same_for_the_same_seed() -> None:
    blocks = [to_blocks(made_speech(3, 4), 8, "samples") @ rom(8)]
    keys, again = (
        torch.stack(
            [
                estimate.key
                for estimate in polyphase_estimates(blocks, seed=1, count=2, rate=16_000.0, settings=DEFAULTS)
            ]
        )
        for _ in range(2)
    )
    assert keys.shape == (2, 8, 8) and keys.dtype == torch.float64
    assert torch.allclose(keys @ keys.mT, torch.eye(8, dtype=torch.float64).expand(2, -1, -1), atol=1e-10)
    assert torch.equal(keys, again)


@pytest.mark.parametrize(
    ("highest", "enough", "count"), [(None, 0, 2), (3400, 1, 2), (3400, 3, 3), (3400, 9, DEFAULTS.estimates_of_empty)]
)
def test_more_estimates_are_made_where_bands_are_empty(highest: int | None, enough: int, count: int) -> None:
    """Until there are enough of them; of full bands there are as many as asked for."""
    speech = made_speech(2, 0).numpy()
    if highest is not None:
        speech = sosfilt(butter(8, highest, fs=16_000, output="sos"), speech)
    blocks = [to_blocks(torch.from_numpy(speech), 5, "samples")]
    estimates = polyphase_estimates(
        blocks, seed=0, count=2, rate=16_000.0, settings=DEFAULTS, enough=lambda found: len(found) >= enough
    )
    assert len(estimates) == count
    assert estimates == sorted(estimates, key=lambda one: one.criterion)


def test_what_cannot_be_attacked_is_refused_in_one_sentence() -> None:
    speech = to_blocks(made_speech(1, 0), 4, "samples")
    for blocks, count, word in [([], 1, "blocks of 2"), ([speech], 0, "count"), ([speech[:20]], 1, "segment")]:
        with pytest.raises(BadInput, match=word):
            polyphase_estimates(blocks, seed=0, count=count, rate=16_000.0, settings=DEFAULTS)
    with pytest.raises(BadInput, match="silent"):
        polyphase_estimates([torch.zeros(4000, 4)], seed=0, count=1, rate=16_000.0, settings=DEFAULTS)
