"""The last descent of `polyphase`: one real orthogonal key for all block frequencies, by Newton steps.

Every frequency g has its own quadratic model of the criterion (`Criterion.model`): for V_g (I + D_g) it is
-(<slope_g, D_g> - 1/2 sum_ij curvature_g,ij |D_g,ij|^2). A step K^T (I + A) with A real and skew gives all of them
D_g = E_g^H A E_g, so the best common A solves

    sum_g Re E_g (curvature_g * E_g^H A E_g) E_g^H = sum_g Re E_g slope_g E_g^H,

which conjugate gradients do, preconditioned by the mean curvature in the tones of the middle frequency. To average the
steps that every frequency asks for, as `separate_jointly` does, is cheaper and not the same: where bands are empty (a
telephone's, those of lossy coding at large M) a frequency asks for no step in the directions that it does not see, and
the average is no direction of descent any more. L-BFGS on the same criterion needs hundreds of steps there, since weak
bands have little curvature.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wrongkey.attacks.solvers.orthogonal_descent import skew_part
from wrongkey.attacks.solvers.orthogonal_group import cayley
from wrongkey.attacks.solvers.stable_linalg import polar
from wrongkey.attacks.waveforms.backtracking import descended
from wrongkey.attacks.waveforms.block_diagonal import within_blocks
from wrongkey.attacks.waveforms.joint_diagonalisation import Criterion
from wrongkey.attacks.waveforms.polyphase_settings import PolyphaseSettings


def descend_jointly(
    snapshots: Tensor, tones: Tensor, key: Tensor, criterion: Criterion, turns: int
) -> tuple[Tensor, float]:
    """A key (N, N) of lower mean criterion for snapshots (g, N, T), and its value.

    tones: E (g, N, N) complex128. The key has, and keeps, as many blocks along its diagonal as it has `turns`.
    """
    settings = criterion.settings

    def at(candidate: Tensor) -> tuple[Tensor, float, Tensor]:
        components = (tones.mH @ candidate.to(tones.dtype)).to(snapshots.dtype) @ snapshots
        values, power = criterion(components)
        return components, float(values.mean()), power

    def direction(components: Tensor, power: Tensor) -> Tensor:
        return newton_step(tones, *criterion.model(components, power), turns, settings)

    def moved(held: Tensor, along: Tensor, step: float) -> Tensor:
        return cayley(-step * along[None])[0] @ held

    key, value = descended(key, at, direction, moved, settings.joint_steps, 1.0, settings)
    return polar(key), value


def newton_step(tones: Tensor, slope: Tensor, curvature: Tensor, turns: int, settings: PolyphaseSettings) -> Tensor:
    """The real skew A (N, N), within the blocks, that the models of all frequencies together ask for.

    slope, curvature: (g, N, N).
    """
    slope, curvature = slope.to(tones.dtype), curvature.to(torch.float64)
    middle, mean = tones[len(tones) // 2], curvature.mean(0)

    def allowed(matrix: Tensor) -> Tensor:
        return skew_part(within_blocks(matrix, turns))

    def together(turn: Tensor) -> Tensor:
        return allowed((tones @ turn @ tones.mH).mean(0).real)

    def curved(direction: Tensor) -> Tensor:
        return together(curvature * (tones.mH @ direction.to(tones.dtype) @ tones))

    def preconditioned(residual: Tensor) -> Tensor:
        return allowed((middle @ ((middle.mH @ residual.to(tones.dtype) @ middle) / mean) @ middle.mH).real)

    residual = together(slope)
    found = torch.zeros_like(residual)
    direction = ahead = preconditioned(residual)
    product = first = (residual * ahead).sum()
    for _ in range(settings.joint_inner):
        if product <= settings.joint_residual**2 * first or product <= 0:
            break
        change = curved(direction)
        size = product / (direction * change).sum()
        found, residual = found + size * direction, residual - size * change
        ahead = preconditioned(residual)
        before, product = product, (residual * ahead).sum()
        direction = ahead + product / before * direction
    return found
