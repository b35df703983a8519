"""What an adversary of one trial is handed, and nothing beyond what his threat model grants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attacks.base import Attack, Evidence, Given, Matrix, OtherSpeech, Quality
from attacks.target import Target, under_key, whole_blocks
from keys import encrypt_query
from keys.blocks import to_blocks

LOUD = 0.1  # share of the blocks, the loudest, of which one begins the known plaintext
BITS = 15  # behind the sign, of ciphertext stored in 16 bits


@dataclass(frozen=True)
class Trial:
    """A secret key and a victim: what the harness knows and the adversary does not.

    key: `(N, N)`. queries: the victim's plain queries, float64, whole blocks. seed: of what is random in the trial.
    """

    number: int
    victim: str
    key: Matrix
    queries: tuple[Tensor, ...]
    seed: int


def trial_of(target: Target, number: int) -> Trial:
    """Trial `number`: its own key, and the next victim in the corpus' order."""
    name, utterances = target.victims[number % len(target.victims)]
    return Trial(number, name, target.key(number), tuple(target.queries(utterances)), target.config.seed + number)


def evidence_of(target: Target, trial: Trial, attack: Attack, given: Given) -> Evidence:
    """Everything that the attack's threat model names, as much of it as `given` says."""
    needs, setting = attack.threat.needs, target.setting
    has: dict[str, Any] = {}
    if "ciphertext" in needs:
        has["ciphertext"] = ciphertext(target, trial, float("inf") if given.seconds is None else given.seconds)
    if "known plaintext" in needs:
        has["known"] = known_blocks(target, trial, given.known_blocks or setting.size, given.quality)
    if "chosen plaintext" in needs:
        has["encrypt"] = lambda blocks: blocks @ trial.key
    if needs & {"public model", "encrypted model"}:
        owners = target.fine_tuned(given.variant) if "fine-tuned" in given.variant else None
        has["encrypted"] = target.encrypted(trial.key, owners)
    if "public model" in needs:
        has["public"] = target.whole_model
    if "answers" in needs:
        under = under_key(target.others_experiment, trial.key)
        has["ask"] = under.answers
        has["error"] = partial(target.errors, target.others_experiment, trial.key)
        has["others"] = target.asked
    elif "other speech" in needs:
        has["others"] = target.others
    if "labelled ciphertext" in needs:
        has["enrolled"] = enrolled_of(target, trial)
    return Evidence(setting=setting, given=given, seed=trial.seed, **has)


def ciphertext(target: Target, trial: Trial, seconds: float) -> tuple[Tensor, ...]:
    """The victim's first `seconds` of queries, each encrypted as a whole; at least one block."""
    setting = target.setting
    left = seconds * setting.rate if np.isfinite(seconds) else float("inf")
    found = []
    for query in trial.queries:
        piece = whole_blocks(setting.blocks, setting.block_size, query, int(min(left, query.shape[-1])))
        if piece.numel():
            found.append(encrypt_query(piece, trial.key, blocks=setting.blocks))
        left -= query.shape[-1]
        if left < 1:
            break
    return tuple(found)


def enrolled_of(target: Target, trial: Trial) -> OtherSpeech:
    """The other people as enrolled users: their queries under the victim's key."""
    plain, blocks = target.others.queries, target.setting.blocks
    encrypted = (encrypt_query(query.double(), trial.key, blocks=blocks).float() for query in plain)
    return OtherSpeech(tuple(encrypted), target.others.labels)


def known_blocks(target: Target, trial: Trial, count: int, quality: Quality) -> tuple[Matrix, Matrix]:
    """`count` successive blocks of the victim's speech and their ciphertext, both `(count, N)`.

    They begin at one of the loudest blocks, as an adversary would choose. 16 bit: the ciphertext is rounded to steps of
    2^-15 of full scale. 10 dB: the plaintext is known with white noise 10 dB below it.
    """
    setting, rng = target.setting, np.random.default_rng(trial.seed)
    cut = (to_blocks(query, setting.block_size, setting.blocks) for query in trial.queries)
    blocks = torch.cat([rows.reshape(-1, setting.size) for rows in cut]).numpy()
    energies = (blocks**2).sum(1)
    loud = np.argsort(-energies)[: max(1, int(LOUD * len(blocks)))]
    first = min(int(rng.choice(loud)), max(0, len(blocks) - count))
    plain = blocks[first : first + count]
    cipher = plain @ trial.key
    if quality == "16 bit":
        scale = 2**BITS / max(1.0, float(np.abs(cipher).max()))
        cipher = np.round(cipher * scale) / scale
    elif quality == "10 dB":
        noise = rng.standard_normal(plain.shape)
        plain = plain + noise * np.sqrt((plain**2).mean() / 10)
    return plain, cipher
