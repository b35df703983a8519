"""Keys of spectrogram blocks from ciphertext alone, against the statistics of other people's spectrograms.

What a key hides is which direction of a block is which. It does not hide where a block stands: the row (which bins) and
the neighbours. Plain speech of other people says how a block of each row follows from its neighbours
(`tile_likelihood`), and the right key is the one under which the victim's blocks fit: Flipping by local search over
signs, Shuffling over orders (`tile_discrete`), ROM by a search from few directions to all (`tile_search`).

Where a front end takes each bin's mean away, covariances leave the global sign open; the skewness of what neighbours
do not explain settles it: the noise of a logarithmic spectrum has its long tail downwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Recovery, Setting, Threat
from wrongkey.attacks.spectrograms.annealing import annealed_order
from wrongkey.attacks.spectrograms.likelihood import TileLikelihood, Whitening, third_moments, whitening
from wrongkey.attacks.spectrograms.search import NOISE, SMALL, polished, search
from wrongkey.attacks.spectrograms.signs_and_orders import find_flips, find_order, nearest_order, order_by_variance
from wrongkey.attacks.spectrograms.statistics import Moments, block_grid, moments
from wrongkey.errors import BadInput
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.schemes import Group

SECONDS = (10.0, 30.0, 75.0)
SCHEMES = ("shuffling", "flipping", "rom")
LARGEST = 256  # N; beyond it moments of neighbourhoods take more memory than they are worth
SIGN_TOLD = 2e-3  # difference of J between a key and its negative from which means tell the sign
FITS = 0.2  # a key is believed where J has fallen to this share of a random key's, and lies below `LOOSE`
LOOSE = 1.0  # J of plain public speech is 1/2
NOT_TOLD = "keys with single directions wrong fit nearly as well in blocks so large, so that J does not tell"
ANNEALED_AT = (0.1, 0.1, 0.01)  # noise in the public model while orders are annealed, one search each
WORK = 6e9  # multiplications of one
ROUGH = 1e-3  # terms of J that annealing leaves out, of the largest
HEARD = 40  # grids of public speech whose skewness is taken


class SpectrogramMoments:
    """Ciphertext only, spectrograms: tiles or frames, by what other people's spectrograms are like."""

    name = "spectrogram-moments"
    family = 5
    threat = Threat(
        adversary="Sees one victim's encrypted spectrograms and has plain spectrograms of other people.",
        needs=frozenset({"ciphertext", "other speech"}),
    )

    def __init__(self) -> None:
        self._public: tuple[BackgroundSpeech, tuple[int, str], _Public] | None = None

    def inapplicable(self, setting: Setting) -> str | None:
        if setting.blocks == "samples":
            return "it reads spectrograms, and these blocks are samples of a waveform"
        scheme = setting.scheme
        if scheme.group is Group.SIGNED_PERMUTATIONS or (not scheme.monomial and scheme.finite(setting.size)):
            return f"It searches permutations, signs and all orthogonal keys, and the scheme is {scheme.name}."
        if not 1 < setting.size <= LARGEST:
            return f"blocks of N = {setting.size} are beyond its search, which reaches from 2 to {LARGEST}"
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """The key of least J. Raises BadInput without ciphertext or other people's speech.

        The verdict is None where N is above `SMALL` and J alone would have to tell a right key from one with a few
        wrong directions: it does not (module `tile_search`).
        """
        if evidence.background is None or not evidence.background.queries:
            raise BadInput("The attack spectrogram-moments learns from other people's speech: name a corpus of others.")
        setting = evidence.setting
        public = self._learned(evidence.background, setting)
        grids = [block_grid(query, setting.block_size, setting.blocks) for query in evidence.ciphertext]
        cipher = moments(grids)
        objective = TileLikelihood(public.white, cipher, means=True)
        note = ""
        told = setting.scheme.group is Group.SIGNS or setting.size <= SMALL
        if setting.scheme.group is Group.SIGNS:
            key = find_flips(objective, public.plain, cipher, evidence.seed)
        elif setting.scheme.group is Group.PERMUTATIONS:
            key, agreed = _order(public, cipher, evidence.seed)
            told = told or agreed
            note = "" if told else NOT_TOLD
        else:
            found = search(public.plain, cipher, evidence.seed)
            key, _ = polished(objective, torch.cat([found.keys[:1], -found.keys[:1]]))
            note = f"{found.agreed} starts of the first stage agree" + ("" if told else f"; {NOT_TOLD}")
        if setting.scheme.group is not Group.PERMUTATIONS:
            key = with_sign(key, objective, public, grids)
        value = float(objective.value(key[None])[0])
        fit = fits(objective, key, evidence.seed)
        return Recovery(
            key.numpy(), success_claimed=(True if told else None) if fit else False, objective=value, note=note
        )

    def _learned(self, background: BackgroundSpeech, setting: Setting) -> _Public:
        """What the others' speech says; kept, because trials share it."""
        cut = setting.block_size, setting.blocks
        if self._public is None or self._public[0] is not background or self._public[1] != cut:
            self._public = background, cut, _Public(background.queries, *cut)
        return self._public[2]


class _Public:
    """Statistics of other people's plain blocks: moments, what whitens them, third moments of the residuals."""

    def __init__(self, queries: Sequence[Tensor], block_size: int, blocks: str) -> None:
        def grids(some: Sequence[Tensor]) -> list[Tensor]:
            return [block_grid(query, block_size, blocks) for query in some]  # type: ignore[arg-type]

        self.plain: Moments = moments(grid for query in queries for grid in grids([query]))
        self.white: Whitening = whitening(self.plain, NOISE)
        self.third: Tensor = third_moments(self.white, grids(queries[:HEARD]))


def with_sign(key: Tensor, objective: TileLikelihood, public: _Public, grids: list[Tensor]) -> Tensor:
    """The key `(N, N)` or its negative: by the rows' means, or by skewness where they say nothing."""
    here, there = objective.value(torch.stack([key, -key])).tolist()
    if abs(here - there) > SIGN_TOLD:
        return key if here < there else -key
    skewness = (third_moments(public.white, [grid @ key.mT for grid in grids]) * public.third).sum()
    return key if float(skewness) >= 0 else -key


def fits(objective: TileLikelihood, key: Tensor, seed: int) -> bool:
    """Whether decrypted blocks fit their neighbours about as plain speech does, and under random keys do not."""
    random = torch.from_numpy(draw_keys("rom", len(key), seed, 0, 8))
    value = float(objective.value(key[None])[0])
    return value < LOOSE and value < FITS * float(objective.value(random).median())


def _order(public: _Public, cipher: Moments, seed: int) -> tuple[Tensor, bool]:
    """The Shuffling key of least J: of small blocks the order nearest to the orthogonal key, of others annealed.

    And whether two annealings ended in it.
    """
    size = cipher.mean.shape[-1]
    last = TileLikelihood(public.white, cipher, means=True)
    starts = [order_by_variance(public.plain, cipher)]
    if size <= SMALL:
        orthogonal = search(public.plain, cipher, seed).keys[0]
        starts += [nearest_order(orthogonal), nearest_order(-orthogonal)]
    else:
        for again, noise in enumerate(ANNEALED_AT):
            rough = TileLikelihood(whitening(public.plain, noise), cipher, means=True, negligible=ROUGH)
            starts.append(annealed_order(rough, starts[0], seed + again, WORK))
    found = [find_order(last, start) for start in starts]
    best = min(found, key=lambda pair: pair[1])[0]
    return best, sum(torch.equal(best, key) for key, _ in found) > 1
