"""What an attack found, on its way back from a worker.

It is the victim's key where the attack succeeds, and a Dask worker may write what it sends back to its disk. So it is
encrypted, under a key of the trial's own that the harness has.
"""

from __future__ import annotations

import os

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.harness.salt import TrialSecrets

NONCE_BYTES = 12


def closed(key: Matrix, secrets: TrialSecrets) -> bytes:
    """A matrix `(N, N)` as nobody can read it who lacks the secrets of the trial.

    Examples
    --------
    >>> from wrongkey.attacks.harness.salt import Salt
    >>> secrets = Salt.new().of("sign-chain", 0)
    >>> opened(closed(np.eye(2), secrets), secrets).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(secrets.reply).encrypt(nonce, np.asarray(key, dtype="<f8").tobytes(), secrets.trial)


def opened(data: bytes, secrets: TrialSecrets) -> Matrix:
    """The matrix `(N, N)` in these bytes; raises cryptography's `InvalidTag` where they are of another trial."""
    content = AESGCM(secrets.reply).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], secrets.trial)
    numbers = np.frombuffer(content, dtype="<f8").astype(np.float64)
    return numbers.reshape(round(len(numbers) ** 0.5), -1)
