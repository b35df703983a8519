"""Keys of spectrogram blocks from ciphertext alone, against the statistics of other people's spectrograms.

What a key hides is which direction of a block is which. It does not hide where a block stands: the row (which bins) and
the neighbours. Plain background speech shows how a block of each row follows from its neighbours (module `likelihood`),
and the right key is the one under which the victim's blocks fit: Flipping by local search over signs, Shuffling over
orders (module `signs_and_orders`), ROM by a search from few directions to all (module `search`).

Where a front end takes each bin's mean away, covariances leave the global sign open; the skewness of what neighbours
do not explain settles it: the noise of a logarithmic spectrum has its long tail downwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Recovery, Setting, Threat
from wrongkey.attacks.solvers.key_lists import part_of_its_group
from wrongkey.attacks.spectrograms.annealing import annealed_order
from wrongkey.attacks.spectrograms.likelihood import TileLikelihood, third_moments, whitening
from wrongkey.attacks.spectrograms.search import polished, search
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

        Success is left open (None) where blocks are so large that J alone would have to tell a right key from one with
        single directions wrong: it does not (`search`). Raises BadInput without ciphertext or background speech.
        """
        if evidence.background is None or not evidence.background.queries:
            raise BadInput("The attack spectrogram-moments learns from plain speech of other people: name its corpus.")
        setting, settings, seed = evidence.setting, self.settings, evidence.seed
        public = self._learned(evidence.background, setting.cut)
        grids = [block_grid(query, setting.cut) for query in evidence.ciphertext]
        cipher = moments(grids)
        objective = TileLikelihood(public.white, cipher, means=True, negligible=settings.negligible)
        decisive, note = setting.size <= settings.small, ""
        match setting.scheme.group:
            case Group.SIGNS:
                key, decisive = find_flips(objective, public.plain, cipher, seed, settings.flip_starts), True
            case Group.PERMUTATIONS:
                key, agreed = _order(public, cipher, seed, settings)
                decisive = decisive or agreed
                note = "" if decisive else INDECISIVE
            case _:
                best = search(public.plain, cipher, seed, settings)
                key, _ = polished(objective, torch.cat([best.keys[:1], -best.keys[:1]]), settings)
                note = f"{best.agreed} starts of the first stage agree" + ("" if decisive else f"; {INDECISIVE}")
        if setting.scheme.signed:
            key = with_sign(key, objective, public, grids, settings.sign_difference)
        success_claimed: bool | None = False
        if fits(objective, key, seed, settings):
            success_claimed = True if decisive else None
        return Recovery(key.numpy(), success_claimed, objective=float(objective.value(key[None])[0]), note=note)

    def _learned(self, background: BackgroundSpeech, cut: KeyCut) -> _Public:
        """Statistics of the background speech, kept from trial to trial."""
        if self._public is None or self._public.background is not background or self._public.cut != cut:
            self._public = _Public(background, cut, self.settings)
        return self._public


class _Public:
    """Statistics of plain background blocks: moments, what whitens them, third moments of the residuals."""

    def __init__(self, background: BackgroundSpeech, cut: KeyCut, settings: SpectrogramMomentsSettings) -> None:
        queries = background.as_users
        self.background, self.cut = background, cut
        self.plain = moments(block_grid(query, cut) for query in queries)
        self.white = whitening(self.plain, settings.noise)
        heard = queries[: settings.skewness_queries]
        self.third = third_moments(self.white, [block_grid(query, cut) for query in heard])


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


def _order(public: _Public, cipher: Moments, seed: int, settings: SpectrogramMomentsSettings) -> tuple[Tensor, bool]:
    """The Shuffling key of least J, and whether two searches ended in it.

    The searches start at the order by variances, and at the orders nearest to the orthogonal key of small blocks, or
    at annealed orders of large ones.
    """
    last = TileLikelihood(public.white, cipher, means=True, negligible=settings.negligible)
    starts = [order_by_variance(public.plain, cipher)]
    if cipher.mean.shape[-1] <= settings.small:
        orthogonal = search(public.plain, cipher, seed, settings).keys[0]
        starts += [nearest_order(orthogonal), nearest_order(-orthogonal)]
    else:
        for number, noise in enumerate(settings.annealing_noises):
            white, negligible = whitening(public.plain, noise), settings.annealing_negligible
            rough = TileLikelihood(white, cipher, means=True, negligible=negligible)
            starts.append(annealed_order(rough, starts[0], seed + number, settings))
    ends = [find_order(last, start, settings.order_rounds) for start in starts]
    best = min(ends, key=lambda pair: pair[1])[0]
    return best, sum(torch.equal(best, key) for key, _ in ends) > 1
