"""Whether a key takes the blocks out of a ciphertext: how a key for the right blocks is told from one for wrong ones.

**What an encrypted block leaves.** Speech is stationary for some tens of milliseconds: its covariance at lag k does not
depend on where in a block a sample stands, so block covariances are sections of one Toeplitz sequence. Encrypted speech
`y_t = x_t K` has the covariances `K^T A_l K`, which are not Toeplitz: it is cyclostationary, with the block as its
period (Gardner, Napolitano and Paura, 2006). The key takes this away again.

**Why a wrong block size looks like success.** Cut a signal of period P into blocks of M samples. If M and P have no
common divisor, a place in the block meets every phase of the period equally often, so the mean covariances are
Toeplitz, whatever the key was. The ciphertext then looks like speech that was never encrypted, and a key that explains
it is the identity (for even M also the one that turns every second sign). Every sign of a good fit is there, and the
"decrypted" speech is the ciphertext. Plain speech and music, cut into any blocks, are the case P = 1.

So a key is believed only if the ciphertext has the structure of blocks of M samples, and if what the key decrypts has
(almost) none. The stationarity of `wrongkey.attacks.waveforms.lag_covariances` measures both, without the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.lag_covariances import block_rows, halves, lags_for, segment_covariances, stationarity


@dataclass(frozen=True)
class StructureSettings:
    """How the structure of blocks is measured, and when a key counts as having taken it away.

    Attributes
    ----------
    known : bool
        Whether another attack, of which this one is a part, knows of the blocks and judges the whole key. Then nothing
        need be taken away: keys of signs or of an order may be the identity.
    structure_segment : float
        Length in seconds of the segments whose covariances are averaged; they overlap by half.
    structure_segments : int
        The most segments that are used, about; longer ciphertext has larger hops.
    structure_gate : float
        Segments that are this many decibels quieter than the loud ones (98th percentile) count as pauses.
    structure_order : int
        Stationarity is judged at lags of 1 to this many samples.
    structure_run : int
        The two halves on which it is judged take turns of this many segments.
    seen : float
        Blocks are seen in a ciphertext whose stationarity, 0 to 1, is at most this. Where there are none, or others
        without a common divisor, it is about 1. Of ROM keys at M = 2 about one in 15 is so near the identity, or to
        turning every second sign, that it exceeds this; at M = 3 the largest of 67 was 0.94.
    left : float
        Of what a ciphertext lacks of stationarity 1, a key may leave at most this share. Right keys leave less than
        0.02; keys for wrong blocks that share a divisor with the right ones seldom less than 0.1.
    """

    known: bool = False
    structure_segment: float = 0.032
    structure_segments: int = 1000
    structure_gate: float = 30.0
    structure_order: int = 8
    structure_run: int = 8
    seen: float = 0.98
    left: float = 0.05


@dataclass(frozen=True)
class BlockStructure:
    """The stationarity, 0 to 1, of a ciphertext and of what a key decrypts, at the worst place of a block.

    Attributes
    ----------
    before, after : float
        Of the ciphertext, and after decryption.
    block_size : int
        M.
    settings : StructureSettings
        What both are compared with.
    """

    before: float
    after: float
    block_size: int
    settings: StructureSettings

    @property
    def seen(self) -> bool:
        """Whether the ciphertext has the structure of such blocks."""
        return self.before <= self.settings.seen

    @property
    def taken_away(self) -> bool:
        """Whether it has that structure, and the key takes it away; or the blocks are `known`."""
        return self.settings.known or (self.seen and 1 - self.after <= self.settings.left * (1 - self.before))


def block_structure(
    sequences: Sequence[Matrix], key: Matrix, rate: float, settings: StructureSettings
) -> BlockStructure:
    """The structure of sequences of encrypted blocks `(t, M)`, and what a key `(M, M)` leaves of it.

    rate: samples per second. Raises BadInput where no sequence is as long as one segment, or all are silent.
    """
    covariances = mean_covariances(sequences, rate, settings)
    order = settings.structure_order
    before, after = (stationarity(both, order).min() for both in (covariances, key @ covariances @ key.T))
    return BlockStructure(float(before), float(after), len(key), settings)


def mean_covariances(sequences: Sequence[Matrix], rate: float, settings: StructureSettings) -> Matrix:
    """Lag covariances `(2, L + 1, M, M)` of the two halves of sequences of blocks `(t, M)`, cut into segments."""
    samples = sum(rows.size for rows in sequences)
    segment = settings.structure_segment * rate
    hop = max(segment / 2, samples / settings.structure_segments)
    lags = lags_for(settings.structure_order, sequences[0].shape[1])
    return halves(segment_covariances(sequences, lags, segment, hop, settings.structure_gate), settings.structure_run)


def stationarity_by_size(
    waveforms: Sequence[Tensor], sizes: Sequence[int], rate: float, settings: StructureSettings
) -> Matrix:
    """Stationarity, 0 to 1, at the worst place of waveforms `(samples,)` cut into blocks of each size: `(sizes,)`.

    Of a ciphertext it is low at the block size, at its multiples, and less so at sizes that share a divisor with it.
    """
    order = settings.structure_order
    of_sizes = (mean_covariances(block_rows(waveforms, size), rate, settings) for size in sizes)
    return np.array([stationarity(both, order).min() for both in of_sizes])
