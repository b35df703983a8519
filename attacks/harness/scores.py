"""How near a recovered key is: the error of the key, and how intelligible decryption with it is.

The global sign of a waveform is inaudible, so for blocks of samples the better of the two signs counts; a spectrogram's
sign is not free. The signal-to-noise ratio is `wrongkey.evaluation.metrics.signal_to_noise`.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.keys.blocks import Blocks


def key_error(estimate: Matrix, key: Matrix, blocks: Blocks | str) -> float:
    """Relative error `‖K̂ - K‖_F / ‖K‖_F` of keys `(N, N)`: 0 to 2, about √2 for an unrelated key.

    Examples
    --------
    >>> key_error(-np.eye(3), np.eye(3), "samples"), key_error(-np.eye(3), np.eye(3), "frames")
    (0.0, 2.0)
    """
    error = float(np.linalg.norm(estimate - key))
    if Blocks.named(blocks) is Blocks.SAMPLES:
        error = min(error, float(np.linalg.norm(estimate + key)))
    return error / float(np.linalg.norm(key))


def stoi(plain: Tensor, decrypted: Tensor, rate: int) -> float:
    """Short-time objective intelligibility of a waveform, 0 to 1 (Taal et al., 2011), by pystoi.

    NaN where the speech is too short for it: shorter than 30 frames, about 0.4 s.
    """
    import warnings

    from pystoi import stoi as measure

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(measure(plain.double().numpy(), decrypted.double().numpy(), rate, extended=False))
        except RuntimeWarning:
            return float("nan")
