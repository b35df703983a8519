"""How much of a key to believe where nobody knows the truth: what it does to recordings, in numbers and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix, Recovery
from wrongkey.attacks.waveforms.block_structure import BlockStructure, StructureSettings, mean_covariances
from wrongkey.attacks.waveforms.lag_covariances import autocorrelations, block_rows, stationarity
from wrongkey.attacks.waveforms.predictability import prediction

Waveform = NDArray[np.floating]

SETTINGS = StructureSettings()
WHITE_NOISE = 1e-3  # relative to the power: coded speech has empty bands, whose predictability means nothing
SHARED = 0.01  # of the energy: by how much windows may differ in the samples that they share


@dataclass(frozen=True)
class Overlap:
    """The samples that neighbouring windows share.

    Attributes
    ----------
    before, after : float
        By how much windows differ in them, relative to their energy, before and after decryption.
    kernel, stride : int
        Samples of a window, and from one to the next.
    """

    before: float
    after: float
    kernel: int
    stride: int

    @property
    def agrees(self) -> bool:
        """Whether the decrypted windows hold the same speech."""
        return self.after <= SHARED


@dataclass(frozen=True)
class Judgement:
    """What a key does to recordings.

    Attributes
    ----------
    recovery : Recovery
        What the attack returned.
    structure : BlockStructure
        Stationarity, 0 to 1, of the recordings before and after decryption.
    predictable : tuple of float
        Share of the energy, 0 to 1, that 8 samples of the past predict, before and after decryption.
    upright : bool
        Whether neighbouring samples of the decrypted audio correlate positively, as those of speech do.
    whitened : bool
        Whether speech was whitened before encryption, so that blocks show less in its covariances, and it need not be
        upright.
    overlap : Overlap or None
        Of windows, the samples that they share.
    contradicted : bool
        Whether the ciphertext's statistics have a period that such blocks cannot give it.
    """

    recovery: Recovery
    structure: BlockStructure
    predictable: tuple[float, float]
    upright: bool
    whitened: bool = False
    overlap: Overlap | None = None
    contradicted: bool = False

    @property
    def believed(self) -> bool:
        """Whether the attack claims success and nothing speaks against it."""
        if not self.recovery.success_claimed or self.contradicted:
            return False
        if self.overlap is not None and not self.overlap.agrees:
            return False
        if not (self.upright or self.whitened):
            return False
        return self.structure.taken_away or (self.overlap is not None and not self.structure.seen)

    def sentences(self, looks_like: int | None = None) -> tuple[str, ...]:
        """What speaks for the key and against it; looks_like: another block size that the ciphertext shows."""
        structure, recovery = self.structure, self.recovery
        before, after = map(_percent, self.predictable)
        said = [] if self.overlap is None else [_on_overlap(self.overlap)]
        if self.whitened and not structure.seen:
            said.append(
                "Speech was whitened before encryption, so that the ciphertext shows no blocks of "
                f"{structure.block_size} samples, and nothing tells a right key from a wrong one."
            )
        elif structure.block_size > 1:
            said.append(_on_blocks(structure, self.believed))
        said.append(
            f"From the {SETTINGS.structure_order} samples before, {after} of the energy of the decrypted audio can be "
            f"predicted, and {before} of the ciphertext's."
        )
        if "agreement" in recovery.measured and "linked bands" in recovery.measured:
            said.append(
                f"Estimates of the key from segments of several lengths decrypt audio that correlates by "
                f"{recovery.measured['agreement']:.4f}, and {_percent(recovery.measured['linked bands'])} of the "
                "frequency bands join into one spectrum."
            )
        if "agreement of halves" in recovery.measured:
            said.append(
                "The keys of the two halves of the ciphertext, each attacked by itself, decrypt audio that correlates "
                f"by {recovery.measured['agreement of halves']:.4f} and more with that of the whole."
            )
        if recovery.note:
            said.append(recovery.note)
        if self.whitened:
            return tuple(said)
        if structure.taken_away and not self.upright:
            said.append("It is strongest at high frequencies, as speech whose spectrum is turned around.")
        elif not self.believed and looks_like is not None:
            said.append(
                f"By the period of their statistics the blocks look like M = {looks_like}; try --block {looks_like}."
            )
        elif not self.believed and structure.taken_away and not recovery.note:
            said.append("The parts of the key are too uncertain to claim it: give more recordings under the same key.")
        return tuple(said)


def judge(
    recovery: Recovery,
    ciphertext: Sequence[Waveform],
    plain: Sequence[Waveform],
    block_size: int,
    rate: float,
    *,
    whitened: bool = False,
    overlap: Overlap | None = None,
) -> Judgement:
    """What a key does to recordings `(samples,)`, whose structure repeats every `block_size` samples under it.

    ciphertext, plain: before and after decryption, each from the beginning of a block on. rate: samples per second.
    whitened, overlap: as in `Judgement`. Raises BadInput where no recording is as long as a segment, or all are silent.
    """
    of_both = [_covariances(waves, block_size, rate) for waves in (ciphertext, plain)]
    before, after = (float(stationarity(both, SETTINGS.structure_order).min()) for both in of_both)
    lags = [autocorrelations(both.mean(0), SETTINGS.structure_order) for both in of_both]
    return Judgement(
        recovery,
        BlockStructure(before, after, block_size, SETTINGS),
        (_predictable(lags[0]), _predictable(lags[1])),
        upright=bool(lags[1][1] > 0),
        whitened=whitened,
        overlap=overlap,
    )


def overlap_of(ciphertext: Sequence[Waveform], plain: Sequence[Waveform], stride: int) -> Overlap:
    """How windows `(t, k)`, one every `stride` samples, differ where they overlap, before and after decryption."""
    kernel = plain[0].shape[1]
    return Overlap(_difference(ciphertext, stride), _difference(plain, stride), kernel, stride)


def _difference(windows: Sequence[Waveform], stride: int) -> float:
    pairs = [(rows[:-1, stride:], rows[1:, :-stride]) for rows in windows]
    energy = sum(float(np.sum(one**2) + np.sum(other**2)) for one, other in pairs)
    return sum(float(np.sum((one - other) ** 2)) for one, other in pairs) / max(energy, 1e-300)


def _covariances(waveforms: Sequence[Waveform], size: int, rate: float) -> Matrix:
    rows = block_rows([torch.from_numpy(np.asarray(one, float)) for one in waveforms], size)
    return mean_covariances(rows, rate, SETTINGS)


def _predictable(r: Matrix) -> float:
    return 1 - float(prediction(r[None], WHITE_NOISE)[1][0] / r[0])


def _on_overlap(overlap: Overlap) -> str:
    return (
        f"Windows of {overlap.kernel} samples, one every {overlap.stride}, differ by {_percent(overlap.after)} of the "
        f"energy in the samples that they share; the ciphertext's do by {_percent(overlap.before)}."
    )


def _on_blocks(structure: BlockStructure, believed: bool) -> str:
    size = structure.block_size
    before, after = _percent(structure.before), _percent(structure.after)
    if not structure.seen:
        if believed:
            return f"Cut into blocks of {size} samples both ciphertext and decrypted audio are {before} stationary."
        return (
            f"Cut into blocks of {size} samples the audio is {before} stationary, as plain speech is: it is not "
            "encrypted, or in blocks of another size, or by a key that leaves speech almost as it is."
        )
    if structure.taken_away:
        return (
            f"The statistics of the ciphertext depend on the place in a block of {size} samples ({before} stationary "
            f"at the worst place); those of the {'decrypted audio' if believed else 'best guess'} do not ({after})"
            f"{', as in plain speech' if believed else ', which a wrong key can achieve too'}."
        )
    return (
        f"The best key leaves the audio {after} stationary at the worst place of a block ({before} before, plain "
        "speech nearly 100 %): the scheme or the block size is another, the key changes, or there is too little speech."
    )


def _percent(share: float) -> str:
    """A share in percent, with a decimal where it is nearly all or nothing."""
    percent = 100 * share
    return f"{percent:.1f} %" if 99 < percent < 100 or 0 < percent < 1 else f"{percent:.0f} %"
