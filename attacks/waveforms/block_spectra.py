"""Ciphertext only: keys of waveform blocks from block spectra, whose eigenvectors everybody knows but for the key.

**Spectra of blocks.** Let x_t be the blocks of M samples, h_t a taper that is constant within a block, and
X(w) = sum_t h_t x_t exp(-i w t) the block spectrum at block frequency w. With S the spectrum of the tapered waveform it
is exactly

    X(w) = sum_k S(f_k) e(f_k) / sqrt(M),    f_k = (w / 2 pi + k) / M,    e(f) = exp(2 pi i f n) / sqrt(M), n < M,

and for fixed w the M tones e(f_k) are an orthonormal basis, whatever the speech. Stationary speech has uncorrelated
S(f_k), so its block spectral densities are pseudo-circulant (Vaidyanathan, 1993, section 10.1): tones diagonalise them
all. Ciphertext y_t = x_t K has Y(w) = K^T X(w): its densities, of whatever sound, are diagonal in V(w) = K^T [e(f_k)].
Powers in the M bands of a voice move differently with time, so joint diagonalisation
(`wrongkey.attacks.waveforms.joint_diagonalisation`; Cardoso and Souloumiac, 1996; Pham, 2001) finds V(w) up to the
order and phases of its columns, at each w for itself, from the eigenvectors of the mean density on, without the local
minima of a search over keys.

**Order and phases.** <K^T e(f), K^T e(f')> is the Dirichlet kernel of f - f', real for tones centred in the block. K is
real, so V(-w) = conj V(w): frequencies from 0 to 1/2 are one path that runs through w from 0 to pi and back, again and
again. It begins in a column that is (all but) real, and every next column is the one nearest to what the least-squares
map of the tones found so far to their columns extrapolates. For even M, f -> 1/2 - f leaves all this as it is (K
becomes diag(1, -1, 1, ...) K), and other paths begin elsewhere: the right one finds the harmonics of voices at low
frequencies (`voicing`; power alone would not do for pre-emphasised speech). The sign of K stays open.

**One key.** The least-squares map, made orthogonal, is the key (Procrustes); at last the same criterion is minimised
over this one real orthogonal matrix for all w at once. Where the path is lost (weak bands) the bands up to there are
fitted, then more are let in, a few at a time.

What is found is near the truth but not at it: the criterion treats the few leaking neighbours of a tone as noise. Give
the keys to `wrongkey.attacks.waveforms.prediction_objective` as starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, pi

import torch
from torch import Tensor

from wrongkey.attacks.solvers.stable_linalg import polar
from wrongkey.attacks.waveforms.joint_diagonalisation import Criterion, principal_axes, separate, separate_jointly
from wrongkey.errors import BadInput

SEGMENT = 0.032  # seconds of speech that a block spectrum sees
LEAST_BLOCKS = 12  # in a segment, so that bands k and -k, the same but for the sign of w, are told apart
WINDOWS = (1.0, 1.5, 2.0, 0.8)  # lengths of the segment, times its own, for one estimate after the other
OVERLAP = 4  # segments that share a block
MOST_SEGMENTS = 12_000
GATE = 30.0  # dB below the loud segments (98th percentile) at which a segment counts as a pause
FREQUENCIES = 8  # block frequencies between 0 and pi
MARGIN = 2.0  # resolutions (2 pi / blocks of a segment) that they stay away from 0 and pi, where bands k and -k leak
FLOORS = (0.1, 0.02, 0.004)  # of the criterion, one after the other
STEPS = 20  # at each floor
STARTS = 12  # columns from which a path is tried
PITCH = (0.0025, 0.0125)  # seconds: lags at which voices repeat themselves
HEARD = 256  # segments that are listened to for voices
ALIKE = 0.2  # of the most voiced path: paths that find at least so much of a voice are told apart by their length
DAMPING = 0.1  # of the least-squares extrapolation
TAKEN = 0.5  # overlap of a column with what is extrapolated, above which it is taken
LOST = 0.7  # mean overlap over two bands below which the path is lost
LET_IN = 2  # bands at a time
DISTURBANCE = 0.3  # of the starting bases of all estimates but the first


@dataclass(frozen=True)
class BlockSpectra:
    """Spectra of tapered segments of ciphertext at a few block frequencies, each segment of mean power 1 an element.

    values: (g, M, segments) complex64. frequencies: w (g,), between 0 and pi. heard: some of the segments themselves,
    (s, blocks, M) float64, each of energy 1.
    """

    values: Tensor
    frequencies: Tensor
    heard: Tensor


@dataclass(frozen=True)
class PolyphaseEstimate:
    """A key (M, M), float64, and what is known about it without the truth.

    linked: share of the M bands that the path of tones went through; 1 for a good key. Little where M is large and the
        path wrong; below M = 10 random columns may be near enough to one another to be linked.
    criterion: of the joint diagonalisation, comparable among estimates of the same ciphertext.
    """

    key: Tensor
    linked: float
    criterion: float


def polyphase_keys(blocks: Sequence[Tensor], *, seed: int, count: int, rate: float = 16_000.0) -> Tensor:
    """Candidate keys (count, M, M), float64, best first, from sequences of encrypted blocks, each (n, M).

    The mathematics is in the docstring of this module. rate: samples per second. Raises BadInput as
    `polyphase_estimates` does.
    """
    return torch.stack([estimate.key for estimate in polyphase_estimates(blocks, seed=seed, count=count, rate=rate)])


def polyphase_estimates(
    blocks: Sequence[Tensor], *, seed: int, count: int, rate: float = 16_000.0
) -> list[PolyphaseEstimate]:
    """`count` estimates of the key, best first: of segments of several lengths, from bases disturbed by the seed.

    Raises BadInput where count or M is too small, or no sequence is as long as a segment.
    """
    size = blocks[0].shape[-1] if blocks else 0
    if count < 1 or size < 2:
        raise BadInput(
            f"The polyphase attack needs blocks of 2 samples or more and a count from 1, not {size}, {count}."
        )
    own = max(LEAST_BLOCKS, round(SEGMENT * rate / size))
    reference = block_spectra(blocks, own)
    generator = torch.Generator().manual_seed(seed)
    estimates = []
    for i in range(count):
        width = max(8, round(own * WINDOWS[i % len(WINDOWS)]))
        spectra = reference if width == own else block_spectra(blocks, width)
        estimates.append(_estimate(spectra, reference, generator if i else None, rate))
    return sorted(estimates, key=lambda estimate: estimate.criterion)


def block_spectra(blocks: Sequence[Tensor], width: int) -> BlockSpectra:
    """Spectra of segments of `width` blocks, pauses left out; raises BadInput where no sequence has so many."""
    long = [sequence.double() for sequence in blocks if len(sequence) >= width]
    if not long:
        raise BadInput(f"No utterance is as long as one segment of {width} blocks: give longer ciphertext.")
    hop = max(1, width // OVERLAP, ceil(sum(map(len, long)) / MOST_SEGMENTS))
    taper = torch.sin(pi * (torch.arange(width, dtype=torch.float64) + 0.5) / width)
    margin = min(MARGIN, width / 8) * 2 * pi / width
    frequencies = torch.linspace(margin, pi - margin, min(FREQUENCIES, max(2, width // 2)), dtype=torch.float64)
    angles = frequencies[:, None] * torch.arange(width, dtype=torch.float64)
    waves = torch.polar((taper / taper.norm()).expand_as(angles), -angles)
    cut = torch.cat([sequence.unfold(0, width, hop) for sequence in long])  # (segments, M, width)
    energies = (cut**2).mean((1, 2))
    loud = energies > max(float(energies.quantile(0.98)) * 10 ** (-GATE / 10), 1e-30)
    if not bool(loud.any()):
        raise BadInput("The ciphertext is silent: give speech.")
    cut = cut[loud] / energies[loud].sqrt()[:, None, None]
    values = torch.stack([(cut @ wave.real) + 1j * (cut @ wave.imag) for wave in waves])  # (g, segments, M)
    heard = (cut[:: max(1, len(cut) // HEARD)] * taper).mT
    heard = heard / heard.flatten(1).norm(dim=1)[:, None, None]
    return BlockSpectra(values.mT.to(torch.complex64).contiguous(), frequencies, heard)


def tones(frequencies: Tensor, size: int) -> Tensor:
    """e(f_k) (g, M, M), centred in the block, in columns by rising |f|: k = 0, -1, 1, -2, 2, ..."""
    place = torch.arange(size, dtype=torch.float64)
    band = torch.where(place % 2 == 0, place / 2, -(place + 1) / 2)
    f = (frequencies[:, None] / (2 * pi) + band) / size  # cycles per sample
    angle = 2 * pi * f[:, None, :] * (place - (size - 1) / 2)[:, None]
    return torch.polar(torch.full_like(angle, size**-0.5), angle)


def _estimate(
    spectra: BlockSpectra, reference: BlockSpectra, generator: torch.Generator | None, rate: float
) -> PolyphaseEstimate:
    size = spectra.values.shape[1]
    bases = principal_axes(spectra.values)
    if generator is not None:
        noise = torch.randn(2, *bases.shape, generator=generator)
        bases = polar(bases + DISTURBANCE / size**0.5 * torch.complex(noise[0], noise[1]))
    known = tones(spectra.frequencies, size)
    stages = []  # a large floor is surer to find strong bands, a small one finds weak ones
    for floor in FLOORS:
        bases, _ = separate(spectra.values, bases, Criterion(floor), STEPS)
        stages.append(bases.to(known.dtype))
    key, linked = best_path(stages, known, spectra, rate)
    final = Criterion(FLOORS[-1])
    for apart in [*range(linked, size, LET_IN), None]:
        key, _ = separate_jointly(spectra.values, known, key, final, STEPS if apart in (linked, None) else 3, apart)
    known = tones(reference.frequencies, size)
    key, value = separate_jointly(reference.values, known, key, final, STEPS if reference is not spectra else 0)
    return PolyphaseEstimate(key, linked / size, value)


def best_path(stages: Sequence[Tensor], known: Tensor, spectra: BlockSpectra, rate: float) -> tuple[Tensor, int]:
    """The key (M, M) of the longest path of tones among those that find voices at low frequencies, and its bands.

    stages: several estimates of V (g, M, M). known: the tones.
    """
    paths = []
    for bases in stages:
        real = (bases[0] ** 2).sum(0).abs()  # |v^T v|: 1 for a real column
        paths += [follow(bases, known, int(start)) for start in real.argsort(descending=True)[:STARTS]]
    voiced = [voicing(decryption, spectra.heard, rate) for decryption, _ in paths]
    heard = [path for path, voice in zip(paths, voiced, strict=True) if voice >= ALIKE * max(voiced)] or paths
    decryption, linked = max(heard, key=lambda path: path[1])
    return polar(decryption), linked


def voicing(decryption: Tensor, segments: Tensor, rate: float) -> float:
    """How much of a voice's harmonics a matrix D (M, M) brings to low frequencies: the larger, the more.

    With r the autocorrelation of a decrypted segment D y_t (segments (s, blocks, M), of energy 1), the mean of
    sum r(l) r(l + 1) over the lags of pitch, where r holds what is periodic. Negative where that is at high
    frequencies.
    """
    speech = (segments @ decryption.mT).flatten(1)
    spectrum = torch.fft.rfft(speech, 2 * speech.shape[1])
    r = torch.fft.irfft(spectrum.abs() ** 2)[:, round(PITCH[0] * rate) : round(PITCH[1] * rate)]
    return float((r[:, :-1] * r[:, 1:]).sum(1).mean())


def follow(bases: Tensor, known: Tensor, start: int) -> tuple[Tensor, int]:
    """Decryption along the path of columns that begins at bases[0][:, start], and the bands before it was lost.

    The decryption (M, M) is the least-squares map from columns to tones: small where the path has not been.
    bases: V (g, M, M) with columns in any order and phases. known: the tones.
    """
    count, size = known.shape[:2]
    free = torch.ones(count, size, dtype=torch.bool)
    cross, gram = torch.zeros(size, size, dtype=torch.float64), DAMPING * torch.eye(size, dtype=torch.float64)
    overlaps: list[float] = []
    for band in range(size):
        up = band % 2 == 0
        total = 0.0
        for g in range(count) if up else reversed(range(count)):
            tone, columns = known[g, :, band], bases[g]
            if not up:  # a negative frequency: the conjugate column belongs to the positive one
                tone, columns = tone.conj(), columns.conj()
            if band == 0 and g == 0:
                place, overlap = start, torch.tensor(1.0)
                phase = (columns[:, start] ** 2).sum().angle() / 2
            else:
                wanted = cross.to(tone.dtype) @ torch.linalg.solve(gram.to(tone.dtype), tone)
                products = (wanted.conj() @ columns) / wanted.norm().clamp_min(1e-12)
                place = int((products.abs() * free[g]).argmax())
                overlap, phase = products[place].abs() * free[g, place], products[place].angle()
            total += float(overlap)
            if overlap > TAKEN:
                free[g, place] = False
                column = columns[:, place] * torch.exp(-1j * phase)
                cross += overlap**4 * torch.outer(column, tone.conj()).real
                gram += overlap**4 * torch.outer(tone, tone.conj()).real
        overlaps.append(total / count)
        if sum(overlaps[-2:]) < LOST * len(overlaps[-2:]):
            break
    lost = sum(overlaps[-2:]) < LOST * len(overlaps[-2:])
    return torch.linalg.solve(gram, cross.mT), max(1, len(overlaps) - lost)
