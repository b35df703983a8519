"""What encryption costs its owner and its users, in processor seconds."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.harness.target import SPEECH_RATE, Target
from wrongkey.evaluation.first_layer import encrypt_first_layer
from wrongkey.keys import SecretKey, SeedKey, correct_key, encrypt_query, encrypt_scheduled
from wrongkey.keys.derived import Derived

LEVEL = 0.1  # of the noise that stands for a second of speech


def cost_of(target: Target, repeats: int) -> dict[str, Any]:
    """The `Cost` of a target (`wrongkey.evaluation.run_folder.board_cell`): medians over `repeats`.

    A user prepares a second of speech, cuts it and encrypts it; under a derived scheme the matrices are derived as
    well. The owner encrypts the first layer. Both have drawn their key before.
    """
    return {
        "owner_seconds": timed(_owner(target), repeats) if target.model else None,
        "user_seconds": timed(_user(target), repeats),
        "data_factor": target.windows.factor if target.windows else 1.0,
    }


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds; once more before, so that nothing is loaded or compiled while it is timed."""
    work()
    found = []
    for _ in range(repeats):
        begin = process_time()
        work()
        found.append(process_time() - begin)
    return float(median(found))


def _owner(target: Target) -> Callable[[], object]:
    model, key = target.whole_model, _key(target)
    return lambda: encrypt_first_layer(model, key, target.cut)


def _user(target: Target) -> Callable[[], object]:
    rate = target.model.sample_rate if target.model else SPEECH_RATE
    second = torch.from_numpy(np.random.default_rng(0).normal(0, LEVEL, rate)).float()
    if (derived := target.derived) is not None:
        seed = SeedKey.from_seed(target.scheme, target.cut.block_size, 1, seed=0)
        return lambda: _under_seed(target, derived, _query(target, second, rate), seed, rate)
    key = _key(target)
    return lambda: encrypt_query(_query(target, second, rate), key, blocks=target.cut)


def _query(target: Target, speech: Tensor, rate: int) -> Tensor:
    """A second of speech as a user encrypts it."""
    speech = target.preparation.recording(speech, rate)
    query = (target.model.front_end(speech) if target.model else speech).double()
    query = target.preparation.noisy(query[None], 0, "")[0] if target.preparation else query
    return target.windows.cut(query) if target.windows else query


def _under_seed(target: Target, derived: Derived, query: Tensor, seed: SeedKey, rate: int) -> Tensor:
    slots = derived.slots(target.cut.steps, rate, query.shape[-1])
    matrices = torch.from_numpy(seed.matrices("00" if derived.nonce else None, len(slots.starts)))
    return encrypt_scheduled(query[None], matrices[None, None], target.cut, slots)[0, 0]


def _key(target: Target) -> SecretKey:
    return target.secret(correct_key(target.scheme, target.setting.size, target.config.seed))
