"""Whom a key protects less than others: EER within a gender, and that of the least protected speaker.

A mean over a corpus hides those for whom the protection fails. An error rate within a group takes the trials whose two
speakers are both in it, as VoicePrivacy reports women and men; that of one speaker takes all trials of that speaker.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.evaluation.metrics.error_rates import eer

FEWEST = 30  # trials of each kind in a group (Doddington's rule speaks of errors; fewer trials cannot have as many)
FEWEST_OF_SPEAKER = 20  # trials of each kind of one speaker: ten to be picked by, ten to be judged by

Indices = NDArray[np.int64]


def within_genders(
    target: NDArray[np.bool_], speakers: Indices, genders: tuple[str | None, ...]
) -> Mapping[str, Indices]:
    """Trials within each gender that has `FEWEST` of both kinds, as indices by the gender's name.

    speakers: `(trials, 2)` numbers into `genders`.
    """
    of_trial = np.array([gender or "" for gender in genders], dtype=object)[speakers]
    found = {}
    for gender in sorted({gender for gender in genders if gender}):
        mask = (of_trial == gender).all(1)
        if min((mask & target).sum(), (mask & ~target).sum()) >= FEWEST:
            found[gender] = np.flatnonzero(mask)
    return found


def halves_of_speakers(target: NDArray[np.bool_], speakers: Indices) -> tuple[tuple[Indices, Indices], ...]:
    """The trials of each speaker who has `FEWEST_OF_SPEAKER` of both kinds, as two halves of both kinds.

    Trials go to the halves in turn, in the order of the list. Empty where fewer than two speakers have
    enough trials: there is no worst of one.
    """
    found = []
    for speaker in np.unique(speakers):
        of = (speakers == speaker).any(1)
        kinds = [np.flatnonzero(of & kind) for kind in (target, ~target)]
        if min(map(len, kinds)) >= FEWEST_OF_SPEAKER:
            one, other = (np.concatenate([kind[start::2] for kind in kinds]) for start in (0, 1))
            found.append((one, other))
    return tuple(found) if len(found) > 1 else ()


def eer_of_least_protected(scores: Tensor, target: Tensor, halves: tuple[tuple[Indices, Indices], ...]) -> Tensor:
    """EER in percent of the speaker whom each key protects least, `(keys,)`.

    That is the speaker with the lowest EER. The lowest of many noisy rates is too low, so a speaker picked by one half
    of their trials is judged by the other half, and the other way round; the value is the mean of both.

    scores: `(keys, trials)`.  halves: of `halves_of_speakers`, not empty.
    """
    rates = torch.stack(
        [torch.stack([eer(scores[:, half], target[half]) for half in map(torch.from_numpy, both)]) for both in halves]
    )  # (speakers, 2, keys)
    judged = [rates[:, 1 - half].gather(0, rates[:, half].argmin(0, keepdim=True))[0] for half in (0, 1)]
    return (judged[0] + judged[1]) / 2
