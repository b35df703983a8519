"""Finite schemes as a user may add them: signed permutations, cyclic shifts, and turns by few angles."""

from __future__ import annotations

from math import factorial

import numpy as np

from wrongkey.keys.schemes import Group, Scheme

ANGLES = 12


def _signed(size: int, words: np.ndarray) -> np.ndarray:
    orders = np.argsort(words[:, :size], axis=1, kind="stable")
    signs = 1.0 - 2.0 * (words[:, size:] >> np.uint64(63)).astype(np.float64)
    return np.eye(size)[orders] * signs[:, :, None]


def _shifts(size: int, ranks: np.ndarray) -> np.ndarray:
    return np.stack([np.roll(np.eye(size), int(rank), axis=1) for rank in ranks])


def _turns(size: int, ranks: np.ndarray) -> np.ndarray:
    keys = np.tile(np.eye(size), (len(ranks), 1, 1))
    for key, angle in zip(keys, 2 * np.pi * ranks.astype(float) / ANGLES, strict=True):
        for first in range(0, size - 1, 2):
            pair = slice(first, first + 2)
            key[pair, pair] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    return keys


SIGNED = Scheme(
    "signed", lambda size: 2 * size, _signed, lambda size: 2**size * factorial(size), group=Group.SIGNED_PERMUTATIONS
)
# Permutations, but only N of them.
SHIFTS = Scheme(
    "shifts",
    lambda size: 1,
    lambda size, words: _shifts(size, words[:, 0] % np.uint64(size)),
    lambda size: size,
    _shifts,
    group=Group.PERMUTATIONS,
)
# Orthogonal matrices that turn every two elements by one of a few angles: in no smaller group.
TURNS = Scheme(
    "turns", lambda size: 1, lambda size, words: _turns(size, words[:, 0] % np.uint64(ANGLES)), lambda _: ANGLES, _turns
)
