"""Phase gradient heap integration (Prusa, Balazs, Søndergaard 2017): a phase from a magnitude, without iteration.

The phase gradient follows from the magnitude (`gabor`). It is integrated along the spectrogram's ridges: a heap holds
the border of the coefficients that have a phase; the largest one leaves it first and gives a phase to its four
neighbours by the trapezoidal rule. Coefficients below `tolerance` of the largest get a random phase, and islands that
they separate start from phase zero.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.analyses.phase.gabor import Array, Gabor, PhaseGradient
from wrongkey.errors import BadInput

TOLERANCE = 1e-6  # of the largest magnitude


def pghi(magnitude: Tensor, gabor: Gabor, samples: int, tolerance: float = TOLERANCE, seed: int = 0) -> Tensor:
    """Signals `(..., samples)`, float64, from magnitudes `(..., bins, frames)` of a Gabor transform.

    Raises BadInput for magnitudes that are negative, not finite or of another number of bins.
    """
    phase = pghi_phase(magnitude, gabor, tolerance, seed)
    return gabor.synthesise(torch.polar(magnitude.double().cpu(), phase), samples)


def pghi_phase(magnitude: Tensor, gabor: Gabor, tolerance: float = TOLERANCE, seed: int = 0) -> Tensor:
    """Phases `(..., bins, frames)` in radians, float64; raises as `pghi`."""
    check_magnitude(magnitude, gabor.lattice.bins)
    each = magnitude.double().cpu().reshape(-1, *magnitude.shape[-2:]).numpy()
    phases = [integrate(s, gabor.phase_gradient(s), tolerance, seed) for s in each]
    return torch.from_numpy(np.stack(phases)).reshape(magnitude.shape)


def integrate(magnitude: Array, gradient: PhaseGradient, tolerance: float = TOLERANCE, seed: int = 0) -> Array:
    """The phase `(bins, frames)` whose gradient is `gradient`, along the ridges of `magnitude`."""
    flat = np.ascontiguousarray(magnitude, dtype=np.float64).ravel()
    loud = np.flatnonzero(flat > tolerance * flat.max(initial=0.0))
    order = loud[np.argsort(-flat[loud])].astype(np.int32)
    phase: Array = np.random.default_rng(seed).uniform(-np.pi, np.pi, flat.size)
    slopes = [np.ascontiguousarray(part, dtype=np.float64).ravel() for part in (gradient.time, gradient.frequency)]
    _heap_integration()(order, magnitude.shape[1], *slopes, phase)
    return phase.reshape(magnitude.shape)


def check_magnitude(magnitude: Tensor, bins: int) -> None:
    """Raise BadInput unless this is a magnitude `(..., bins, frames)`."""
    if magnitude.ndim < 2 or magnitude.shape[-2] != bins or magnitude.numel() == 0:
        raise BadInput(f"A magnitude of shape {tuple(magnitude.shape)} is not (..., {bins} bins, frames).")
    if not bool(torch.isfinite(magnitude).all()) or bool((magnitude < 0).any()):
        raise BadInput("A magnitude must be finite and not negative: take the absolute value of encrypted ones.")


@cache
def _heap_integration() -> Any:
    from numba import njit

    return njit(cache=True)(_integrate_in_place)


def _integrate_in_place(order: NDArray[np.int32], frames: int, time: Array, frequency: Array, phase: Array) -> None:
    """Heap integration over flat indices, compiled by numba; `order` lists the loud ones from the largest on.

    Coefficients are known by their rank, place in `order`: a heap of ranks is a heap of magnitudes, and the largest
    coefficient not yet reached is the next of `order`, so that islands cost nothing to find.
    """
    size, loud = phase.size, order.size
    rank = np.full(size, -1, np.int32)  # -1: not loud
    for place in range(loud):
        rank[order[place]] = place
    reached = np.zeros(size, np.bool_)
    heap = np.empty(loud + 1, np.int32)
    for place in range(loud):
        peak = order[place]
        if reached[peak]:
            continue
        reached[peak] = True
        phase[peak] = 0.0
        heap[0] = place
        count = 1
        while count:
            here = order[heap[0]]
            count -= 1
            last = heap[count]  # it sinks from the top to its place
            hole = 0
            while True:
                child = 2 * hole + 1
                if child >= count:
                    break
                if child + 1 < count and heap[child + 1] < heap[child]:
                    child += 1
                if heap[child] >= last:
                    break
                heap[hole] = heap[child]
                hole = child
            heap[hole] = last
            frame = here % frames
            for side in range(4):
                if side == 0:
                    there, inside, step = here + frames, here + frames < size, 0.5
                elif side == 1:
                    there, inside, step = here - frames, here >= frames, -0.5
                elif side == 2:
                    there, inside, step = here + 1, frame + 1 < frames, 0.5
                else:
                    there, inside, step = here - 1, frame > 0, -0.5
                if not inside or reached[there] or rank[there] < 0:
                    continue
                slope = frequency if side < 2 else time
                phase[there] = phase[here] + step * (slope[here] + slope[there])
                reached[there] = True
                hole = count  # it rises from the end to its place
                count += 1
                new = rank[there]
                while hole > 0:
                    parent = (hole - 1) // 2
                    if heap[parent] <= new:
                        break
                    heap[hole] = heap[parent]
                    hole = parent
                heap[hole] = new
