"""What an adversary of one trial is handed, and nothing beyond what their threat model grants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.attacks.base import Attack, BackgroundSpeech, Case, Matrix, Need, Quality, Setting
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.oracles import MOST_QUERIES, Oracles
from wrongkey.attacks.harness.salt import Salt, attack_seed
from wrongkey.attacks.harness.target import Target, whole_blocks
from wrongkey.attacks.harness.wire import Parcel
from wrongkey.evaluation.corpora import Utterance
from wrongkey.keys import encrypt_query
from wrongkey.keys.cutting import to_blocks

LOUD = 0.1  # share of the blocks, the loudest, of which one begins the known plaintext
BITS = 15  # behind the sign, of ciphertext stored in 16 bits


@dataclass(frozen=True)
class Trial:
    """A secret key and a victim: what the harness knows and the adversary does not.

    key: `(N, N)`. utterances: the victim's that hold a block; queries: theirs, plain, float64, whole blocks.
    seed: of what is random in the attack. noise: seed of what the harness draws for the trial besides the key.
    owner: seed of the owner's own training.
    """

    number: int
    victim: str
    key: Matrix
    utterances: tuple[Utterance, ...]
    queries: tuple[Tensor, ...]
    seed: int
    noise: int
    owner: int


@dataclass(frozen=True)
class EncryptedModel:
    """The encrypted network as the provider has it: its first layer, and all tensors by name."""

    layer: nn.Module
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Handed:
    """`wrongkey.attacks.base.Evidence` as it goes to the attack's process, which opens the public model for itself.

    setting: without its model. model: its spec. others: a parcel, by its name once it is on its way. asks: the oracles
    that may be asked, by name.
    """

    setting: Setting
    model: str | None
    case: Case
    seed: int
    ciphertext: tuple[Tensor, ...] = ()
    known: tuple[Matrix, Matrix] | None = None
    public: bool = False
    encrypted: EncryptedModel | None = None
    background: Parcel | str | None = None
    enrolled: BackgroundSpeech | None = None
    asks: frozenset[str] = frozenset()


def trial_of(target: Target, salt: Salt, attack: Attack, case: Case, number: int) -> Trial:
    """Trial `number` of a case: a key that no other trial has, and the next victim."""
    name, utterances = target.victims[number % len(target.victims)]
    words = attack.name, case, number
    guessing = isinstance(attack, Guessing)  # it reads a sweep, whose key is no secret
    key = target.sweep_key if guessing else salt.key(target.scheme, target.setting.size, *words)
    seed = attack_seed(target.config.seed, number)
    noise, owner = salt.seed("noise", *words), salt.seed("owner") % 2**63
    spoken = [(utterance, query) for utterance in utterances for query in target.queries([utterance])]
    kept, queries = (tuple(part) for part in zip(*spoken, strict=True)) if spoken else ((), ())
    return Trial(number, name, key, kept, queries, seed, noise, owner)


def needs_of(attack: Attack, case: Case) -> frozenset[Need]:
    """What an attack needs in this case."""
    return attack.threat.needs if case.needs is None else case.needs


def evidence_of(target: Target, trial: Trial, attack: Attack, case: Case) -> tuple[Handed, Oracles]:
    """Everything that the threat model names, as much of it as `given` says, and what answers queries."""
    needs, setting = needs_of(attack, case), target.setting
    has: dict[str, Any] = {}
    oracles: dict[str, Callable[[Matrix], object]] = {}
    if "ciphertext" in needs:
        has["ciphertext"] = ciphertext(target, trial, float("inf") if case.seconds is None else case.seconds)
    if "known plaintext" in needs:
        has["known"] = known_blocks(target, trial, case.known_blocks or setting.size, case.quality)
    if "chosen plaintext" in needs:
        oracles["encrypt"] = lambda blocks: blocks @ trial.key
    if "encrypted model" in needs:
        has["encrypted"] = _encrypted(target, trial, case)
    if "public model" in needs:
        has["public"] = True
    if "answers" in needs:
        oracles["ask"] = partial(target.others_experiment.engine.answers, model_key=trial.key)
        oracles["error"] = partial(target.errors, target.others_experiment, trial.key)
        has["others"] = target.asked_parcel
    elif "other speech" in needs:
        has["others"] = target.others_parcel
    if "labelled ciphertext" in needs:
        has["enrolled"] = enrolled_of(target, trial)
    elif "ciphertext of many" in needs:
        many = enrolled_of(target, trial).queries
        has["enrolled"] = BackgroundSpeech(many, ("",) * len(many))
    handed = Handed(
        setting=replace(setting, model=None),
        model=target.config.model,
        case=case,
        seed=trial.seed,
        asks=frozenset(oracles),
        **has,
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
    found = []
    for query in trial.queries:
        piece = whole_blocks(setting.cut, query, int(min(left, query.shape[-1])))
        if piece.numel():
            found.append(encrypt_query(piece, trial.key, blocks=setting.blocks))
        left -= query.shape[-1]
        if left < 1:
            break
    return tuple(found)


def enrolled_of(target: Target, trial: Trial) -> BackgroundSpeech:
    """The other people as enrolled users: their queries under the victim's key."""
    plain, blocks = target.background.queries, target.setting.blocks
    encrypted = (encrypt_query(query.double(), trial.key, blocks=blocks).float() for query in plain)
    return BackgroundSpeech(tuple(encrypted), target.background.labels)


def known_blocks(target: Target, trial: Trial, count: int, quality: Quality) -> tuple[Matrix, Matrix]:
    """`count` successive blocks of the victim's speech and their ciphertext, both `(count, N)`.

    They begin at one of the loudest blocks, as an adversary would choose. 16 bit: the ciphertext is rounded to steps of
    2^-15 of full scale. 10 dB: the plaintext is known with white noise 10 dB below it.
    """
    setting, rng = target.setting, np.random.default_rng(trial.noise)
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
