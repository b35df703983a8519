"""What an adversary of one trial is handed, and nothing beyond what their threat model grants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Attack, BackgroundSpeech, Case, Matrix, Need, Quality
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.handed import EncryptedModel, Handed
from wrongkey.attacks.harness.one_key import first_slot, under_one_key
from wrongkey.attacks.harness.oracles import MOST_QUERIES, Oracles
from wrongkey.attacks.harness.salt import Salt, TrialSecrets, attack_seed
from wrongkey.attacks.harness.target import Target, whole_blocks
from wrongkey.evaluation.corpora import Utterance
from wrongkey.keys import encrypt_query
from wrongkey.keys.cutting import rows_of

LOUD = 0.1  # known plaintext begins at one of the loudest tenth of the blocks
BITS = 15  # of ciphertext stored in 16 bits, without the sign


@dataclass(frozen=True)
class Trial:
    """A secret key and a victim: what the harness knows and the adversary does not.

    Attributes
    ----------
    number : int
        Which trial of its case this is, from 0.
    victim : str
        The victim's name.
    key : ndarray of shape (N, N)
        The secret key.
    utterances : tuple of Utterance
        The victim's utterances that hold a block.
    queries : tuple of Tensor
        Their plain queries as the victim encrypts them, float64, cut to whole blocks.
    noiseless : tuple of Tensor
        The same without the noise that the victim may add: what others can know of them.
    seed : int
        The seed of everything random in the attack.
    noise : int
        The seed of whatever the harness draws for the trial besides the key.
    owner : int
        The seed of the owner's own training.
    """

    number: int
    victim: str
    key: Matrix
    utterances: tuple[Utterance, ...]
    queries: tuple[Tensor, ...]
    noiseless: tuple[Tensor, ...]
    seed: int
    noise: int
    owner: int


def trial_of(target: Target, salt: Salt | TrialSecrets, attack: Attack, case: Case, number: int) -> Trial:
    """Trial `number` of a case: a key that no other trial has, and the next victim."""
    name, utterances = target.victims[number % len(target.victims)]
    secrets = salt.of(attack.name, case, number)
    guessing = isinstance(attack, Guessing)  # it reads a sweep, whose key is no secret
    key = target.sweep_key if guessing else secrets.key(target.scheme, target.setting.size)
    seed = attack_seed(target.config.seed, number)
    spoken = [(utterance, query) for utterance in utterances for query in target.queries([utterance])]
    spoken = under_one_key(target.derived, target.setting.cut, target.setting.rate, spoken)
    kept, noiseless = (tuple(part) for part in zip(*spoken, strict=True)) if spoken else ((), ())
    queries = tuple(target.noisy(query, utterance, secrets.noise) for utterance, query in spoken)
    return Trial(number, name, key, kept, queries, noiseless, seed, secrets.noise, secrets.owner)


def needs_of(attack: Attack, case: Case) -> frozenset[Need]:
    """What an attack needs in this case."""
    return attack.threat.needs if case.needs is None else case.needs


def evidence_of(target: Target, trial: Trial, attack: Attack, case: Case) -> tuple[Handed, Oracles]:
    """Everything that the threat model names, as much of it as the case says, and the oracles that answer queries."""
    needs, setting = needs_of(attack, case), target.setting
    granted: dict[str, Any] = {}
    oracles: dict[str, Callable[[Matrix], object]] = {}
    if "ciphertext" in needs:
        seconds = float("inf") if case.seconds is None else case.seconds
        granted["ciphertext"] = ciphertext(target, trial, seconds)
    if "known plaintext" in needs:
        granted["known"] = known_blocks(target, trial, case.known_blocks or setting.size, case.quality)
    if "chosen plaintext" in needs:
        oracles["encrypt"] = lambda blocks: blocks @ trial.key
    if "encrypted model" in needs:
        granted["encrypted"] = _encrypted(target, trial, case)
    if "public model" in needs:
        granted["public"] = True
    if "answers" in needs:
        oracles["ask"] = partial(target.background_experiment.engine.answers, model_key=trial.key)
        oracles["error"] = partial(target.errors, target.background_experiment, trial.key)
        granted["background"] = target.asked_parcel
    elif "other speech" in needs:
        granted["background"] = target.background_parcel
    if "labelled ciphertext" in needs:
        granted["enrolled"] = enrolled_of(target, trial)
    elif "ciphertext of many" in needs:
        many = enrolled_of(target, trial).queries
        granted["enrolled"] = BackgroundSpeech(many, ("",) * len(many))
    handed = Handed(
        setting=replace(setting, model=None),
        model=target.config.model,
        case=case,
        seed=trial.seed,
        asks=frozenset(oracles),
        **granted,
    )
    return handed, Oracles(oracles, setting.size, case.queries or MOST_QUERIES)


def _encrypted(target: Target, trial: Trial, case: Case) -> EncryptedModel:
    tuned = target.fine_tuned(case.variant, trial.owner) if "fine-tuned" in case.variant else None
    model = target.encrypted(trial.key, tuned)
    return EncryptedModel(model.network.get_submodule(model.first_layer), model.network.state_dict())


def ciphertext(target: Target, trial: Trial, seconds: float) -> tuple[Tensor, ...]:
    """The victim's first `seconds` of queries, each encrypted as a whole; at least one block."""
    setting = target.setting
    left = seconds * setting.rate if np.isfinite(seconds) else float("inf")
    encrypted = []
    for query in trial.queries:
        piece = whole_blocks(setting.cut, query, int(min(left, query.shape[-1])))
        if piece.numel():
            encrypted.append(encrypt_query(piece, trial.key, blocks=setting.cut))
        left -= query.shape[-1]
        if left < 1:
            break
    return tuple(encrypted)


def enrolled_of(target: Target, trial: Trial) -> BackgroundSpeech:
    """Background speakers as enrolled users: their queries, prepared as the victim's, under the victim's key."""
    setting = target.setting
    plain = [first_slot(target.derived, setting.cut, setting.rate, query) for query in target.enrolled(trial.noise)]
    encrypted = (encrypt_query(query.double(), trial.key, blocks=setting.cut).float() for query in plain)
    return BackgroundSpeech(tuple(encrypted), target.background.labels)


def known_blocks(target: Target, trial: Trial, count: int, quality: Quality) -> tuple[Matrix, Matrix]:
    """`count` successive blocks of the victim's speech and their ciphertext, both `(count, N)`.

    They begin at one of the loudest blocks, as an adversary would choose. With quality "16 bit" the ciphertext is
    rounded to steps of 2^-15 of full scale; with "10 dB" the plaintext is known with white noise 10 dB below it. Noise
    that the victim adds before encryption is in the ciphertext alone.
    """
    setting, rng = target.setting, np.random.default_rng(trial.noise)

    def rows(queries: Sequence[Tensor]) -> Matrix:
        return torch.cat([rows_of(query, setting.cut).reshape(-1, setting.size) for query in queries]).numpy()

    blocks = rows(trial.noiseless)
    energies = (blocks**2).sum(1)
    loud = np.argsort(-energies)[: max(1, int(LOUD * len(blocks)))]
    first = min(int(rng.choice(loud)), max(0, len(blocks) - count))
    plain = blocks[first : first + count]
    cipher = rows(trial.queries)[first : first + count] @ trial.key
    if quality == "16 bit":
        scale = 2**BITS / max(1.0, float(np.abs(cipher).max()))
        cipher = np.round(cipher * scale) / scale
    elif quality == "10 dB":
        noise = rng.standard_normal(plain.shape)
        plain = plain + noise * np.sqrt((plain**2).mean() / 10)
    return plain, cipher
