"""Keys that are not orthogonal, from ciphertext alone: block spectra whose eigenvectors are oblique.

`wrongkey.attacks.waveforms.block_spectra` has the ground: plain speech has the block spectrum
X(w) = sum_k S(f_k) e(f_k) / sqrt(M) with uncorrelated S(f_k), and ciphertext y = x K has Y(w) = K^T X(w). For an
orthogonal key the vectors K^T e(f_k) are orthonormal at every w. For an invertible one they are any basis:

**At each w.** Whitened by its own mean density, a mixture of uncorrelated components has orthonormal directions again,
so unitary joint diagonalisation finds them, and the square root of the density turns them into K^T e(f_k), up to order,
phase and length.

**Order.** With C_x and C_y = K^T C_x K the covariances of plain and encrypted blocks, K = C_x^(-1/2) Q C_y^(1/2) for an
orthogonal Q. In ciphertext that is whitened by C_y^(-1/2), tone f has therefore the direction Q^T C_x^(-1/2) e(f). C_x
is that of average speech, roughly; inner products of these directions are then known, roughly, and a path runs from
each tone to the nearest one as in `polyphase`. Several average spectra are tried: flatter and steeper, pre-emphasised
or not.

**One key, without the average.** That K^T e(f) has the direction of a column c is linear in K,
(I - c c^H) K^T e(f) = 0, and all columns together determine K up to its scale (direct linear transformation): C_x is no
longer needed. From there Pham's criterion, mean log p_kt + 2 / M log |det K|, is lowered over all real matrices. Its
floor is a share of each component's own mean power, so that it does not depend on the scale of a row, which no
orthogonality fixes. For even M it is the same for a key that turns the spectrum around, and voices decide.

The sign and the scale of K stay open; a scheme that fixes the energy of its keys fixes the latter.

References
----------
D. T. Pham, "Joint approximate diagonalization of positive definite Hermitian matrices", SIAM J. Matrix Anal. Appl. 22,
2001. R. Hartley, A. Zisserman, Multiple View Geometry in Computer Vision, 2nd ed., 2004, section 4.1, for the direct
linear transformation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from scipy.linalg import toeplitz
from torch import Tensor

from wrongkey.attacks.solvers.stable_linalg import eigh, polar
from wrongkey.attacks.waveforms.average_speech import average_autocorrelation
from wrongkey.attacks.waveforms.block_diagonal import within_blocks
from wrongkey.attacks.waveforms.block_spectra import BlockSpectra, block_spectra, follow, tones, voicing
from wrongkey.attacks.waveforms.joint_diagonalisation import Criterion, separate
from wrongkey.attacks.waveforms.linear_prediction_settings import DEFAULTS as AVERAGE
from wrongkey.attacks.waveforms.mirror import harmonics, mirrored
from wrongkey.attacks.waveforms.polyphase_settings import PolyphaseSettings
from wrongkey.errors import BadInput

LEAST = 1e-14  # of the largest eigenvalue: what a smaller one is taken to be


@dataclass(frozen=True)
class ObliqueSettings(PolyphaseSettings):
    """How keys without orthogonality are searched: the fields of `PolyphaseSettings`, and these.

    Attributes
    ----------
    tilts : tuple of float
        Powers to which the spectrum of average speech is raised, for one start each.
    emphases : tuple of float
        Pre-emphases under which average speech is assumed, for starts of their own.
    fitted : int
        Rounds of the direct linear transformation, which weights columns by the fit of the round before.
    first_floor, last_floor : float
        Floors of the joint descent, as shares of a component's mean power: of all starts, and of the best ones.
    first_steps, last_steps : int
        Steps of these descents (L-BFGS).
    descents : int
        Starts that descend to the last floor.
    beyond : float
        Success is claimed only if the condition number is at most this times the largest that the scheme draws. Of 19
        right claims on the train part (4 to 10 samples, 5 s) the estimate had 0.93 to 1.09 times that of the key.
    """

    largest: int = 32
    lengths: tuple[float, ...] = (2.0, 1.5)
    overlap: int = 2
    tilts: tuple[float, ...] = (0.7, 1.4)
    emphases: tuple[float, ...] = (0.0, 0.97)
    fitted: int = 4
    first_floor: float = 0.02
    last_floor: float = 0.004
    first_steps: int = 20
    last_steps: int = 60
    descents: int = 2
    beyond: float = 1.1


DEFAULTS = ObliqueSettings()


@dataclass(frozen=True)
class KeyShape:
    """Which mixing matrices A (M, M) a scheme allows, where y = x K and whitened ciphertext is z = y W = x A^T.

    Attributes
    ----------
    white : Tensor
        W, (M, M).
    turns : int
        Independent blocks along the diagonal of K, beside which all is zero.
    """

    white: Tensor
    turns: int

    def of(self, mixing: Tensor) -> Tensor:
        """The matrix of the key without what lies outside its blocks."""
        if self.turns == 1:
            return mixing
        return (within_blocks(mixing.mT @ torch.linalg.inv(self.white), self.turns) @ self.white).mT


@dataclass(frozen=True)
class ObliqueEstimate:
    """A key and what is known about it without the truth.

    Attributes
    ----------
    key : Tensor
        (M, M) float64, of norm sqrt(M).
    criterion : float
        Of segments of the first length.
    harmonics : float
        By how many standard errors voices tell the key from that of the mirrored spectrum; infinite for odd M.
    """

    key: Tensor
    criterion: float
    harmonics: float


def oblique_estimates(
    blocks: Sequence[Tensor], *, rate: float, settings: ObliqueSettings, turns: int = 1
) -> list[ObliqueEstimate]:
    """Estimates of the key from sequences of encrypted blocks (n, M), best first.

    There is one from segments of each of `settings.lengths`. rate: samples per second. turns: how many independent
    blocks along its diagonal are all that is not zero in the key. Raises BadInput where no sequence is as long as a
    segment, or the blocks do not span M dimensions.
    """
    if not blocks:
        raise BadInput("There is no ciphertext of a whole block: give more speech.")
    size = blocks[0].shape[-1]
    covariance = torch.stack([rows.mT @ rows for rows in blocks]).sum(0)
    if not bool(eigh(covariance)[0][0] > LEAST * covariance.trace()):
        raise BadInput(f"The ciphertext does not span blocks of {size}: it is silent, or in other blocks.")
    white = _power(covariance / covariance.trace() * size, -0.5)
    whitened = [rows.double() @ white for rows in blocks]
    shape = KeyShape(white, turns)
    own = max(settings.least_blocks, settings.segment * rate / size)
    reference, *others = (block_spectra(whitened, round(own * by), settings) for by in settings.lengths)
    known = tones(reference.frequencies, size)
    found = [_mixing(reference, shape, rate, settings)]
    for spectra in others:
        mixing, _ = _mixing(spectra, shape, rate, settings)
        found.append(descended(mixing, reference, known, settings.last_floor, settings.last_steps, settings, turns))
    estimates = []
    for mixing, value in found:
        key = within_blocks(mixing.mT @ torch.linalg.inv(white), turns)
        told = harmonics(_decrypted(reference, mixing), rate, settings) if size % 2 == 0 else inf
        estimates.append(ObliqueEstimate(key * (size**0.5 / key.norm()), value, told))
    return sorted(estimates, key=lambda one: one.criterion)


def _decrypted(spectra: BlockSpectra, mixing: Tensor) -> Tensor:
    """Segments (s, blocks, M) of plain speech x where the whitened ciphertext is z = x A^T."""
    return spectra.heard @ torch.linalg.inv(mixing).mT


def _mixing(spectra: BlockSpectra, shape: KeyShape, rate: float, settings: ObliqueSettings) -> tuple[Tensor, float]:
    """The matrix A (M, M) of whitened ciphertext z = x A^T, and its criterion."""
    size = spectra.values.shape[1]
    known = tones(spectra.frequencies, size)
    stages, starts = directions(spectra, settings), []
    for autocorrelation in average_autocorrelations(size, settings):
        mixing, columns = _start(stages, known, autocorrelation, spectra, rate, settings)
        candidates = mixing, fitted(mixing, columns, known, settings)
        evaluated = [descended(one, spectra, known, settings.first_floor, 0, settings) for one in candidates]
        lower = shape.of(min(evaluated, key=lambda one: one[1])[0])
        starts.append(
            descended(lower, spectra, known, settings.first_floor, settings.first_steps, settings, shape.turns)
        )
    starts.sort(key=lambda start: start[1])
    ends = [
        descended(mixing, spectra, known, settings.last_floor, settings.last_steps, settings, shape.turns)
        for mixing, _ in starts[: settings.descents]
    ]
    mixing, value = min(ends, key=lambda end: end[1])
    return _upright(mixing, spectra, rate, settings), value


def _upright(mixing: Tensor, spectra: BlockSpectra, rate: float, settings: ObliqueSettings) -> Tensor:
    """The matrix (M, M), or for even M that of the mirrored spectrum, whichever lets voices be heard."""
    if len(mixing) % 2 or harmonics(_decrypted(spectra, mixing), rate, settings) >= 0:
        return mixing
    return mirrored(mixing.mT).mT  # x = D x' where z = x A^T, with D the alternating signs


def directions(spectra: BlockSpectra, settings: ObliqueSettings) -> list[Tensor]:
    """Unit columns (g, M, M), in any order and phases, that carry uncorrelated components; one for each floor."""
    values = spectra.values.to(torch.complex128)
    density = values @ values.mH / values.shape[-1]
    snapshots, back = (_power(density, -0.5) @ values).to(spectra.values.dtype), _power(density, 0.5)
    bases = torch.eye(values.shape[1], dtype=snapshots.dtype).expand(len(values), -1, -1)
    found = []
    for floor in settings.floors:
        bases, _ = separate(snapshots, bases, Criterion(floor, settings), settings.steps)
        found.append(_unit(back @ bases.to(back.dtype)))
    return found


def average_autocorrelations(size: int, settings: ObliqueSettings) -> list[Tensor]:
    """Autocorrelations r(0) = 1 to r(M - 1) of average speech, flatter and steeper, pre-emphasised or not."""
    found = []
    for emphasis in settings.emphases:
        r = average_autocorrelation(AVERAGE.average_grid // 2 + 1, emphasis, AVERAGE)
        power = np.fft.rfft(np.concatenate([r, r[-2:0:-1]])).real
        for tilt in settings.tilts:
            tilted = np.fft.irfft(np.maximum(power, 1e-6 * power.max()) ** tilt)[:size]
            found.append(torch.from_numpy(tilted / tilted[0]))
    return found


def _start(
    stages: Sequence[Tensor],
    known: Tensor,
    autocorrelation: Tensor,
    spectra: BlockSpectra,
    rate: float,
    settings: ObliqueSettings,
) -> tuple[Tensor, Tensor]:
    """The mixing matrix of the longest path among those that find voices at low frequencies, and its columns."""
    covariance = torch.from_numpy(toeplitz(autocorrelation.numpy()))
    root, inverse = _power(covariance, 0.5), _power(covariance, -0.5)
    expected = _unit(inverse.to(known.dtype) @ known)
    paths = []
    for columns in stages:
        real = (columns[0] ** 2).sum(0).abs()
        starts = real.argsort(descending=True)[: settings.starts]
        for turn, linked in zip(*follow(columns, expected, starts, settings), strict=True):
            paths.append((voicing(root @ turn, spectra.heard, rate, settings), linked, turn, columns))
    least = settings.voiced * max(path[0] for path in paths)
    _, _, turn, columns = max([path for path in paths if path[0] >= least] or paths, key=lambda path: path[1])
    return polar(turn).mT @ inverse, columns


def fitted(mixing: Tensor, columns: Tensor, known: Tensor, settings: ObliqueSettings) -> Tensor:
    """The matrix A (M, M) under which tones have the directions of the nearest columns, from one that is nearly right.

    It is the right singular vector of least singular value of (I - c c^H) A e = 0; every equation has the length of A e
    as its unit, and the fourth power of its overlap as its weight.
    """
    size = len(mixing)
    tone = known.mT.reshape(-1, size)
    for _ in range(settings.fitted):
        image = mixing.to(known.dtype) @ known
        products = (_unit(image).mH @ columns).abs()
        overlap, nearest = products.max(-1)
        column = columns.mT.gather(1, nearest[..., None].expand(-1, -1, size)).reshape(-1, size)
        weight = (overlap**4 / image.norm(dim=1) ** 2 * (overlap > settings.taken)).flatten().to(known.dtype)
        both = (column[:, :, None] * tone.conj()[:, None, :]).flatten(1)  # c_i conj(e_j)
        gram = (tone.conj() * weight[:, None]).mT @ tone
        form = (
            torch.kron(torch.eye(size, dtype=torch.float64), gram.real)
            - ((both * weight[:, None]).mT @ both.conj()).real
        )
        found = eigh(form)[1][:, 0].reshape(size, size)
        mixing = found * ((found * mixing).sum().sign() * mixing.norm())
    return mixing


def descended(
    mixing: Tensor,
    spectra: BlockSpectra,
    known: Tensor,
    floor: float,
    steps: int,
    settings: ObliqueSettings,
    turns: int = 1,
) -> tuple[Tensor, float]:
    """A mixing matrix (M, M) of lower criterion near another one, after so many steps, and its value.

    turns: of its key; blocks along the diagonal, which the steps keep where the key has no more.
    """
    size, values = len(mixing), spectra.values
    begin, identity = torch.linalg.inv(mixing), torch.eye(size, dtype=torch.float64)
    smooth = Criterion(floor, settings).smooth
    turn = torch.zeros(size, size, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.LBFGS([turn], max_iter=steps, line_search_fn="strong_wolfe")

    def value() -> Tensor:
        demixing = (identity + within_blocks(turn, turns)) @ begin
        components = (known.mH @ demixing.to(known.dtype)).to(values.dtype) @ values
        power = smooth(components.real**2 + components.imag**2)
        level = (power + floor * power.mean(-1, keepdim=True)).clamp_min(1e-30)
        return level.log().mean(dtype=torch.float64) - 2 / size * torch.linalg.slogdet(demixing)[1]

    def step() -> Tensor:
        descent.zero_grad()
        now = value()
        now.backward()  # type: ignore[no-untyped-call]
        return now

    if steps:
        descent.step(step)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return torch.linalg.inv((identity + within_blocks(turn, turns)) @ begin), float(value())


def _unit(columns: Tensor) -> Tensor:
    return columns / columns.norm(dim=1, keepdim=True).clamp_min(1e-300)


def _power(matrices: Tensor, exponent: float) -> Tensor:
    """Powers of Hermitian positive definite matrices (..., M, M)."""
    values, vectors = eigh(matrices)
    values = values.clamp_min(LEAST * float(values.max()))
    return (vectors * (values**exponent).unsqueeze(-2)) @ vectors.mH
