"""How an incorrect key differs from the correct one, for thousands of keys at once and without touching audio.

A model under key `K` asked with key `K'` hears the plain blocks `x` as `x R`, with the relative key `R = K' Kᵀ`:
whatever makes a key weak is a property of `R`, of the speech, known by the second moments `S = Σ xᵀx` of its blocks,
and of the model. Keys are float64 `(keys, N, N)`, and every measure is `(keys,)`. The paper looks at the Euclidean
distance alone (Fig. 10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import rows_of
from wrongkey.keys.key_cut import KeyCut

BANDS = 4  # of equal width, from 0 to half the sample rate, or from the lowest to the highest bin
TONES = 8  # frequencies at which the response of a band of samples is taken
NEAR_ZERO = np.pi / 8  # an eigen-angle below this leaves its plane of the block nearly alone
ROUNDED = 6  # decimals of angles: below lies the rounding of LAPACK, which would rank keys that are equal


@dataclass(frozen=True)
class Measure:
    """How a number for every key is presented to people.

    Attributes
    ----------
    label : str
        Its name in a figure.
    meaning : str
        What it is, as part of a sentence.
    keyless : bool
        Whether it can be computed without the correct key.
    """

    label: str
    meaning: str
    keyless: bool = False


MEASURES: Mapping[str, Measure] = {
    "euclidean": Measure(
        "Euclidean distance of speech", "‖X K' - X K‖ of all speech under the two keys, over ‖X‖ (the paper's Fig. 10)"
    ),
    "euclidean_unsigned": Measure(
        "the same, up to sign", "the smaller of the distances to the speech and to the negated speech"
    ),
    "moments": Measure(
        "change of second moments", "‖Rᵀ S R - S‖ over ‖S‖: how far the covariance of a block moves; blind to signs"
    ),
    "ciphertext_moments": Measure(
        "second moments against ciphertext",
        "‖K'ᵀ S' K' - C‖ over ‖C‖, with the second moments C of some speakers' ciphertext and S' of others' plain "
        "speech: the change of second moments for an adversary who does not know the correct key",
        keyless=True,
    ),
    "first_layer": Measure(
        "distance behind the first layer", "‖(X R - X) E‖ over ‖X E‖, with the kernels E of the model's first layer"
    ),
    "frobenius": Measure("Frobenius distance", "‖K' - K‖ over √N"),
    "geodesic": Measure("geodesic distance", "length of the shortest path from K to K', ‖log R‖ over √N"),
    "trace": Measure("trace of the relative key", "tr R over N: 1 for the correct key, -1 for its negative"),
    "trace_size": Measure("size of the trace", "|tr R| over N"),
    "angle_smallest": Measure("smallest eigen-angle", "of the relative key, in radians"),
    "angle_mean": Measure("mean eigen-angle", "of the relative key, in radians"),
    "angles_near_zero": Measure("eigen-angles near 0", "share of the relative key's eigen-angles below π/8"),
    "signed_permutation": Measure(
        "distance to a signed permutation", "‖R - P‖ over √N for the nearest signed permutation P"
    ),
    "sparsity": Measure(
        "sparsity", "of the relative key: 1 for a signed permutation, 0 where all entries are as large"
    ),
    "determinant": Measure("determinant", "of the relative key: 1 for a rotation, -1 with a reflection"),
    **{
        f"band_{band}": Measure(
            f"kept in band {band} of {BANDS}", "share of the energy of this band that the relative key leaves in it"
        )
        for band in range(1, BANDS + 1)
    },
}


def speech_moments(queries: Sequence[Tensor], cut: KeyCut) -> Matrix:
    """Second moments `Σ xᵀx` of the blocks of each query, `(queries, N, N)`; a query may be several segments."""
    moments = []
    for query in queries:
        rows = rows_of(query.double(), cut).reshape(-1, cut.size)
        moments.append((rows.mT @ rows).cpu().numpy())
    if not moments:
        raise BadInput("There is no speech to measure keys with: give at least one utterance.")
    return np.stack(moments)


def relative_keys(keys: Matrix, correct: Matrix) -> Matrix:
    """`R = K' Kᵀ`: what the model hears of blocks under the keys `K'`."""
    return keys @ correct.T


def measure_keys(
    keys: Matrix,
    correct: Matrix,
    moments: Matrix,
    cut: KeyCut,
    kernels: Matrix | None = None,
    split: tuple[Matrix, Matrix] | None = None,
) -> dict[str, Matrix]:
    """All measures of `MEASURES` for keys `(keys, N, N)` against the correct one `(N, N)`.

    Parameters
    ----------
    keys : ndarray of shape (keys, N, N)
        The keys that are measured.
    correct : ndarray of shape (N, N)
        The correct key.
    moments : ndarray of shape (N, N)
        Second moments of all speech.
    cut : KeyCut
        How keys cut speech.
    kernels : ndarray of shape (N, out), optional
        First-layer kernels where the layer reads whole blocks; there is no "first_layer" without them.
    split : pair of ndarrays of shape (N, N), optional
        Moments of the speech whose ciphertext is overheard, and of the guesser's own speech; there is no
        "ciphertext_moments" without them.

    Returns
    -------
    dict of str to ndarray of shape (keys,)
        By the names of `MEASURES`. Blocks of fewer than `BANDS` bins have fewer bands.
    """
    relative = relative_keys(keys, correct)
    size = len(correct)
    angles = eigen_angles(relative)
    trace = np.trace(relative, axis1=1, axis2=2) / size
    values = {
        "euclidean": euclidean_distance(relative, moments[None])[:, 0],
        "euclidean_unsigned": np.minimum(
            euclidean_distance(relative, moments[None]), euclidean_distance(-relative, moments[None])
        )[:, 0],
        "moments": change_of_moments(relative, moments),
        "frobenius": np.linalg.norm(keys - correct, axis=(1, 2)) / np.sqrt(size),
        "geodesic": geodesic_distance(angles) / np.sqrt(size),
        "trace": trace,
        "trace_size": np.abs(trace),
        "angle_smallest": angles.min(1),
        "angle_mean": angles.mean(1),
        "angles_near_zero": (angles < NEAR_ZERO).mean(1),
        "signed_permutation": signed_permutation_distance(relative) / np.sqrt(size),
        "sparsity": sparsity(relative),
        "determinant": np.sign(np.linalg.det(relative)),
    }
    if split is not None:
        values["ciphertext_moments"] = ciphertext_mismatch(keys, correct.T @ split[0] @ correct, split[1])
    if kernels is not None:
        values["first_layer"] = first_layer_distance(relative, moments, kernels)
    response = band_response(relative, cut)
    values |= {f"band_{band}": left for band, left in enumerate(response.T, start=1)}
    return {name: values[name] for name in MEASURES if name in values}


def euclidean_distance(relative: Matrix, moments: Matrix) -> Matrix:
    """`‖X R - X‖ / ‖X‖` of speech with moments `(utterances, N, N)` under relative keys: `(keys, utterances)`, 0 to 2.

    `‖X K' - X K‖² = tr((R - I)ᵀ S (R - I)) = ⟨S, D Dᵀ⟩` with `D = R - I`: the speech is not encrypted again. NaN for
    digital silence.
    """
    size = relative.shape[-1]
    change = relative - np.eye(size)
    squares = (change @ change.mT).reshape(len(relative), -1) @ moments.reshape(len(moments), -1).T
    energy = np.trace(moments, axis1=1, axis2=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.maximum(squares, 0) / energy)


def change_of_moments(relative: Matrix, moments: Matrix) -> Matrix:
    """`‖Rᵀ S R - S‖_F / ‖S‖_F`: 0 for white noise under every key, and for the negative of the correct key."""
    moved = relative.mT @ moments @ relative
    return np.linalg.norm(moved - moments, axis=(1, 2)) / np.linalg.norm(moments)


def ciphertext_mismatch(keys: Matrix, ciphertext: Matrix, own: Matrix) -> Matrix:
    """`‖K'ᵀ S' K' - C‖_F / ‖C‖_F`, both moments scaled to trace 1: how far own speech under a key is from ciphertext.

    If both recordings were the same, this would equal `change_of_moments`: `K'ᵀ S K' - Kᵀ S K = Kᵀ (Rᵀ S R - S) K`. The
    correct key is not needed, only ciphertext under it.
    """
    ciphertext, own = ciphertext / np.trace(ciphertext), own / np.trace(own)
    return np.linalg.norm(keys.mT @ own @ keys - ciphertext, axis=(1, 2)) / np.linalg.norm(ciphertext)


def first_layer_distance(relative: Matrix, moments: Matrix, kernels: Matrix) -> Matrix:
    """`‖(X R - X) E‖ / ‖X E‖`: how far the outputs of the first layer, without bias, lie from the plain model's."""
    change = relative - np.eye(relative.shape[-1])
    gram = kernels @ kernels.T
    squares = ((moments @ change) * (change @ gram)).sum(axis=(1, 2))
    return np.sqrt(np.maximum(squares, 0) / (moments * gram).sum())


