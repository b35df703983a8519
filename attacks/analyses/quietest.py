"""The quietest fifth of a recording: pauses, room and microphone, and what little voice there is in the weakest sounds.

A control for everything that links speakers: what this fifth alone tells of who speaks, the recording tells and not the
voice, or not much of it. An adversary can take it from ciphertext, since no orthogonal key hides energies.
"""

from __future__ import annotations

from torch import Tensor

from wrongkey.keys.blocks import Blocks

FRAME = 0.02  # seconds
SHARE = 0.2  # of the frames
FEWEST = 10  # frames that are taken, 0.2 s: of less nothing can be said
PART = "quietest fifth"


def quietest_fifth(waveform: Tensor, rate: int) -> Tensor:
    """The quietest SHARE of a waveform's frames `(samples,)`, joined in their order: `(taken · FRAME · rate,)`.

    Frames of digital silence, in which nothing was recorded, are left out first, and what follows the last whole frame.
    Empty where fewer than FEWEST frames would be taken.
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


def holds_blocks(query: Tensor, block_size: int, blocks: Blocks) -> bool:
    """Whether a query, `(samples,)` or `(bins, frames)`, has two blocks along time, so that something can vary."""
    along_time = 1 if blocks == "frames" else block_size
    enough_bins = query.ndim < 2 or query.shape[0] >= block_size or Blocks.named(blocks).dims == 1
    return query.shape[-1] >= 2 * along_time and enough_bins
