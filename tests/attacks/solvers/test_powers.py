"""Powers and moving means are those of their definitions."""

import pytest
import torch

from wrongkey.attacks.solvers.powers import moving_mean, power


@pytest.mark.parametrize("kind", [torch.complex64, torch.complex128])
def test_a_power_is_the_square_of_the_magnitude(kind):
    signal = torch.tensor([[3 + 4j, -2j], [0, 1 - 1j]], dtype=kind)
    assert torch.equal(power(signal), torch.tensor([[25, 4], [0, 2]], dtype=signal.real.dtype))


@pytest.mark.parametrize(("length", "reach"), [(1, 2), (2, 5), (7, 0), (9, 2), (40, 13)])
def test_a_moving_mean_is_over_what_is_there(length, reach):
    values = torch.rand(3, 2, length, generator=torch.Generator().manual_seed(length), dtype=torch.float64)
    kept = values.clone()
    wanted = torch.stack([values[..., max(0, t - reach) : t + reach + 1].mean(-1) for t in range(length)], dim=-1)
    assert torch.allclose(moving_mean(values, reach), wanted, atol=1e-14)
    assert torch.equal(values, kept)
