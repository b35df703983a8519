"""Descent of a criterion over keys by a step that is shortened until it lowers it, and lengthened when it did."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from wrongkey.attacks.waveforms.polyphase_settings import PolyphaseSettings

Place = tuple[Tensor, float, Tensor]  # components of the snapshots under a key, the criterion's value, and their powers


def descended(
    key: Tensor,
    at: Callable[[Tensor], Place],
    direction: Callable[[Tensor, Tensor], Tensor],
    moved: Callable[[Tensor, Tensor, float], Tensor],
    most: int,
    largest: float,
    settings: PolyphaseSettings,
) -> tuple[Tensor, float]:
    """A key (N, N) of lower value, and its value.

    at: what a key gives. direction: from components and their powers. moved: a key, moved along a direction by a step.
    most: steps. largest: of the steps.
    """
    components, value, power = at(key)
    step = 1.0
    for _ in range(most):
        along = direction(components, power)
        while True:
            trial = moved(key, along, step)
            trial_components, trial_value, trial_power = at(trial)
            if trial_value < value or step < settings.least_step:
                break
            step *= 0.4
        gain = value - trial_value
        if gain <= 0:
            break
        key, value, components, power = trial, trial_value, trial_components, trial_power
        step = min(1.6 * step, largest)
        if gain < settings.least_gain:
            break
    return key, value
