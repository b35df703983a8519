"""Keys of spectrogram blocks from ciphertext alone, against the statistics of other people's spectrograms.

What a key hides is which direction of a block is which. It does not hide where a block stands: the row (which bins) and
the neighbours. Plain background speech shows how a block of each row follows from its neighbours (module `likelihood`),
and the right key is the one under which the victim's blocks fit: Flipping by local search over signs, Shuffling over
orders (module `signs_and_orders`; of the bins of whole frames first by what every order shows, `bin_order`), ROM by a
search from few directions to all (module `search`).

Where a front end takes each bin's mean away, covariances leave the global sign open; the skewness of what neighbours
do not explain settles it: the noise of a logarithmic spectrum has its long tail downwards.

An order moves magnitudes and changes none, so under Shuffling spectrograms that are nowhere negative are read as their
logarithms, for which the statistics hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Recovery, Setting, Threat
from wrongkey.attacks.solvers.key_lists import part_of_its_group
from wrongkey.attacks.spectrograms.annealing import annealed_order, rearranged
from wrongkey.attacks.spectrograms.bin_order import PublicBins, bin_statistics, groups, likely_order, public_bins
from wrongkey.attacks.spectrograms.likelihood import TileLikelihood, third_moments, whitening
from wrongkey.attacks.spectrograms.search import Ranked, polished, polished_along, search
from wrongkey.attacks.spectrograms.settings import SpectrogramMomentsSettings
from wrongkey.attacks.spectrograms.signs_and_orders import find_flips, find_order, nearest_order, order_by_variance
from wrongkey.attacks.spectrograms.statistics import Moments, block_grid, moments
from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Group

DEFAULTS = SpectrogramMomentsSettings()
SECONDS = (10.0, 30.0, 75.0)  # of ciphertext
INDECISIVE = "keys with single directions wrong fit nearly as well in blocks so large, so that J does not tell"
PLAIN = "The spectrograms look like plain speech as they are."


class SpectrogramMoments(AttackDefaults):
    """Ciphertext only, spectrograms: tiles or frames, by what other people's spectrograms are like."""

    name = "spectrogram-moments"
    family = 5
    threat = Threat(
        adversary="Sees one victim's encrypted spectrograms and has plain spectrograms of other people.",
        needs=frozenset({"ciphertext", "other speech"}),
    )

    def __init__(self, settings: SpectrogramMomentsSettings = DEFAULTS) -> None:
        self.settings = settings
        self._public: _Public | None = None

    def inapplicable(self, setting: Setting) -> str | None:
        """It needs spectrograms, a scheme that fills one of three groups, and blocks of moderate size."""
        scheme, most = setting.scheme, self.settings.largest
        if setting.blocks is Blocks.SAMPLES:
            return "It reads spectrograms, and these blocks are samples of a waveform."
        if scheme.group is Group.SIGNED_PERMUTATIONS or part_of_its_group(scheme, setting.size):
            return (
                "It searches all permutations, all signs or all orthogonal matrices, and the keys of the scheme "
                f"{scheme.name} are none of these."
            )
        if not 1 < setting.size <= most:
            return f"Blocks of N = {setting.size} are beyond its search, which reaches from 2 to {most}."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Some seconds of ciphertext, from few to many."""
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """Find the key of least J.

        In large blocks J does not tell a right key from one with single directions wrong, so a search of half of the
        ciphertext must end in a key that decrypts the same, and under Shuffling two starts in the same key. Success is
        left open (None) where they do not, and for whole frames under ROM. Raises BadInput without ciphertext or
        background speech.
        """
        if evidence.background is None or not evidence.background.queries:
            raise BadInput("The attack spectrogram-moments learns from plain speech of other people: name its corpus.")
        setting, settings, seed = evidence.setting, self.settings, evidence.seed
        public = self._learned(evidence.background, setting)
        problem = _Problem(public, [public.grid(query) for query in evidence.ciphertext], seed, settings)
        objective = problem.objective
        decisive, note = setting.size <= settings.small, ""
        single = public.filled_rows == 1  # as of whole frames: its moments do not tell keys of O(N) apart
        match setting.scheme.group:
            case Group.SIGNS:
                key, decisive = find_flips(objective, public.plain, problem.cipher, seed, settings.flip_starts), True
            case Group.PERMUTATIONS:
                key, agreed = _order(problem)
                decisive = decisive or (agreed and _half_agrees(problem, key, lambda half: _order(half)[0]))
                note = "" if decisive else INDECISIVE
            case _:
                best = _orthogonal(problem)
                both = torch.cat([best.keys[:1], -best.keys[:1]])
                if decisive:
                    key, _ = polished(objective, both, settings)
                    decisive = not single
                else:
                    key = polished_along(public.plain, problem.cipher, both, settings)
                    decisive = not single and _half_agrees(problem, key, lambda half: _orthogonal(half).keys[0])
                note = f"{best.agreed} starts of the first stage agree" + ("" if decisive else f"; {INDECISIVE}")
        if setting.scheme.signed:
            key = with_sign(key, objective, public, problem.grids, settings.sign_difference)
        success_claimed: bool | None = False
        if float((key - torch.eye(len(key))).norm()) < settings.plain * len(key) ** 0.5:
            note = PLAIN
        elif fits(objective, key, seed, settings):
            success_claimed = True if decisive else None
        return Recovery(key.numpy(), success_claimed, objective=float(objective.value(key[None])[0]), note=note)

    def _learned(self, background: BackgroundSpeech, setting: Setting) -> _Public:
        """Statistics of the background speech, kept from trial to trial."""
        known, orders = self._public, setting.scheme.group is Group.PERMUTATIONS
        if known is None or known.background is not background or (known.cut, known.orders) != (setting.cut, orders):
            self._public = known = _Public(background, setting.cut, orders, self.settings)
        return known


class _Public:
    """Statistics of plain background blocks: moments, what whitens them, third moments of the residuals.

    orders: whether keys are orders, so that magnitudes are read as logarithms.
    """

    def __init__(
        self, background: BackgroundSpeech, cut: KeyCut, orders: bool, settings: SpectrogramMomentsSettings
    ) -> None:
        queries = background.as_users
        self.background, self.cut, self.orders, self.settings = background, cut, orders, settings
        self.quietest = 0.0  # magnitude, where logarithms are taken
        if orders and all(bool((query >= 0).all()) for query in queries):
            self.quietest = settings.quietest * float(torch.stack([query.double().mean() for query in queries]).mean())
        self.plain = moments(self.grid(query) for query in queries)
        self.white = whitening(self.plain, settings.noise)
        heard = islice((grid for grid in map(self.grid, queries) if grid.shape[1] > 2), settings.skewness_queries)
        self.third = third_moments(self.white, list(heard))

    @property
    def filled_rows(self) -> int:
        """Rows of blocks that hold more speech than padding."""
        varying = self.plain.covariance[:, 0].diagonal(dim1=1, dim2=3)[:, 0] > 0  # (rows, N)
        return int((varying.double().mean(1) > 0.5).sum())

    def grid(self, query: Tensor) -> Tensor:
        """The blocks `(rows, columns, N)` of a query, as the attack reads them."""
        grid = block_grid(query, self.cut)
        return grid.clamp(min=self.quietest).log() if self.quietest else grid

    def bins(self, frames: int) -> PublicBins:
        """What groups of background speech of so many whole frames have in common."""
        queries = [self.grid(query)[0] for query in self.background.as_users]
        most = max(sum(map(len, queries)) // self.settings.groups, 3)  # there must be some groups to compare
        return public_bins(list(groups(queries, min(frames, most))), self.settings)


@dataclass(frozen=True)
class _Problem:
    """What is attacked, and what is known."""

    public: _Public
    grids: list[Tensor]  # of blocks, one of each query
    seed: int
    settings: SpectrogramMomentsSettings

    @cached_property
    def cipher(self) -> Moments:
        """Moments of the ciphertext; BadInput where it has too few columns."""
        return moments(self.grids)

    @cached_property
    def objective(self) -> TileLikelihood:
        """J, with the noise of the end of a search."""
        return TileLikelihood(self.public.white, self.cipher, means=True, negligible=self.settings.negligible)

    @property
    def half(self) -> _Problem:
        """The second half of each query."""
        return replace(self, grids=[grid[:, grid.shape[1] // 2 :] for grid in self.grids], seed=self.seed + 1)


def with_sign(
    key: Tensor, objective: TileLikelihood, public: _Public, grids: list[Tensor], difference: float
) -> Tensor:
    """Return the key `(N, N)` or its negative: by the rows' means, or by skewness where they differ by less in J."""
    here, there = objective.value(torch.stack([key, -key])).tolist()
    if abs(here - there) > difference:
        return key if here < there else -key
    skewness = (third_moments(public.white, [grid @ key.mT for grid in grids]) * public.third).sum()
    return key if float(skewness) >= 0 else -key