def eigen_angles(relative: Matrix) -> Matrix:
    """Absolute arguments of the eigenvalues, `(keys, N)` in [0, π], rounded to `ROUNDED` decimals.

    The eigenvalues of a real orthogonal matrix are 1, -1 and conjugate pairs `exp(±iθ)`.
    """
    return np.round(np.abs(np.angle(np.linalg.eigvals(relative))), ROUNDED)


def geodesic_distance(angles: Matrix) -> Matrix:
    """`‖log R‖_F = √Σθ²` over all N eigen-angles: the length of the shortest path from `K` to `K'`.

    The path runs in O(N) where the determinants agree. Where they do not, no path in O(N) joins the keys: an eigenvalue
    -1 without a partner counts π, as on the shortest path in the unitary group, which holds both parts of O(N).
    """
    return np.sqrt((angles**2).sum(axis=1))


def signed_permutation_distance(relative: Matrix) -> Matrix:
    """`‖R - P‖_F` for the nearest signed permutation: `2 (N - Σ|R_iπ(i)|)`, the best assignment π."""
    sizes = np.abs(relative)
    best = np.array([size[linear_sum_assignment(size, maximize=True)].sum() for size in sizes])
    return np.sqrt(2 * np.maximum(relative.shape[-1] - best, 0))


