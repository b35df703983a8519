"""Keys of waveform blocks from ciphertext alone: block spectra, whose eigenvectors are known except for the key.

**Spectra of blocks.** Let x_t be the blocks of M samples, h_t a taper that is constant within a block, and
X(w) = sum_t h_t x_t exp(-i w t) the block spectrum at block frequency w. With S the spectrum of the tapered waveform it
is exactly

    X(w) = sum_k S(f_k) e(f_k) / sqrt(M),    f_k = (w / 2 pi + k) / M,    e(f) = exp(2 pi i f n) / sqrt(M), n < M,

and for fixed w the M tones e(f_k) are an orthonormal basis, whatever the speech. Stationary speech has uncorrelated
S(f_k), so its block spectral densities are pseudo-circulant (Vaidyanathan, 1993, section 10.1): tones diagonalise them
all. Ciphertext y_t = x_t K has Y(w) = K^T X(w): its densities, of any sound, are diagonal in V(w) = K^T [e(f_k)].
Powers in the M bands of a voice change differently with time, so joint diagonalisation
(`wrongkey.attacks.waveforms.joint_diagonalisation`; Cardoso and Souloumiac, 1996; Pham, 2001) finds V(w) up to the
order and phases of its columns. It starts at each w separately from the eigenvectors of the mean density, and has none
of the local minima of a search over keys.

**Order and phases.** <K^T e(f), K^T e(f')> is the Dirichlet kernel of f - f', real for tones centred in the block. K is
real, so V(-w) = conj V(w): frequencies from 0 to 1/2 are one path that runs through w from 0 to pi and back, again and
again. It begins in a column that is (nearly) real, and each next column is the one nearest to the extrapolation by the
least-squares map from the tones found so far to their columns. For even M, f -> 1/2 - f changes nothing of this (K
becomes diag(1, -1, 1, ...) K), and other paths begin elsewhere: the right one finds the harmonics of voices at low
frequencies (`voicing`; power alone would not decide for pre-emphasised speech). The sign of K stays open.

**One key.** The least-squares map, made orthogonal, is the key (Procrustes). Finally the same criterion is minimised
over this one real orthogonal matrix for all w at once. Where the path is lost (weak bands), the bands up to there are
fitted first and then more are let in, a few at a time. For large M, keys in turn and where many bands are empty, Newton
steps descend (`wrongkey.attacks.waveforms.joint_descent`).

**Keys in turn.** P keys of M samples in turn are one key of N = P M with nothing outside P blocks on its diagonal. The
parts of a tone in these blocks differ by a phase alone, so all of them share one Gram matrix (M, M), and the map is
determined after M bands in place of N. The blocks are made orthogonal and descend one by one.

The result is near the true key but not exact: the criterion treats the few leaking neighbours of a tone as noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, pi

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from wrongkey.attacks.solvers.powers import power
from wrongkey.attacks.solvers.stable_linalg import eigh, polar
from wrongkey.attacks.waveforms.block_diagonal import nearest_key, of_blocks
from wrongkey.attacks.waveforms.joint_descent import descend_jointly
from wrongkey.attacks.waveforms.joint_diagonalisation import Criterion, principal_axes, separate, separate_jointly
from wrongkey.attacks.waveforms.mirror import harmonics, upright
from wrongkey.attacks.waveforms.polyphase_settings import PolyphaseSettings
from wrongkey.errors import BadInput


@dataclass(frozen=True)
class BlockSpectra:
    """Spectra of tapered segments of ciphertext at a few block frequencies; each segment has mean power 1 per element.

    Attributes
    ----------
    values : Tensor
        (g, M, segments) complex64.
    frequencies : Tensor
        w (g,), between 0 and pi.
    heard : Tensor
        Some of the segments themselves, (s, blocks, M) float64, each of energy 1.
    """

    values: Tensor
    frequencies: Tensor
    heard: Tensor

    def filled(self, least: float) -> float:
        """Share of the M bands whose power is at least this, 1 being their mean: no key changes it."""
        densities = self.values @ self.values.mH / self.values.shape[-1]
        return float((eigh(densities)[0] >= least).double().mean())


@dataclass(frozen=True)
class PolyphaseEstimate:
    """A key and what is known about it without the truth.

    Attributes
    ----------
    key : Tensor
        (M, M) float64.
    linked : float
        Share of the M bands that the path of tones went through; 1 for a good key. It is small where M is large and the
        path wrong; below M = 10 random columns may be near enough to one another to be linked.
    criterion : float
        Of the joint diagonalisation, comparable among estimates from the same ciphertext.
    filled : float
        Share of the M bands that hold sound.
    harmonics : float
        By how many standard errors voices tell the key from that of the mirrored spectrum; infinite for odd M, where
        there is none.
    """

    key: Tensor
    linked: float
    criterion: float
    filled: float
    harmonics: float


def polyphase_estimates(
    blocks: Sequence[Tensor],
    *,
    seed: int,
    count: int,
    rate: float,
    settings: PolyphaseSettings,
    turns: int = 1,
    enough: Callable[[Sequence[PolyphaseEstimate]], bool] = lambda best_first: False,
) -> list[PolyphaseEstimate]:
    """Estimates of the key from sequences of encrypted blocks, each (n, M), best first.

    `count` estimates come from segments of several lengths, all but the first from bases that the seed disturbs. Where
    bands are empty more are made, until those there are `enough`, or the settings' number of them. rate: samples per
    second. turns: the key is known to consist of so many blocks along its diagonal, a divisor of M. Raises BadInput
    where count or M is too small, or no sequence is as long as a segment.
    """
    size = blocks[0].shape[-1] if blocks else 0
    if count < 1 or size < 2:
        raise BadInput(
            f"The polyphase attack needs blocks of 2 samples or more and a count of at least 1, not {size} and {count}."
        )
    own = max(settings.least_blocks, round(settings.segment * rate / size))
    reference = block_spectra(blocks, own, settings)
    generator = torch.Generator().manual_seed(seed)
    estimates: list[PolyphaseEstimate] = []
    empty = reference.filled(settings.empty) < settings.linked  # a path that begins in an empty band is often lost
    for i in range(max(count, settings.estimates_of_empty) if empty else count):
        if i >= count and enough(estimates):
            break
        width = max(8, round(own * settings.lengths[i % len(settings.lengths)]))
        spectra = reference if width == own else block_spectra(blocks, width, settings)
        estimates.append(_estimate(spectra, reference, generator if i else None, rate, settings, turns))
        estimates.sort(key=lambda estimate: estimate.criterion)
    return estimates


def block_spectra(blocks: Sequence[Tensor], width: int, settings: PolyphaseSettings) -> BlockSpectra:
    """Spectra of segments of `width` blocks without pauses; raises BadInput where no sequence is that long."""
    long = [sequence.double() for sequence in blocks if len(sequence) >= width]
    if not long:
        raise BadInput(f"No utterance is as long as one segment of {width} blocks: give longer ciphertext.")
    hop = max(1, width // settings.overlap, ceil(sum(map(len, long)) / settings.most_segments))
    taper = torch.sin(pi * (torch.arange(width, dtype=torch.float64) + 0.5) / width)
    margin = min(settings.margin, width / 8) * 2 * pi / width
    count = min(settings.frequencies, max(2, width // 2))
    frequencies = torch.linspace(margin, pi - margin, count, dtype=torch.float64)
    angles = frequencies[:, None] * torch.arange(width, dtype=torch.float64)
    waves = torch.polar((taper / taper.norm()).expand_as(angles), -angles)
    cut = torch.cat([sequence.unfold(0, width, hop) for sequence in long])  # (segments, M, width)
    energies = (cut**2).mean((1, 2))
    loud = energies > max(float(energies.quantile(0.98)) * 10 ** (-settings.gate / 10), 1e-30)
    if not bool(loud.any()):
        raise BadInput("The ciphertext is silent: give speech.")
    cut = cut[loud] / energies[loud].sqrt()[:, None, None]
    values = torch.stack([(cut @ wave.real) + 1j * (cut @ wave.imag) for wave in waves])  # (g, segments, M)
    heard = (cut[:: max(1, len(cut) // settings.heard)] * taper).mT
    heard = heard / heard.flatten(1).norm(dim=1)[:, None, None]
    return BlockSpectra(values.mT.to(torch.complex64).contiguous(), frequencies, heard)


def voiced_segments(blocks: Sequence[Tensor], rate: float, settings: PolyphaseSettings) -> Tensor:
    """Segments (s, blocks, M) of sequences of encrypted blocks (n, M) in which voices are looked for (`mirror`)."""
    width = max(settings.least_blocks, round(settings.segment * rate / blocks[0].shape[-1]))
    return block_spectra(blocks, width, settings).heard


def tones(frequencies: Tensor, size: int) -> Tensor:
    """The tones e(f_k) (g, M, M), centred in the block, in columns by rising |f|: k = 0, -1, 1, -2, 2, ..."""
    place = torch.arange(size, dtype=torch.float64)
    band = torch.where(place % 2 == 0, place / 2, -(place + 1) / 2)
    f = (frequencies[:, None] / (2 * pi) + band) / size  # cycles per sample
    angle = 2 * pi * f[:, None, :] * (place - (size - 1) / 2)[:, None]
    return torch.polar(torch.full_like(angle, size**-0.5), angle)


def _estimate(
    spectra: BlockSpectra,
    reference: BlockSpectra,
    generator: torch.Generator | None,
    rate: float,
    settings: PolyphaseSettings,
    turns: int,
) -> PolyphaseEstimate:
    """The key of one set of spectra; the criterion is that of the reference, so that estimates can be compared."""
    size = spectra.values.shape[1]
    bases = principal_axes(spectra.values)
    if generator is not None:
        noise = torch.randn(2, *bases.shape, generator=generator)
        bases = polar(bases + settings.disturbance / size**0.5 * torch.complex(noise[0], noise[1]))
    known = tones(spectra.frequencies, size)
    stages = []
    for floor in settings.floors:
        bases, _ = separate(spectra.values, bases, Criterion(floor, settings), settings.steps)
        stages.append(bases.to(known.dtype))
    key, linked = best_path(stages, known, spectra, rate, settings, turns)
    if turns == 1:
        key = _let_in(spectra.values, known, key, linked, settings)
    final = Criterion(settings.floors[-1], settings)
    known, filled = tones(reference.frequencies, size), reference.filled(settings.empty)
    if turns > 1 or size >= settings.large or filled < settings.linked:
        key, value = descend_jointly(reference.values, known, key, final, turns)
    else:
        steps = 0 if reference is spectra else settings.steps
        key, value = separate_jointly(reference.values, known, key, final, steps)
    told = inf
    if size % 2 == 0:
        key, told = upright(key, reference.heard, rate, settings)
    return PolyphaseEstimate(key, linked / size, value, filled, told)


def _let_in(snapshots: Tensor, known: Tensor, key: Tensor, linked: int, settings: PolyphaseSettings) -> Tensor:
    """The key after joint descents that begin with the first linked bands and let in more, up to all."""
    final, size = Criterion(settings.floors[-1], settings), len(key)
    for apart in [*range(linked, size, settings.let_in), None]:
        steps = settings.steps if apart in (linked, None) else settings.let_in_steps
        key, _ = separate_jointly(snapshots, known, key, final, steps, apart)
    return key


def best_path(
    stages: Sequence[Tensor],
    known: Tensor,
    spectra: BlockSpectra,
    rate: float,
    settings: PolyphaseSettings,
    turns: int = 1,
) -> tuple[Tensor, int]:
    """The key (M, M) of the longest path of tones among those that find voices at low frequencies, and its bands.

    stages: several estimates of V (g, M, M). known: the tones. turns: blocks along the diagonal of the key.
    """
    paths = []
    for bases in stages:
        real = (bases[0] ** 2).sum(0).abs()  # |v^T v|: 1 for a real column
        starts = real.argsort(descending=True)[: settings.starts]
        paths += list(zip(*follow(bases, known, starts, settings, turns), strict=True))
    decryption, linked = longest(paths, [voicing(found, spectra.heard, rate, settings) for found, _ in paths], settings)
    if decryption.shape[-1] % 2 == 0 and harmonics(spectra.heard @ decryption.mT, rate, settings) < 0:
        heard = [harmonics(spectra.heard @ found.mT, rate, settings) for found, _ in paths]
        decryption, linked = longest(paths, heard, settings)
    return nearest_key(decryption, turns), linked


def longest(
    paths: Sequence[tuple[Tensor, int]], voices: Sequence[float], settings: PolyphaseSettings
) -> tuple[Tensor, int]:
    """The path of most bands among those in which voices are nearly as clear as in the best one."""
    least = settings.voiced * max(voices)
    voiced = [path for path, voice in zip(paths, voices, strict=True) if voice >= least]
    return max(voiced or paths, key=lambda path: path[1])


def voicing(decryption: Tensor, segments: Tensor, rate: float, settings: PolyphaseSettings) -> float:
    """How much of a voice's harmonics a matrix D (M, M) brings to low frequencies: the larger, the more.

    With r the autocorrelation of a decrypted segment D y_t (segments (s, blocks, M), of energy 1), it is the mean of
    sum r(l) r(l + 1) over the lags of pitch, where r holds what is periodic. It is negative where that is at high
    frequencies.
    """
    speech = (segments @ decryption.mT).flatten(1)
    shortest, longest = (round(seconds * rate) for seconds in settings.pitch)
    length = next_fast_len(speech.shape[1] + longest, real=True)  # lags above the longest may be those of a circle
    r = torch.fft.irfft(power(torch.fft.rfft(speech, length)), length)[:, shortest:longest]
    return float((r[:, :-1] * r[:, 1:]).sum(1).mean())


def follow(
    bases: Tensor, known: Tensor, starts: Tensor, settings: PolyphaseSettings, turns: int = 1
) -> tuple[Tensor, list[int]]:
    """Decryptions along paths of columns that begin at bases[0][:, starts], and the bands before each was lost.

    A decryption (M, M) is the least-squares map from columns to tones: small where the path has not been.
    bases: V (g, M, M) with columns in any order and phases. known: the tones. starts: (p,). The decryptions are
    (p, M, M).
    """
    count, size = known.shape[:2]
    paths = _Paths(len(starts), count, size, settings, turns)
    followed, lost = torch.zeros_like(starts), torch.zeros_like(starts, dtype=torch.bool)
    before = None
    for band in range(size):
        positive = band % 2 == 0
        total = known.real.new_zeros(len(starts))
        for g in range(count) if positive else reversed(range(count)):
            tone, columns = known[g, :, band], bases[g]
            if not positive:  # the conjugate column belongs to the positive frequency
                tone, columns = tone.conj_physical(), columns.conj_physical()
            total += paths.begin(tone, columns, starts) if band == g == 0 else paths.extend(tone, columns, g, ~lost)
        overlap = total / count
        if band < size // turns:  # from there on the map is determined, and every band that is met is a test of it
            lost |= (overlap if before is None else (before + overlap) / 2) < settings.lost
            followed += ~lost
        else:
            followed += ~lost & (overlap >= settings.lost)
        if bool(lost.all()):
            break
        before = overlap
    return paths.decryptions(), followed.clamp_min(1).tolist()


class _Paths:
    """Paths from column to column, as far as they have come, and the least-squares maps of tones to their columns.

    A map K^T has nothing outside `turns` blocks on its diagonal. Of a tone the parts in these blocks differ by a phase,
    so that they share the Gram matrix.
    """

    def __init__(self, paths: int, count: int, size: int, settings: PolyphaseSettings, turns: int) -> None:
        within = size // turns
        self.free = torch.ones(paths, count, size, dtype=torch.bool)
        self.cross = torch.zeros(paths, turns, within, within, dtype=torch.float64)
        self.gram = (settings.damping * torch.eye(within, dtype=torch.float64)).repeat(paths, 1, 1)
        self.taken = settings.taken

    def begin(self, tone: Tensor, columns: Tensor, places: Tensor) -> Tensor:
        """Take first columns (p,), each with the phase that makes it real; their overlaps count as 1."""
        phase = (columns[:, places] ** 2).sum(0).angle() / 2
        return self._take(tone, columns, 0, places, torch.ones_like(phase), phase)

    def extend(self, tone: Tensor, columns: Tensor, g: int, going: Tensor) -> Tensor:
        """Take the free column nearest to the extrapolated one, unless that is too far; the overlaps (p,) of the two.

        Paths that are not `going` (p,) take none.
        """
        parts = torch.view_as_real(self._parts(tone))  # (turns, M / turns, 2)
        asked = parts.transpose(0, 1).flatten(1).expand(len(self.gram), -1, -1)  # else it might be taken for vectors
        solved = torch.linalg.solve(self.gram, asked)
        wanted = self.cross @ solved.unflatten(2, (len(parts), 2)).transpose(1, 2)
        wanted = torch.view_as_complex(wanted.contiguous()).flatten(1)  # (p, M)
        products = wanted.conj() @ columns / wanted.norm(dim=1, keepdim=True).clamp_min(1e-12)
        overlaps, places = (products.abs() * self.free[:, g]).max(1)
        phases = products.gather(1, places[:, None])[:, 0].angle()
        return self._take(tone, columns, g, places, overlaps * going, phases)

    def decryptions(self) -> Tensor:
        """The least-squares maps (p, M, M) from columns to tones."""
        maps = torch.linalg.solve(self.gram[:, None], self.cross.mT)
        return torch.stack([of_blocks(blocks) for blocks in maps])

    def _take(self, tone: Tensor, columns: Tensor, g: int, places: Tensor, overlaps: Tensor, phases: Tensor) -> Tensor:
        take = overlaps > self.taken
        self.free[take, g, places[take]] = False
        weight = torch.where(take, overlaps, 0.0)[:, None, None] ** 4
        column = self._parts(columns[:, places].mT * torch.exp(-1j * phases)[:, None])  # (p, turns, M / turns)
        tone = self._parts(tone)
        self.cross += weight[..., None] * (column[..., :, None] * tone.conj()[:, None, :]).real
        self.gram += len(tone) * weight * torch.outer(tone[0], tone[0].conj()).real
        return overlaps

    def _parts(self, vectors: Tensor) -> Tensor:
        """Vectors (..., N) cut into the blocks: (..., turns, N / turns)."""
        return vectors.reshape(*vectors.shape[:-1], self.cross.shape[1], -1)