def fits(objective: TileLikelihood, key: Tensor, seed: int, settings: SpectrogramMomentsSettings) -> bool:
    """Whether decrypted blocks fit their neighbours about as plain speech does, and under random keys do not."""
    random = torch.from_numpy(draw_keys("rom", len(key), seed, 0, settings.random_keys))
    value = float(objective.value(key[None])[0])
    return value < settings.loose and value < settings.fits * float(objective.value(random).median())


def agreement(one: Tensor, other: Tensor, covariance: Tensor) -> float:
    """Correlation, 0 to 1 whatever the sign, of what two orthogonal keys `(N, N)` decrypt of such ciphertext."""
    return abs(float((one @ covariance @ other.mT).trace() / covariance.trace()))


def _half_agrees(problem: _Problem, key: Tensor, find: Callable[[_Problem], Tensor]) -> bool:
    """Whether what is found in half of the ciphertext decrypts what the key does, up to the sign."""
    try:
        other = find(problem.half)
    except BadInput:  # too few columns
        return False
    return agreement(key, other, problem.cipher.covariance[:, 0, :, 0].mean(0)) >= problem.settings.agreed


def _orthogonal(problem: _Problem) -> Ranked:
    """Orthogonal keys of small J, the least first."""
    return search(problem.public.plain, problem.cipher, problem.seed, problem.settings)


