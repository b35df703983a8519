"""Spectrograms as they are encrypted, and as an adversary without the key reads them.

magnitude: `|c|` of the Gabor transform. log: Whisper's scale, `(log10 max(|c|², 10⁻⁸ max |c|²) + 4) / 4`.

An encrypted magnitude may be negative, and is read as its absolute value. That alone undoes Flipping on magnitudes.
Encrypted logarithms are read by the inverse of the scale, limited to the range that speech has: at most what samples of
full scale give, at least 10⁻⁴ of the loudest.
"""

from __future__ import annotations

from math import log10
from typing import Literal

from torch import Tensor

from wrongkey.attacks.analyses.phase.gabor import Lattice
from wrongkey.errors import BadInput

Scale = Literal["magnitude", "log"]
RANGE = 1e-4  # of the loudest magnitude, to which smaller ones are raised on the logarithmic scale
QUIET = 1e-10  # the logarithm of silence


def on_scale(magnitude: Tensor, scale: Scale) -> Tensor:
    """A magnitude `(..., bins, frames)` as it is encrypted; BadInput for another scale."""
    if scale == "magnitude":
        return magnitude
    if scale != "log":
        raise BadInput(f"A spectrogram's scale is magnitude or log, not {scale!r}.")
    return (_lifted(magnitude).square().log10() + 4) / 4


def read_as_magnitude(values: Tensor, scale: Scale, lattice: Lattice) -> Tensor:
    """Values on a scale, plain or encrypted, as the magnitude that an adversary without the key takes them for."""
    if scale == "magnitude":
        return values.abs()
    ceiling = (log10(loudest(lattice) ** 2) + 4) / 4
    return _lifted(10 ** (2 * values.clamp(max=ceiling) - 2))


def loudest(lattice: Lattice) -> float:
    """The largest magnitude that samples of full scale ±1 can have: Σ g(l) of the Gaussian of unit energy."""
    return float((2 * lattice.gamma) ** 0.25)


def _lifted(magnitude: Tensor) -> Tensor:
    floor = (RANGE * magnitude.amax((-2, -1), keepdim=True)).clamp(min=QUIET)
    return magnitude.maximum(floor)
