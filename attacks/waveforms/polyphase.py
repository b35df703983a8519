"""The attack that `block_spectra` makes possible: a ROM key from ciphertext alone, in seconds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wrongkey.attacks.base import Case, Evidence, Recovery, Setting, Threat
from wrongkey.attacks.waveforms.block_spectra import polyphase_estimates
from wrongkey.keys.cutting import to_blocks

AMOUNTS = (2.0, 5.0, 10.0, 25.0, 75.0, float("inf"))  # seconds
ESTIMATES, OF_SMALL, SMALL = 2, 4, 5  # from segments of different lengths; more where N < 5: two may agree by chance
LINKED = 0.8  # share of the bands that the path of tones must have gone through
AGREED = 0.998  # correlation of what all estimates decrypt to
LARGEST = 128  # block size: of larger ones a victim does not speak long enough


class Polyphase:
    """Joint diagonalisation of block spectra, whose eigenvectors are the key's images of known tones."""

    name = "polyphase"
    family = 5
    threat = Threat("Has nothing but encrypted waveforms of one speaker, all under one key.", frozenset({"ciphertext"}))

    def inapplicable(self, setting: Setting) -> str | None:
        """Waveforms only; Shuffling and Flipping have cheaper attacks."""
        if setting.blocks != "samples":
            return f"Its tones are those of a waveform; {setting.blocks} of a spectrogram have none."
        if setting.scheme.monomial:
            return f"{setting.scheme.name.capitalize()} has few keys, which sample-order and sign-chain find faster."
        if not 2 <= setting.size <= LARGEST:
            return f"It takes blocks of 2 to {LARGEST} samples, not of {setting.size}."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """2 to 75 seconds, and all ciphertext."""
        return [Case(seconds=seconds) for seconds in AMOUNTS]

    def run(self, evidence: Evidence) -> Recovery:
        """The estimate of least criterion; believed where its path met nearly all tones and the others agree.

        measured: `linked bands`, the share of the tones that were met, and the least `agreement` with another estimate.
        Raises BadInput where no utterance is as long as one segment (12 blocks, at least 32 ms).
        """
        setting = evidence.setting
        blocks = [to_blocks(query.double(), setting.block_size, "samples") for query in evidence.ciphertext]
        count = OF_SMALL if setting.size < SMALL else ESTIMATES
        best, *others = polyphase_estimates(blocks, seed=evidence.seed, count=count, rate=setting.rate)
        agreement = min(agreement_of(best.key, other.key, blocks) for other in others)
        return Recovery(
            best.key.numpy(),
            success_claimed=best.linked >= LINKED and agreement >= AGREED,
            objective=best.criterion,
            measured={"linked bands": best.linked, "agreement": agreement},
        )


def agreement_of(one: Tensor, other: Tensor, blocks: Sequence[Tensor]) -> float:
    """Correlation, 0 to 1 whatever the sign, of the speech that two keys (M, M) decrypt blocks (t, M) to."""
    covariance = torch.stack([rows.mT @ rows for rows in blocks]).sum(0)
    shared = torch.trace(one @ covariance @ other.mT)
    return float(shared.abs() / torch.trace(covariance))