def sparsity(relative: Matrix) -> Matrix:
    """`(N√N - Σ|R_ij|) / (N√N - N)`: 1 for signed permutations, 0 where every entry is `±1/√N`; 1 for N = 1."""
    size = relative.shape[-1]
    if size == 1:
        return np.ones(len(relative))
    most = size * np.sqrt(size)
    return np.asarray((most - np.abs(relative).sum(axis=(1, 2))) / (most - size))


def band_response(relative: Matrix, cut: KeyCut) -> Matrix:
    """Share of the energy of each band that a relative key leaves in that band: `(keys, bands)`, 0 to 1.

    Samples: a key acts on a waveform as a periodic filter, which turns a tone at ω into tones at ω + 2πk/M; the share
    left at ω is `|fᴴ R f|²` with `f = exp(iωn) / √M`, the mean over `TONES` tones of a band. Tiles and frames: the
    share of the white energy of a band of bins that ends up in bins of that band.
    """
    block_size = cut.merged.block_size
    if cut.blocks is Blocks.SAMPLES:
        tones = (np.arange(BANDS * TONES) + 0.5) / (BANDS * TONES) * np.pi
        waves = np.exp(1j * np.outer(np.arange(block_size), tones)) / np.sqrt(block_size)
        left = (waves.conj() * (relative.mT @ waves)).sum(axis=1)
        return (np.abs(left) ** 2).reshape(len(relative), BANDS, TONES).mean(2)
    bins = np.arange(block_size)
    if cut.blocks is Blocks.TILES:
        bins = np.tile(np.repeat(bins, block_size), cut.span)
    count = min(BANDS, block_size)
    band = bins * count // block_size
    squares = relative**2
    shares = [squares[:, band == b][:, :, band == b].sum(axis=(1, 2)) / (band == b).sum() for b in range(count)]
    return np.stack(shares, axis=1)


def geodesic_steps(size: int, lengths: Sequence[float], draws: int, seed: int) -> NDArray[np.float64]:
    """Rotations `exp(ε A)` of size N, `(lengths, draws, N, N)`: steps of geodesic length `ε √N` in random directions.

    A is skew-symmetric and Gaussian, so that its direction is uniform whatever the basis, with `‖A‖_F = √N`: a small ε
    is the relative error `‖K' - K‖ / ‖K‖` of the key it leads to. Every length takes the same directions.
    """
    if size < 2:
        raise BadInput("Keys of one element have no near ones: choose a larger --block.")
    gaussian = np.random.default_rng(seed).normal(size=(draws, size, size))
    skew = gaussian - gaussian.mT
    skew *= np.sqrt(size) / np.linalg.norm(skew, axis=(1, 2), keepdims=True)
    steps = torch.from_numpy(np.asarray(lengths, dtype=np.float64)[:, None, None, None] * skew)
    return np.asarray(torch.linalg.matrix_exp(steps).numpy())
