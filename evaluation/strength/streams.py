"""Random words by place: chain `i` of a level has its own, however the chains are shared out over processes."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from wrongkey.keys.schemes import Words


def words_of(label: str, start: int, count: int, each: int) -> Words:
    """Uniform 64-bit words `(count, each)` of the rows `start … start + count - 1` of the stream of this label.

    Philox 4x64 (Salmon et al. 2011) is keyed by a hash of the label; a row begins at a block of its counter.
    """
    key = int.from_bytes(blake2b(f"wrongkey/strength/{label}".encode(), digest_size=16).digest(), "little")
    blocks = -(-each // 4)
    raw = np.random.Philox(key=key).advance(start * blocks).random_raw(4 * blocks * count)
    return np.asarray(raw, dtype=np.uint64).reshape(count, 4 * blocks)[:, :each]
