"""The quietest fifth of a recording: pauses, room and microphone, and what little voice there is in the weakest sounds.

A control for everything that links speakers: what this fifth alone tells of who speaks comes from the recording, and
little or none of it from the voice. An adversary can find it in ciphertext, since no orthogonal key hides energies.
"""

from __future__ import annotations

from torch import Tensor

from wrongkey.keys.key_cut import KeyCut

FRAME = 0.02  # seconds
SHARE = 0.2  # of the frames
FEWEST = 10  # frames that are taken, 0.2 s: less says nothing
PART = "quietest fifth"


def quietest_fifth(waveform: Tensor, rate: int) -> Tensor:
    """The quietest SHARE of a waveform's frames `(samples,)`, joined in their order: `(taken · FRAME · rate,)`.

    Frames of digital silence, in which nothing was recorded, are left out first, as is the rest after the last whole
    frame. Empty where fewer than FEWEST frames would be taken.
    """
    width = round(FRAME * rate)
    frames = waveform[: len(waveform) // width * width].reshape(-1, width)
    energies = frames.square().sum(1)
    frames, energies = frames[energies > 0], energies[energies > 0]
    taken = int(SHARE * len(frames))
    if taken < FEWEST:
        return waveform[:0]
    quiet = energies.argsort(stable=True)[:taken].sort().values
    return frames[quiet].flatten()


def holds_blocks(query: Tensor, cut: KeyCut) -> bool:
    """Whether a query, `(samples,)` or `(bins, frames)`, has two blocks along time, so that something can vary."""
    enough_bins = cut.dims == 1 or query.shape[0] >= cut.block_size
    return query.shape[-1] >= 2 * cut.steps and enough_bins
