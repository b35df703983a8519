"""`linear-prediction` on speech that was whitened before encryption, for ciphertext whose truth nobody knows.

`polyphase` needs bands whose powers change differently with time, and whitening leaves few. Linear prediction needs any
spectrum that is not flat: that of the pre-emphasis with which a model reads whitened speech will do.
"""

from __future__ import annotations

from dataclasses import replace

from wrongkey.attacks.base import Setting
from wrongkey.attacks.waveforms.linear_prediction import LinearPrediction
from wrongkey.attacks.waveforms.linear_prediction_settings import DEFAULTS
from wrongkey.attacks.waveforms.whitened_speech import whitened


class WhitenedPrediction(LinearPrediction):
    """Multi-state linear prediction of whitened speech in small blocks.

    Parameters
    ----------
    agreed
        The least correlation of what the whole's key and a half's decrypt.
    largest
        The most samples of a block: of larger ones the search takes minutes.
    """

    def __init__(self, agreed: float, largest: int) -> None:
        super().__init__(replace(DEFAULTS, halves=agreed))
        self._largest = largest

    def inapplicable(self, setting: Setting) -> str | None:
        """Only whitened speech in small blocks, and what the search itself is for."""
        if not whitened(setting.scheme.name):
            return "This search is for whitened speech; of other speech polyphase finds keys in less time."
        if setting.size > self._largest:
            most = self._largest
            return f"This search takes minutes for blocks of more than {most} samples, and these have {setting.size}."
        return super().inapplicable(setting)
