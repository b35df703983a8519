"""Settings of the attack `independent-components`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndependentComponentsSettings:
    """How components are found, told apart and made stationary, and when a key is trusted.

    Attributes
    ----------
    largest : int
        The largest block size in samples: all signs of the components are compared.
    public_seconds : float
        Seconds of background speech, about, that are learned from.
    level_blocks : int
        Blocks over which the level of speech is taken out, which no key changes.
    gate : float
        Blocks whose level is less than this share of the mean energy are pauses.
    starts : int
        Random starts of FastICA; the end of the largest contrast counts.
    steps : int
        Steps of FastICA at most.
    converged : float
        It ends where no component turns by more than this in a step (1 less the cosine).
    gaussian : float
        Mean of log cosh of a standard normal variable, from which contrasts are measured.
    clipped : float
        Standard deviations at which cubes of samples are clipped.
    orders : int
        Random starts of the search for the order of the components.
    refined : int
        Signs of the components that are compared by how stationary the moments are, the likeliest first.
    descended : int
        The best of these, from which the moments are made stationary.
    descent_steps : int
        Steps of that descent.
    agreed : float
        No key was found where what the keys of two halves decrypt correlates by less than this.
    left : float
        No key was found where the best one leaves more than this share of how far the ciphertext's moments are from
        stationary.
    """

    largest: int = 12
    public_seconds: float = 60.0
    level_blocks: int = 21
    gate: float = 1e-3
    starts: int = 6
    steps: int = 150
    converged: float = 1e-7
    gaussian: float = 0.374567
    clipped: float = 4.0
    orders: int = 20
    refined: int = 24
    descended: int = 4
    descent_steps: int = 150
    agreed: float = 0.9
    left: float = 0.25


DEFAULTS = IndependentComponentsSettings()
