"""Fast Griffin-Lim (Perraudin, Balazs, Søndergaard 2013): phases by alternating projections with momentum, batched.

With `P₁` the projection onto spectrograms of signals (synthesis, then analysis) and `P₂` the one onto those of the
given magnitude,

    c_k = P₁ P₂ t_{k-1},     t_k = c_k + α (c_k - c_{k-1}),

and α = 0 is Griffin and Lim (1984). Started from zero phases (Griffin-Lim alone) or from any others (PGHI's).
"""

from __future__ import annotations

import torch
from torch import Tensor

from wrongkey.attacks.analyses.phase.gabor import Gabor
from wrongkey.attacks.analyses.phase.pghi import check_magnitude

ITERATIONS = 100
MOMENTUM = 0.99  # α of the paper's experiments
TINY = 1e-30


def griffin_lim(
    magnitude: Tensor,
    gabor: Gabor,
    samples: int,
    *,
    phase: Tensor | None = None,
    iterations: int = ITERATIONS,
    momentum: float = MOMENTUM,
) -> Tensor:
    """Signals `(..., samples)` from magnitudes `(..., bins, frames)`, in their dtype and on their device.

    `phase` is what the iteration starts from, `(..., bins, frames)` in radians; zero by default. `gabor` is best a
    `TorchGabor`: ltfatpy goes through the batch one by one. Raises BadInput as `pghi`.
    """
    check_magnitude(magnitude, gabor.lattice.bins)
    phase = torch.zeros_like(magnitude) if phase is None else phase.to(magnitude)
    target = torch.polar(magnitude, phase)
    before = target
    for step in range(iterations):
        consistent = gabor.analyse(gabor.synthesise(_with_magnitude(target, magnitude), samples)).to(target)
        target = consistent + momentum * (consistent - before) if step else consistent
        before = consistent
    return gabor.synthesise(_with_magnitude(target, magnitude), samples)


def _with_magnitude(coefficients: Tensor, magnitude: Tensor) -> Tensor:
    """P₂: these phases, that magnitude."""
    return coefficients * (magnitude / coefficients.abs().clamp(min=TINY))
