"""Examples of plain and encrypted speech for figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from wrongkey.evaluation.corpora import Utterance
from wrongkey.files import PRIVATE, atomic_write, explained_errors, file_name
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut


def write_media(
    folder: Path,
    utterance: Utterance,
    query: Tensor,
    blocks: Blocks,
    schemes: Sequence[str],
    block_sizes: Sequence[int],
    seed: int,
) -> None:
    """The utterance as it is and under each scheme and block size (Figs. 3 to 6), one .npz for each kind of blocks.

    Arrays `plain` and `<scheme>-<M>`, float16: `(samples,)`, or `(bins, frames)` magnitudes with their signs.
    """
    arrays = {"plain": query}
    for scheme in schemes:
        for block_size in block_sizes:
            key = correct_key(scheme, KeyCut(blocks, block_size).size, seed)
            arrays[f"{scheme}-{block_size}"] = encrypt_query(query, key, blocks=blocks)
    small = {name: array.half().numpy() for name, array in arrays.items()}
    with explained_errors(folder, "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{file_name(utterance.id)}-{blocks}.npz", mode=PRIVATE) as file:
            np.savez_compressed(file, allow_pickle=False, **small)
