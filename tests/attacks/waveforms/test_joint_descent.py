"""The joint descent finds one real key for all frequencies, also where bands are empty and within its blocks."""

import pytest
import torch

from wrongkey.attacks.solvers.orthogonal_group import cayley
from wrongkey.attacks.waveforms.block_diagonal import of_blocks
from wrongkey.attacks.waveforms.block_spectra import tones
from wrongkey.attacks.waveforms.joint_descent import descend_jointly, newton_step
from wrongkey.attacks.waveforms.joint_diagonalisation import Criterion, separate_jointly
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS

SIZE, TIMES = 6, 1500
FREQUENCIES = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64)
FINAL = Criterion(DEFAULTS.floors[-1], DEFAULTS)


def rotation(size: int, angle: float, seed: int) -> torch.Tensor:
    noise = torch.randn(1, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return cayley(angle * (noise - noise.mT))[0]


def snapshots_of(key: torch.Tensor, empty: int, seed: int = 0) -> torch.Tensor:
    """Sounds whose bands change their power with time; the last `empty` bands hold next to nothing."""
    generator = torch.Generator().manual_seed(seed)
    shape = len(FREQUENCIES), SIZE, TIMES
    power = torch.randn(*shape[:2], TIMES // 15, generator=generator).mul(2).exp().repeat_interleave(15, 2)
    power[:, SIZE - empty :] *= 1e-6
    parts = torch.randn(2, *shape, generator=generator)
    sounds = power.sqrt() * torch.complex(*parts)
    mixed = (key.mT.to(torch.complex128) @ tones(FREQUENCIES, SIZE)).to(sounds.dtype) @ sounds
    return mixed / mixed.abs().square().mean().sqrt()


def heard_wrongly(found: torch.Tensor, key: torch.Tensor, snapshots: torch.Tensor) -> float:
    """The share of the energy of the snapshots in which two keys differ."""
    differ = ((found - key).to(snapshots.dtype) @ snapshots).abs().square().sum()
    return float(differ / snapshots.abs().square().sum())


@pytest.mark.parametrize(("turns", "empty"), [(1, 0), (1, 2), (2, 0)])
def test_it_returns_to_the_key_from_nearby(turns: int, empty: int) -> None:
    key, away = (
        of_blocks(torch.stack([rotation(SIZE // turns, angle, 10 * turns + i) for i in range(turns)]))
        for angle in (1.0, 0.1)
    )
    snapshots = snapshots_of(key, empty)
    start = away @ key
    assert heard_wrongly(start, key, snapshots) > 1e-2
    found, value = descend_jointly(snapshots, tones(FREQUENCIES, SIZE), start, FINAL, turns)
    assert heard_wrongly(found, key, snapshots) < 1e-3
    torch.testing.assert_close(found @ found.mT, torch.eye(SIZE, dtype=found.dtype))
    assert turns == 1 or not found[: SIZE // 2, SIZE // 2 :].any()
    _, of_start = separate_jointly(snapshots, tones(FREQUENCIES, SIZE), start, FINAL, 0)
    assert value < of_start


def test_where_curvature_is_the_same_everywhere_the_step_is_the_mean_slope() -> None:
    generator, known = torch.Generator().manual_seed(0), tones(FREQUENCIES, SIZE)
    parts = torch.randn(2, *known.shape, generator=generator, dtype=torch.float64)
    slope = torch.complex(*parts)
    slope = slope - slope.mH
    mean = (known @ slope @ known.mH).mean(0).real
    found = newton_step(known, slope, torch.full(known.shape, 2.0), 1, DEFAULTS)
    torch.testing.assert_close(found, (mean - mean.mT) / 4, rtol=1e-2, atol=1e-3)