def _order(problem: _Problem) -> tuple[Tensor, bool]:
    """The Shuffling key of least J, and whether two searches ended in it.

    The searches start at the order by variances, and at the orders nearest to the orthogonal key of small blocks, or
    at annealed orders of large ones, of whole frames by their bins' statistics first.
    """
    public, cipher, settings = problem.public, problem.cipher, problem.settings
    starts = [order_by_variance(public.plain, cipher)]
    if cipher.mean.shape[-1] <= settings.small:
        orthogonal = _orthogonal(problem).keys[0]
        starts += [nearest_order(orthogonal), nearest_order(-orthogonal)]
    elif public.cut.blocks is Blocks.FRAMES and len(cipher.mean) == 1:
        starts += _frame_orders(problem)
    else:
        for number, noise in enumerate(settings.annealing_noises):
            starts.append(annealed_order(_rough(problem, noise), starts[0], problem.seed + number, settings))
    ends = [find_order(problem.objective, start, settings.order_rounds) for start in starts]
    best = min(ends, key=lambda pair: pair[1])[0]
    return best, sum(torch.equal(best, key) for key, _ in ends) > 1


def _frame_orders(problem: _Problem) -> list[Tensor]:
    """Orders of the bins of whole frames, annealed by their statistics and then by J."""
    frames, settings = [grid[0] for grid in problem.grids], problem.settings
    known, seen = problem.public.bins(sum(map(len, frames))), bin_statistics(frames, settings)
    rough = _rough(problem, settings.frame_noise)
    orders = []
    for number in range(problem.seed, problem.seed + settings.frame_starts):
        likely = likely_order(known, seen, number, settings)
        orders.append(rearranged(rough, likely, number, settings.likelihood_temperatures, settings))
    return orders


def _rough(problem: _Problem, noise: float) -> TileLikelihood:
    """J for annealing, with that much noise in the public statistics."""
    white, negligible = whitening(problem.public.plain, noise), problem.settings.annealing_negligible
    return TileLikelihood(white, problem.cipher, means=True, negligible=negligible)
