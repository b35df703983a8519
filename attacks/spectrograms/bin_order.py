"""The order of the bins of whole frames under Shuffling, from how bins go together in public speech.

An order hides neither the levels of a bin nor which bins change together. Windows and filters overlap, so that bins
side by side share much of the noise of short-time spectra, whoever speaks: of second differences over time correlations
are large near the diagonal, and nearly the same for everyone. Statistics of groups of background speech, as long as the
ciphertext, give each number its mean and variance; the sum of squared deviations, in units of these variances, is a
quadratic assignment (`annealing`). Its minimum is near the right order and mistakes single bins, for which the
likelihood of module `likelihood` is the better judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wrongkey.attacks.spectrograms.annealing import Assignment, rearranged
from wrongkey.attacks.spectrograms.settings import SpectrogramMomentsSettings
from wrongkey.attacks.spectrograms.signs_and_orders import nearest_order
from wrongkey.errors import BadInput


@dataclass(frozen=True)
class BinStatistics:
    """Of N bins.

    Attributes
    ----------
    changes, levels : Tensor
        Correlations `(N, N)` of second differences over time and of levels.
    profile : Tensor
        `(N, F)`, of each bin alone: quantiles of its level, logarithms of the deviations, skewness of the changes.
    """

    changes: Tensor
    levels: Tensor
    profile: Tensor

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """All three."""
        return self.changes, self.levels, self.profile


@dataclass(frozen=True)
class PublicBins:
    """Mean and variance of the statistics between groups of background speech."""

    mean: BinStatistics
    variance: BinStatistics


def bin_statistics(frames: Sequence[Tensor], settings: SpectrogramMomentsSettings) -> BinStatistics:
    """Return the statistics of frames `(t, N)` of several queries; a bin that never changes correlates with none.

    Raises BadInput where fewer than two changes are seen.
    """
    if sum(max(len(rows) - 2, 0) for rows in frames) < 2:
        raise BadInput("The order of bins is found by how they change over three frames: give more ciphertext.")
    level = torch.cat(list(frames)).mT
    change = torch.cat([rows[1:-1] - (rows[:-2] + rows[2:]) / 2 for rows in frames if len(rows) > 2]).mT
    spread = level.std(1)
    unit = spread.mean().clamp(min=1e-12)
    quantiles = torch.quantile(level, level.new_tensor(settings.quantiles), dim=1).mT
    deviation = change.std(1).clamp(min=1e-6 * unit)
    skewness = (change / deviation[:, None]).pow(3).mean(1)
    own = [(spread / unit).clamp(min=1e-6).log(), (deviation / unit).log(), skewness]
    profile = torch.cat([(quantiles - level.mean()) / unit, torch.stack(own, 1)], dim=1)
    return BinStatistics(_correlations(change), _correlations(level), profile)


def public_bins(queries: Sequence[Sequence[Tensor]], settings: SpectrogramMomentsSettings) -> PublicBins:
    """Return what groups of background speech have in common; variances have at least the floor of `settings`.

    Raises BadInput for fewer than two groups.
    """
    if len(queries) < 2:
        raise BadInput("The background speech is too short to be compared with itself: give more of it.")
    parts = zip(*(bin_statistics(group, settings).parts for group in queries), strict=True)
    stacked = [torch.stack(part) for part in parts]
    spread = [part.var(0) for part in stacked]
    return PublicBins(
        BinStatistics(*(part.mean(0) for part in stacked)),
        BinStatistics(*(part + settings.variance_floor * part.mean() + 1e-12 for part in spread)),
    )


def groups(queries: Sequence[Tensor], frames: int) -> Iterator[list[Tensor]]:
    """Yield groups of queries `(t, N)`, or of pieces of long ones, of at least that many frames together."""
    group: list[Tensor] = []
    for piece in (piece for query in queries for piece in torch.split(query, frames)):
        group.append(piece)
        if sum(map(len, group)) >= frames:
            yield group
            group = []


def likely_order(public: PublicBins, seen: BinStatistics, seed: int, settings: SpectrogramMomentsSettings) -> Tensor:
    """Return a Shuffling key `(N, N)` of small deviations, annealed from the order by the profile alone."""
    problem = _assignment(public, seen)
    start = nearest_order(problem.linear)
    return rearranged(problem, start, seed, settings.rough_temperatures, settings)


def _assignment(public: PublicBins, seen: BinStatistics) -> Assignment:
    """Σ (public - seen)² / (2 variance) of all three statistics, without what no order changes."""
    mean, variance = public.mean, public.variance
    weights, values = [], []
    for ours, theirs, spread in zip(mean.parts[:2], seen.parts[:2], variance.parts[:2], strict=True):
        weights += [_off_diagonal(-ours / spread), _off_diagonal(0.5 / spread)]
        values += [theirs, theirs.square()]
    apart = (mean.profile[:, None] - seen.profile).square() / (2 * variance.profile[:, None])
    return Assignment(torch.stack(weights), torch.stack(values), -apart.sum(2))


def _correlations(rows: Tensor) -> Tensor:
    """Correlations `(N, N)` of rows `(N, t)`, zero where a row is constant."""
    return torch.corrcoef(rows).nan_to_num(0.0)


def _off_diagonal(matrix: Tensor) -> Tensor:
    return matrix - torch.diag(matrix.diagonal())
