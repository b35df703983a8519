"""What one matrix of a derived scheme protects: the part of a victim's speech that attacks are given and scored on.

Everybody knows when the matrix changes, so an attack on a single matrix takes the speech that one matrix encrypted.
Under a schedule that is the first slot of each of the victim's queries, since slots count from the beginning of a
query; under nonces, their longest utterance, or its first slot. A key that is recovered opens that part and nothing
else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from wrongkey.attacks.base import Attack, Matrix, Need
from wrongkey.evaluation.corpora import Utterance
from wrongkey.keys import correct_key
from wrongkey.keys.derived import Derived, Label, correct_seed, derived_matrices, public_nonce
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Scheme

Spoken = tuple[Utterance, Tensor]  # an utterance and its query
OF_MANY: frozenset[Need] = frozenset({"labelled ciphertext", "ciphertext of many"})


def key_of(scheme: Scheme, size: int, seed: int) -> Matrix:
    """The matrix `(N, N)` of a trial with this seed: under a derived scheme, that of its first slot and of a nonce."""
    if (derived := scheme.derived) is None:
        return correct_key(scheme, size, seed)
    label = Label(public_nonce(seed, 0) if derived.nonce else None)
    found: Matrix = derived_matrices(derived, size, correct_seed(scheme, size, seed)[None], [label])[0, 0]
    return np.ascontiguousarray(found)


def under_one_key(derived: Derived | None, cut: KeyCut, rate: float, spoken: Sequence[Spoken]) -> list[Spoken]:
    """What of a victim's speech is encrypted with that matrix: all of it, unless the scheme is derived."""
    if derived is None or not spoken:
        return list(spoken)
    of_one = [max(spoken, key=lambda one: one[1].shape[-1])] if derived.nonce else spoken
    return [(utterance, first_slot(derived, cut, rate, query)) for utterance, query in of_one]


def first_slot(derived: Derived | None, cut: KeyCut, rate: float, query: Tensor) -> Tensor:
    """A query until the first key ends."""
    if derived is None:
        return query
    length = query.shape[-1]
    return query[..., : derived.slots(cut.steps, rate, length).of(length)[0][1]]


def why_not(derived: Derived | None, attack: Attack) -> str | None:
    """Why an attack does not apply to a derived scheme, as a sentence; None where it does."""
    if derived is not None and derived.nonce and attack.threat.needs & OF_MANY:
        return "It needs many utterances under one key, and every utterance has a key of its own."
    return None
