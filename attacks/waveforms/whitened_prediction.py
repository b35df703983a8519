"""`linear-prediction` on speech that was whitened before encryption, for ciphertext whose truth nobody knows.

`polyphase` needs bands whose powers change differently with time, and whitening leaves few. Linear prediction needs any
spectrum that is not flat: that of the pre-emphasis with which a model reads whitened speech will do. That runs of its
search agree shows that they found the lowest value, not that this is speech. So each half of the ciphertext is attacked
by itself as well, and both must decrypt what the whole does: what noise or another block size makes predictable differs
from half to half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Recovery, Setting
from wrongkey.attacks.waveforms.agreement import agreement_of
from wrongkey.attacks.waveforms.lag_covariances import block_rows
from wrongkey.attacks.waveforms.linear_prediction import LinearPrediction, upright_by_voices, voices
from wrongkey.attacks.waveforms.whitened_speech import whitened
from wrongkey.errors import BadInput

NOT_ALIKE = "The two halves of the ciphertext, attacked by themselves, have other keys."


class WhitenedPrediction(AttackDefaults):
    """Multi-state linear prediction of all ciphertext and of its halves.

    Parameters
    ----------
    agreed
        The least correlation of what the whole's key and a half's decrypt.
    largest
        The most samples of a block: of larger ones the search takes minutes.
    """

    name = LinearPrediction.name
    family = LinearPrediction.family
    threat = LinearPrediction.threat

    def __init__(self, agreed: float, largest: int) -> None:
        self._search = LinearPrediction()
        self._agreed, self._largest = agreed, largest

    def inapplicable(self, setting: Setting) -> str | None:
        """Only whitened speech in small blocks, and what the search itself is for."""
        if not whitened(setting.scheme.name):
            return "This search is for whitened speech; of other speech polyphase finds keys in less time."
        if setting.size > self._largest:
            most = self._largest
            return f"This search takes minutes for blocks of more than {most} samples, and these have {setting.size}."
        return self._search.inapplicable(setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Those of the search."""
        return self._search.cases(setting)

    def run(self, evidence: Evidence) -> Recovery:
        """The key of the whole ciphertext.

        Success is claimed where the search claims it and both halves agree. measured: what the search measured, and the
        least `agreement of halves` where it was claimed.
        """
        recovery = self._search.run(evidence)
        if not recovery.success_claimed:
            return recovery
        size, rate = evidence.setting.size, evidence.setting.rate
        rows = block_rows(evidence.ciphertext, size)
        heard = voices([torch.from_numpy(one) for one in rows], rate)
        assert recovery.key is not None  # the search wants a key
        agreement = 1.0
        for half in halves_of_all(evidence.ciphertext, size):
            try:
                other = self._search.run(replace(evidence, ciphertext=half)).key
            except BadInput as error:  # a half that is silent, say
                return replace(recovery, success_claimed=False, note=str(error))
            assert other is not None
            turned, _ = upright_by_voices(torch.from_numpy(other), heard, rate)
            agreement = min(agreement, agreement_of(recovery.key, turned.numpy(), rows))
        alike = agreement >= self._agreed
        return replace(
            recovery,
            success_claimed=alike,
            measured={**recovery.measured, "agreement of halves": agreement},
            note=recovery.note if alike else NOT_ALIKE,
        )


def halves_of_all(ciphertext: Sequence[Tensor], size: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The first and the second half of the blocks of all queries together."""
    blocks = [query[: len(query) // size * size].reshape(-1, size) for query in ciphertext]
    middle, first, second = sum(map(len, blocks)) // 2, [], []
    for rows in blocks:
        first.append(rows[:middle].flatten())
        second.append(rows[middle:].flatten())
        middle -= min(middle, len(rows))
    return tuple(one for one in first if len(one)), tuple(one for one in second if len(one))
