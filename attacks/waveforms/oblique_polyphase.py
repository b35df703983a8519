"""The attack `oblique-polyphase`: an invertible key from ciphertext alone, from its block spectra.

Keys in turn are one key with independent blocks along its diagonal, and nothing else (`block_diagonal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, isinf, sqrt

import numpy as np
import torch

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Recovery, Setting
from wrongkey.attacks.waveforms.agreement import agreement_of
from wrongkey.attacks.waveforms.blind import ALONE
from wrongkey.attacks.waveforms.block_diagonal import diagonal_blocks, independent_block, independent_blocks
from wrongkey.attacks.waveforms.block_structure import block_structure
from wrongkey.attacks.waveforms.mirror import NOT_TOLD
from wrongkey.attacks.waveforms.oblique_spectra import DEFAULTS, ObliqueSettings, oblique_estimates
from wrongkey.evaluation.windows import overlapping
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks
from wrongkey.keys.invertible import CONDITION
from wrongkey.keys.schemes import Group, Scheme
from wrongkey.keys.spec import parse

NOT_DRAWN = "The condition number of this key is larger than that of any key of the scheme."
SECONDS = (5.0, 10.0, 25.0, 75.0)  # of ciphertext


class ObliquePolyphase(AttackDefaults):
    """Joint diagonalisation of whitened block spectra, and one real matrix that explains all their directions."""

    name = "oblique-polyphase"
    family = 5
    any_key = True
    threat = ALONE

    def __init__(self, settings: ObliqueSettings = DEFAULTS) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Only blocks of waveforms, and schemes whose keys are invertible and no more."""
        if setting.blocks is not Blocks.SAMPLES:
            return f"This attack uses the tones of a waveform; {setting.blocks} of a spectrogram have none."
        if setting.scheme.group is not Group.INVERTIBLE:
            return f"Keys of {setting.scheme.name} are orthogonal, and polyphase finds such keys better."
        if overlapping(setting.model):
            return "This attack is for blocks, and windows of this model overlap."
        if not 2 <= setting.size <= self.settings.largest:
            return f"This attack takes blocks of 2 to {self.settings.largest} samples, not of {setting.size}."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """5 to 75 seconds."""
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """The estimate of least criterion; its sign is open, and its energy is that of an orthogonal key.

        Success is claimed where an estimate from segments of another length decrypts the same, voices tell the key from
        that of the mirrored spectrum, the scheme may have drawn it, and it takes the blocks out of the ciphertext.
        Where bands are empty the key may filter the sound, which leaves it stationary, and is then badly conditioned.
        measured: `agreement` of the two, `stationarity` of the ciphertext and after decryption, the `condition` number
        of the key, or the largest of keys in turn, and for even M the `harmonics` that tell it from the mirrored one,
        in standard errors.
        Raises BadInput where no utterance is as long as one segment, or the ciphertext does not span the blocks.
        """
        setting, settings = evidence.setting, self.settings
        blocks = [to_blocks(query.double(), setting.block_size, Blocks.SAMPLES) for query in evidence.ciphertext]
        turns = independent_blocks(setting.scheme, setting.size)
        best, *others = oblique_estimates(blocks, rate=setting.rate, settings=settings, turns=turns)
        key, rows = best.key.numpy(), [each.numpy() for each in blocks]
        decrypting, *again = (np.linalg.inv(one.key.numpy()).T for one in (best, *others))
        agreement = min(agreement_of(decrypting, other, rows) for other in again)
        structure = block_structure(rows, decrypting, setting.rate, settings)
        told = best.harmonics >= settings.harmonics
        block = independent_block(setting.scheme, setting.size)
        condition = float(torch.linalg.cond(diagonal_blocks(best.key, turns)).max())
        drawn = condition <= settings.beyond * largest_condition(block.scheme, block.size)
        return Recovery(
            key,
            success_claimed=agreement >= settings.agreed and told and drawn and structure.taken_away,
            objective=best.criterion,
            measured={
                "agreement": agreement,
                "stationarity": structure.after,
                "stationarity of the ciphertext": structure.before,
                "condition": condition,
            }
            | ({"harmonics": best.harmonics} if isfinite(best.harmonics) else {}),
            note=NOT_DRAWN if not drawn else "" if told else NOT_TOLD,
        )


def largest_condition(scheme: Scheme, size: int) -> float:
    """The largest condition number of the keys (N, N) of a scheme; infinite where its name does not say.

    Keys in turn have one energy each, but singular values of their own, so that together they exceed it.
    """
    structure = scheme.structure
    if structure is not None and structure.base is not None:
        part = structure.parts(size)[0]
        largest = largest_condition(part.scheme, part.size)
        if not structure.alike or isinf(largest):
            return largest
        others = part.size - 1  # of energy M: (1, ..., 1, c) has the largest value, (1, c, ..., c) the least
        return largest * sqrt((1 + others * largest**2) / (largest**2 + others))
    spec = parse(scheme.name)
    return float(spec.value("condition") or CONDITION) if spec.base == "invertible" else inf
