"""The attack `polyphase`: a ROM key from ciphertext alone, in seconds, from its block spectra."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Recovery, Setting
from wrongkey.attacks.waveforms.agreement import agreement_of
from wrongkey.attacks.waveforms.blind import ALONE
from wrongkey.attacks.waveforms.block_diagonal import independent_blocks
from wrongkey.attacks.waveforms.block_spectra import PolyphaseEstimate, polyphase_estimates
from wrongkey.attacks.waveforms.block_structure import block_structure
from wrongkey.attacks.waveforms.continuum import no_continuum
from wrongkey.attacks.waveforms.mirror import NOT_TOLD
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS, PolyphaseSettings
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks

SECONDS = (2.0, 5.0, 10.0, 25.0, 75.0, float("inf"))  # of ciphertext


class Polyphase(AttackDefaults):
    """Joint diagonalisation of block spectra, whose eigenvectors are the key's images of known tones."""

    name = "polyphase"
    family = 5
    threat = ALONE

    def __init__(self, settings: PolyphaseSettings = DEFAULTS) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Only waveforms, and schemes whose keys form a continuum."""
        if setting.blocks is not Blocks.SAMPLES:
            return f"This attack uses the tones of a waveform; {setting.blocks} of a spectrogram have none."
        if not 2 <= setting.size <= self.settings.largest:
            return f"This attack takes blocks of 2 to {self.settings.largest} samples, not of {setting.size}."
        return no_continuum(setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """2 to 75 seconds, and all ciphertext."""
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """The estimate of least criterion.

        Success is claimed where its path met nearly all tones that hold sound, the others agree with it, voices tell it
        from the key of the mirrored spectrum, and it takes the blocks out of the ciphertext. Where bands are empty, one
        other is enough, and the longer path of the two counts. measured: `linked bands`, the share of the tones that
        were met, `filled bands`, the share that holds sound, the least `agreement` with another estimate (the largest
        where bands are empty), for even N the `harmonics` that tell it from the mirrored one, in standard errors, and
        the `stationarity` of the ciphertext and after decryption.
        Raises BadInput where no utterance is as long as one segment (12 blocks, at least 32 ms).
        """
        setting, settings = evidence.setting, self.settings
        blocks = [to_blocks(query.double(), setting.block_size, Blocks.SAMPLES) for query in evidence.ciphertext]
        count = settings.estimates_of_small if setting.size < settings.small else settings.estimates
        turns = independent_blocks(setting.scheme, setting.size)
        rows = [sequence.numpy() for sequence in blocks]

        def agreements(estimates: Sequence[PolyphaseEstimate]) -> list[float]:
            best, *others = (estimate.key.numpy() for estimate in estimates)
            return [agreement_of(best, other, rows) for other in others]

        estimates = polyphase_estimates(
            blocks, seed=evidence.seed, count=count, rate=setting.rate, settings=settings, turns=turns,
            enough=lambda best_first: max(agreements(best_first)) >= settings.agreed,
        )  # fmt: skip
        best, agreed = estimates[0], agreements(estimates)
        key, linked, agreement = best.key.numpy(), best.linked, min(agreed)
        if best.filled < settings.linked and setting.size >= settings.small:  # one is enough, and so is its path
            agreement = max(agreed)
            alike = [
                one.linked for one, with_best in zip(estimates[1:], agreed, strict=True) if with_best >= settings.agreed
            ]
            linked = max([linked, *alike])
        structure = block_structure(rows, key, setting.rate, settings)
        consistent = linked >= enough_linked(turns, best.filled, settings) and agreement >= settings.agreed
        told = best.harmonics >= settings.harmonics
        return Recovery(
            key,
            success_claimed=consistent and told and structure.taken_away,
            objective=best.criterion,
            measured={
                "linked bands": linked,
                "filled bands": best.filled,
                "agreement": agreement,
                "stationarity": structure.after,
                "stationarity of the ciphertext": structure.before,
            }
            | ({"harmonics": best.harmonics} if isfinite(best.harmonics) else {}),
            note="" if told else NOT_TOLD,
        )


def enough_linked(turns: int, filled: float, settings: PolyphaseSettings) -> float:
    """The share of all bands that a path of tones must have met, for so many keys in turn."""
    share = settings.linked
    if turns > 1:  # by one band in `turns` the map is determined, and all others are a test of it
        share = min(share, 1 / turns + settings.surplus * (1 - 1 / turns))
    return share * max(filled, settings.least_filled)
