"""The magnitudes that speech is reconstructed from: plain, encrypted, decrypted with an incorrect key, and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wrongkey.attacks.analyses.key_measures import geodesic_steps
from wrongkey.attacks.analyses.near_keys import transpositions
from wrongkey.attacks.analyses.phase.gabor import Lattice
from wrongkey.attacks.analyses.phase.spectrograms import Scale, on_scale, read_as_magnitude
from wrongkey.keys import IncorrectKeys, correct_key, decrypt_query, encrypt_query
from wrongkey.keys.cutting import cut, from_blocks, to_blocks
from wrongkey.keys.key_cut import KeyCut

NEAR_STEP = 0.2  # relative error of a near key
EXACT = 1e-9  # relative deviation up to which the correct key counts as having given the plain spectrogram

Deviations = list[tuple[dict[str, Any], float]]


@dataclass(frozen=True, eq=False)
class MagnitudeCase:
    """A magnitude `(bins, frames)` to reconstruct speech from, and where it comes from.

    `scheme` is empty and `block_size` 0 for what is not encrypted.
    """

    scheme: str
    block_size: int
    condition: str
    magnitude: Tensor

    @property
    def labels(self) -> dict[str, Any]:
        """The columns of a row that say which case it is of."""
        return {"scheme": self.scheme, "block_size": self.block_size, "condition": self.condition}


def encrypted_cases(
    magnitude: Tensor,
    schemes: Sequence[str],
    cuts: Sequence[KeyCut],
    seed: int,
    scale: Scale,
    lattice: Lattice,
) -> tuple[list[MagnitudeCase], Deviations]:
    """The plain magnitude, block energies, ciphertexts and wrong decryptions; and the deviations of correct keys.

    A scheme with a single key has no incorrect one, and no such case. The correct key has a case only where its
    decryption deviates by more than EXACT.
    """
    values = on_scale(magnitude, scale)
    cases = [MagnitudeCase("", 0, "plain", read_as_magnitude(values, scale, lattice))]
    if scale == "magnitude":
        cases += [MagnitudeCase("", each.block_size, "energies", block_energies(magnitude, each)) for each in cuts]
    deviations: Deviations = []
    for scheme in schemes:
        for key_cut in cuts:
            views, deviation = _views(values, scheme, key_cut, seed)
            labels = {"scheme": scheme, "block_size": key_cut.block_size, "condition": "correct"}
            deviations.append((labels, deviation))
            cases += [
                MagnitudeCase(scheme, key_cut.block_size, condition, read_as_magnitude(view, scale, lattice))
                for condition, view in views.items()
            ]
    return cases, deviations


def _views(values: Tensor, scheme: str, key_cut: KeyCut, seed: int) -> tuple[dict[str, Tensor], float]:
    """What becomes of a spectrogram under a key, by condition, and how far correct decryption is from it."""
    bins, frames = values.shape
    blocks, extent = key_cut.blocks, (bins, frames)
    key = correct_key(scheme, key_cut.size, seed)
    incorrect = IncorrectKeys(scheme, key_cut.size, seed, key)
    encrypted = encrypt_query(values, key, blocks=blocks)
    views = {"encrypted": cut(encrypted, 2, extent)}
    if incorrect.total is None or incorrect.total > 0:
        views["incorrect"] = decrypt_query(encrypted, incorrect.batch(0, 1)[0], blocks=blocks, extent=extent)
    decrypted = decrypt_query(encrypted, key, blocks=blocks, extent=extent)
    deviation = float((decrypted - values).abs().max() / values.abs().max().clamp(min=1e-30))
    if deviation > EXACT:
        views["correct"] = decrypted
    return views, deviation


def decryptions(
    magnitude: Tensor, scheme: str, key_cut: KeyCut, seed: int, scale: Scale, lattice: Lattice
) -> dict[str, Tensor]:
    """A spectrogram `(bins, frames)` for eyes (Fig. 7): plain, encrypted, and decrypted with keys of several kinds.

    Correct, a geodesic step of `NEAR_STEP` from it, two of its elements swapped, and an incorrect one where there is
    any.
    """
    values = on_scale(magnitude, scale)
    blocks, extent = key_cut.blocks, (values.shape[0], values.shape[1])
    key = correct_key(scheme, key_cut.size, seed)
    incorrect = IncorrectKeys(scheme, key_cut.size, seed, key)
    keys = {"correct key": key}
    if key_cut.size > 1:
        step = geodesic_steps(key_cut.size, [NEAR_STEP], 1, seed)[0, 0]
        keys |= {f"geodesic step of {NEAR_STEP:g}": step @ key}
        keys |= {"one transposition": transpositions(key_cut.size, 1, seed)[0] @ key}
    if incorrect.total is None or incorrect.total > 0:
        keys["incorrect key"] = incorrect.batch(0, 1)[0]
    encrypted = encrypt_query(values, key, blocks=blocks)
    views = {"plain": values, "encrypted": cut(encrypted, 2, extent)}
    views |= {name: decrypt_query(encrypted, each, blocks=blocks, extent=extent) for name, each in keys.items()}
    return {name: read_as_magnitude(view, scale, lattice) for name, view in views.items()}


def block_energies(magnitude: Tensor, key_cut: KeyCut) -> Tensor:
    """A magnitude `(bins, frames)` whose blocks hold their root mean square in every element."""
    cut_blocks = to_blocks(magnitude, key_cut.block_size, key_cut.blocks)
    level = cut_blocks.square().mean(-1, keepdim=True).sqrt().expand_as(cut_blocks)
    return from_blocks(level, key_cut.block_size, key_cut.blocks, tuple(magnitude.shape))
