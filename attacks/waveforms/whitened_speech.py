"""Which schemes whiten speech before encryption, so that blocks show little in covariances."""

from __future__ import annotations

from wrongkey.keys.spec import parse

WHITENING = ("flat", "lpc", "phase")  # options of a scheme's name


def whitened(scheme: str) -> bool:
    """Whether users whiten speech before they encrypt it under a scheme of this name."""
    return any(option in WHITENING for option, _ in parse(scheme).options)
