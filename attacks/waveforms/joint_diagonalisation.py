"""Approximate joint diagonalisation by unitary matrices: the orthonormal directions that carry separate components.

Snapshots y_t (M complex numbers) are mixtures y_t = V a_t with V unitary and components a_kt that are uncorrelated and
whose variances change with time, each in its own way. If they are taken as Gaussian with a variance that is constant
for a few snapshots, their likelihood is largest where

    f(V) = mean over k and t of log(p_kt + floor),    p_kt = moving mean over t of |v_k^H y_t|^2

is least: Pham's criterion (2001; log det diag(V^H S_t V) of the local covariances S_t) under the unitary constraint of
Cardoso and Souloumiac (1996). A component k sees the covariance C_k = mean of u_kt y_t y_t^H with u the moving mean of
1 / (p + floor), and for small rotations of the pair (i, j) the criterion is the 2 x 2 problem v^H (C_i - C_j) v: all
pairs step at once by the ratio of its off-diagonal element to its curvature, as in quasi-Newton ICA (Ablin, Cardoso and
Gramfort, 2018, with moments E[u_i |s_j|^2] for the Hessian). The floor hides components that are weaker than it, so a
search goes from a large floor to a small one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wrongkey.attacks.solvers.powers import moving_mean, power
from wrongkey.attacks.solvers.stable_linalg import eigh, polar
from wrongkey.attacks.waveforms.backtracking import descended
from wrongkey.attacks.waveforms.polyphase_settings import PolyphaseSettings


@dataclass(frozen=True)
class Criterion:
    """The function f(V) for snapshots of mean power 1 per element.

    Attributes
    ----------
    floor : float
        Floor of the power.
    settings : PolyphaseSettings
        The reach of the moving mean, how far a step may go, and when a descent ends.
    """

    floor: float
    settings: PolyphaseSettings

    def __call__(self, components: Tensor, apart: int | None = None) -> tuple[Tensor, Tensor]:
        """The values (g,), float64, at components (g, M, T), and p + floor (g, M, T).

        apart: only this many components, the first ones, have powers of their own; the others share their mean.
        """
        powers = self.smooth(power(components))
        if apart is not None and apart < powers.shape[1] - 1:
            powers[:, apart:] = powers[:, apart:].mean(1, keepdim=True)
        powers += self.floor
        return powers.log().mean((-2, -1), dtype=torch.float64), powers

    def smooth(self, values: Tensor) -> Tensor:
        """The moving mean along the last axis of (g, M, T), shorter at its ends."""
        return moving_mean(values, self.settings.reach)

    def model(self, components: Tensor, powers: Tensor) -> tuple[Tensor, Tensor]:
        """Slope and curvature (g, M, M): M f(V (I + D)) is about M f(V) - Re<slope, D> + 1/2 <curvature, |D|^2>.

        D is skew-Hermitian, as the slope is; the curvature is real and symmetric.
        """
        weight = self.smooth(1 / powers)
        length = components.shape[-1]
        moments = weight @ power(components).mT / length  # E[u_i |s_j|^2]
        cross = (weight * components) @ components.mH / length  # E[u_i s_i s_j^*]
        slope = cross - cross.mH
        excess = moments - moments.diagonal(dim1=-2, dim2=-1)[..., None]
        return slope, (excess + excess.mT).clamp_min(self.settings.least_curvature)

    def directions(self, components: Tensor, powers: Tensor) -> Tensor:
        """Skew-Hermitian D (g, M, M): V (I + D) is the quasi-Newton step of every pair."""
        slope, curvature = self.model(components, powers)
        turn = -slope.conj().mT / curvature
        largest = self.settings.largest_angle
        return turn * (largest / turn.abs().clamp_min(largest))


def principal_axes(snapshots: Tensor) -> Tensor:
    """Eigenvectors (g, M, M) of the covariances of snapshots (g, M, T), in columns, strongest first."""
    return eigh(snapshots @ snapshots.mH / snapshots.shape[-1])[1].flip(-1)


def separate(snapshots: Tensor, starts: Tensor, criterion: Criterion, steps: int) -> tuple[Tensor, Tensor]:
    """Unitary V (g, M, M) of lower criterion for snapshots (g, M, T), every g on its own, and their values (g,)."""
    identity = torch.eye(starts.shape[-1], dtype=starts.dtype, device=starts.device)
    least_gain, least_step = criterion.settings.least_gain, criterion.settings.least_step
    bases, components = starts, starts.mH @ snapshots
    value, powers = criterion(components)
    step = torch.ones_like(value)
    for _ in range(steps):
        turn = criterion.directions(components, powers) * step[:, None, None].to(components.dtype)
        trial = polar(bases @ (identity + turn))
        trial_components = trial.mH @ snapshots
        trial_value, trial_powers = criterion(trial_components)
        better = trial_value < value
        gain = torch.where(better, value - trial_value, 0.0)
        pick = better[:, None, None]
        bases = torch.where(pick, trial, bases)
        components, powers = torch.where(pick, trial_components, components), torch.where(pick, trial_powers, powers)
        value = torch.where(better, trial_value, value)
        step = torch.where(better, (1.5 * step).clamp_max(1), 0.4 * step)
        if bool((gain < least_gain).all()) and bool((better | (step < least_step)).all()):
            break
    return bases, value


def separate_jointly(
    snapshots: Tensor, tones: Tensor, key: Tensor, criterion: Criterion, steps: int, apart: int | None = None
) -> tuple[Tensor, float]:
    """One real orthogonal key K (M, M) of lower mean criterion where V_g = K^T E_g for known unitary E, and its value.

    snapshots: (g, M, T) complex. tones: E (g, M, M) complex128. apart: see `Criterion`. Every g asks for a step
    E D E^H of K^T; the key follows the real part of their mean.
    """
    identity = torch.eye(len(key), dtype=key.dtype, device=key.device)

    def at(candidate: Tensor) -> tuple[Tensor, float, Tensor]:
        components = (candidate.mT.to(tones.dtype) @ tones).to(snapshots.dtype).mH @ snapshots
        values, powers = criterion(components, apart)
        return components, float(values.mean()), powers

    def direction(components: Tensor, powers: Tensor) -> Tensor:
        wish = criterion.directions(components, powers).to(tones.dtype)
        return (tones @ wish @ tones.mH).mean(0).real

    def moved(held: Tensor, turn: Tensor, step: float) -> Tensor:
        return polar(held.mT @ (identity + step * (turn - turn.mT) / 2)).mT

    settings = criterion.settings
    return descended(key, at, direction, moved, steps, settings.largest_step, settings)
