"""How a kept clip of a run sounds under a key that was picked: encrypted with it, or decrypted with it.

The speech is the original that the run kept (`wrongkey.evaluation.run_folder.media`), so nothing outside the run folder
is read, and real people's speech is heard only where the run was told to keep it.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from wrongkey.keys import decrypt_query, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.view.keys import Key

Speech = NDArray[np.float32]


class Use(StrEnum):
    """What is done with the key.

    ENCRYPT: what an unauthorised user sends, speech encrypted with their own key.
    DECRYPT: what an eavesdropper hears, speech encrypted with the correct key and decrypted with theirs.
    """

    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"


def under_key(speech: Speech, key: Key, correct: Key, use: Use) -> Speech:
    """Speech `(samples,)` encrypted, or wrongly decrypted, with `key` `(N, N)`; as long as it was."""
    sent = encrypt_query(speech, key if use is Use.ENCRYPT else correct, blocks=Blocks.SAMPLES)
    heard = sent if use is Use.ENCRYPT else decrypt_query(sent, key, blocks=Blocks.SAMPLES)
    return np.asarray(heard[: len(speech)], dtype=np.float32)
