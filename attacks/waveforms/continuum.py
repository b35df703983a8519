"""Which schemes the attacks apply to that look for any orthogonal matrix."""

from __future__ import annotations

from wrongkey.attacks.base import Setting
from wrongkey.keys.schemes import Group


def no_continuum(setting: Setting) -> str | None:
    """Why a search over all orthogonal matrices does not apply to a scheme; None where its keys form a continuum."""
    scheme = setting.scheme
    if scheme.group is Group.PERMUTATIONS:
        return f"Keys of {scheme.name} only move samples, and sample-order finds such keys faster."
    if scheme.group is Group.SIGNS:
        return f"Keys of {scheme.name} only turn signs, and sign-chain finds such keys faster."
    if scheme.monomial or scheme.finite(setting.size):
        return f"This attack searches all orthogonal matrices, and {scheme.name} has finitely many keys."
    return None
