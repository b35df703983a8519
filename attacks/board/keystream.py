"""The reference row: samples of 16 bits under a keystream cipher, which every attack must fail on and say so.

A cipher in counter mode adds a keystream to the bits of the samples. No layer of a model can absorb that, so that there
is no encrypted model, and what an adversary has is ciphertext. It is attacked as if it were that of a scheme at a block
size, by every attack of the protocol that needs no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from time import process_time
from typing import Any, cast

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.base import Case, CompleteAttack, Evidence, Recovery
from wrongkey.attacks.board.costs import timed
from wrongkey.attacks.board.entries import source_of
from wrongkey.attacks.board.folder import BoardFolder
from wrongkey.attacks.board.protocol import Protocol
from wrongkey.attacks.board.running import SAID, How, Speech
from wrongkey.attacks.harness.apart import attempt as attempt_of
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.evidence import needs_of
from wrongkey.attacks.harness.planned import planned
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.salt import attack_seed
from wrongkey.attacks.harness.scores import stoi
from wrongkey.attacks.harness.target import SPEECH_RATE, Target, whole_blocks
from wrongkey.errors import BadInput
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.run_folder.board_cell import Keystream, check_same
from wrongkey.evaluation.run_folder.board_protocol import Reference
from wrongkey.evaluation.run_folder.schema import read_json
from wrongkey.keys import decrypt_query

KEY_BYTES, NONCE_BYTES = 32, 16
FULL_SCALE = 2**15  # of 16 bits
GRANTED = frozenset({"ciphertext", "other speech"})  # all that there is without a model


def encrypt_samples(waveform: Tensor, key: bytes, nonce: bytes) -> Tensor:
    """A waveform `(samples,)` from -1 to 1, rounded to 16 bits and encrypted by AES-CTR: as long, float64.

    Encrypting the result again decrypts it.

    Examples
    --------
    >>> plain = torch.tensor([0.5, -0.25], dtype=torch.float64)
    >>> secret = encrypt_samples(plain, bytes(32), bytes(16))
    >>> encrypt_samples(secret, bytes(32), bytes(16)).tolist()
    [0.5, -0.25]
    """
    stored = np.clip(np.round(waveform.numpy() * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
    encryptor = Cipher(AES(key), CTR(nonce)).encryptor()
    secret = encryptor.update(stored.tobytes()) + encryptor.finalize()
    samples: NDArray[np.float64] = np.frombuffer(secret, dtype="<i2") / FULL_SCALE
    return torch.from_numpy(samples)


@dataclass(frozen=True)
class Attempt:
    """One attack in one case, on ciphertext taken for that of `target`."""

    target: Target
    attack: CompleteAttack
    case: Case


def run_keystream(protocol: Protocol, speech: Speech, folder: BoardFolder, how: How) -> list[BadInput]:
    """Attack the keystream cipher, or finish doing so; `cells/CIPHER.json` has a row for every trial.

    Returns
    -------
    list of BadInput
        Why it failed, which keeps no cell from running; the file has the sentence as well.

    Raises
    ------
    BadInput
        Where that file cannot be read, is of another protocol, or was made by other code.
    """
    asked = protocol.content.reference
    assert asked is not None
    path = folder.path / "cells" / f"{asked.cipher}.json"
    record = read_json(path, cast(Any, Keystream)) if path.is_file() else _begun(protocol, speech, asked)
    check_same(path, record["protocol"], protocol.named)
    _check_source(path, record)
    if record["complete"] and not any(row.get("failed") for row in record["trials"]):
        how.say(f"{asked.cipher}: done before")
        return []
    record |= {"complete": False, "why": ""}  # of the trials before; these may end otherwise
    try:
        _run_trials(protocol, speech, folder, asked, how, record)
    except BadInput as error:
        how.say(f"{asked.cipher}: failed ({str(error).rstrip('.')}){SAID}")
        folder.write_cell(asked.cipher, Keystream.FORMAT, record | {"why": str(error)})
        return [error]
    folder.write_cell(asked.cipher, Keystream.FORMAT, record | {"complete": True, "why": ""})
    return []


def _check_source(path: Path, record: Mapping[str, Any]) -> None:
    """Check that a record was made by this code, as that of a cell is; BadInput where it was not."""
    if record["source"] != _source():
        raise BadInput(
            f"{path} was made by other code of the cipher, so that its trials are not those of this one: "
            f"{Keystream.REMEDY}."
        )


def _run_trials(
    protocol: Protocol, speech: Speech, folder: BoardFolder, asked: Reference, how: How, record: dict[str, Any]
) -> None:
    """The trials that `record` lacks, and those that failed; each is written as it ends."""
    done = {_place(row) for row in record["trials"] if not row.get("failed")}
    for attempt in attempts(protocol, speech, folder, asked):
        attack, config = attempt.attack, attempt.target.config
        record["needs"][attack.name] = sorted(attack.threat.needs)
        how.say(f"{asked.cipher}: {attack.name} as on {config.scheme}, M = {config.block}, {attempt.case} …")
        for trial in range(asked.trials):
            if (attack.name, config.scheme, config.block, attempt.case.seconds, trial) not in done:
                row = tried(attempt, trial)
                record["trials"] = [one for one in record["trials"] if _place(one) != _place(row)] + [row]
                folder.write_cell(asked.cipher, Keystream.FORMAT, record)


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one trial from another."""
    return row["attack"], row["scheme"], row["block"], row["seconds"], row["trial"]


def attempts(protocol: Protocol, speech: Speech, folder: BoardFolder, asked: Reference) -> Iterator[Attempt]:
    """Every attack that needs nothing but ciphertext, in every case, as on every scheme and block size."""
    victims, background = speech.lists
    corpus = protocol.content.corpus
    attacks = [open_attack(name) for name in protocol.content.attacks.names]
    for scheme in asked.schemes:
        for block in asked.blocks:
            config = AttackConfig(
                corpus=speech.spec_of(corpus.victims),
                scheme=scheme,
                block=block,
                seed=protocol.content.seed,
                only=str(victims),
                background=speech.spec_of(corpus.background),
                background_only=str(background),
                channels=corpus.channels,
                recordings=corpus.recordings,
                seconds=tuple(asked.seconds),
            )
            target = Target(config, folder.path / "runs" / asked.cipher)
            for attack in attacks:
                if attack.wants_key:
                    for case in planned(attack, target).cases:
                        if needs_of(attack, case) <= GRANTED and case.seconds is not None and not case.variant:
                            yield Attempt(target, attack, case)


def tried(attempt: Attempt, trial: int) -> dict[str, Any]:
    """One attack on a victim's ciphertext: a `KeystreamTrial`."""
    target, attack, case = attempt.target, attempt.attack, attempt.case
    plain, secret = _speech(target, case.seconds or 0.0, trial)
    background = target.background if "other speech" in needs_of(attack, case) else None
    evidence = Evidence(
        target.setting, case, attack_seed(target.config.seed, trial), ciphertext=secret, background=background
    )
    begin = process_time()
    recovery, failed = attempt_of(attack, evidence)
    seconds = process_time() - begin
    level, clear = (None, None) if recovery.key is None else _heard(target, plain, secret, recovery)
    return {
        "attack": attack.name,
        "scheme": target.config.scheme,
        "block": target.config.block,
        "seconds": case.seconds,
        "trial": trial,
        "claimed": None if recovery.success_claimed is None else bool(recovery.success_claimed),
        "snr": level,
        "stoi": clear,
        "cpu_seconds": seconds,
        "failed": failed,
    }


def _speech(target: Target, seconds: float, trial: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The victim's first `seconds`, plain and encrypted; every utterance has a nonce of its own."""
    _, utterances = target.victims[trial % len(target.victims)]
    left, key = round(seconds * SPEECH_RATE), os.urandom(KEY_BYTES)
    plain = []
    for query in target.queries(utterances):
        if left >= target.setting.cut.steps:
            plain.append(whole_blocks(target.setting.cut, query, left))
            left -= query.shape[-1]
    return tuple(plain), tuple(encrypt_samples(query, key, os.urandom(NONCE_BYTES)) for query in plain)


def _heard(
    target: Target, plain: tuple[Tensor, ...], secret: tuple[Tensor, ...], recovery: Recovery
) -> tuple[float, float | None]:
    """SNR in dB, and STOI from 0 to 1, of what the recovered key decrypts; no STOI of speech too short for it."""
    assert recovery.key is not None
    cut = target.setting.cut
    heard = [decrypt_query(query, np.asarray(recovery.key), blocks=cut) for query in secret]
    spoken = torch.cat(plain)
    understood = torch.cat([one[: len(two)] for one, two in zip(heard, plain, strict=True)])
    clear = stoi(spoken, understood, SPEECH_RATE)
    return snr(spoken, understood, "samples"), clear if isfinite(clear) else None


def _source() -> dict[str, Any]:
    """The hash and the name of this file."""
    return source_of({Path(__file__).name: Path(__file__)})


def _begun(protocol: Protocol, speech: Speech, asked: Reference) -> dict[str, Any]:
    second = torch.zeros(SPEECH_RATE, dtype=torch.float64)
    seconds = timed(
        lambda: encrypt_samples(second, bytes(KEY_BYTES), bytes(NONCE_BYTES)), protocol.content.cost.repeats
    )
    return {
        "protocol": protocol.named,
        "cipher": asked.cipher,
        "source": _source(),
        "recordings": speech.victims.recordings,
        "needs": {},
        "trials": [],
        "cost": {"owner_seconds": None, "user_seconds": seconds, "data_factor": 1.0},
        "complete": False,
        "why": "",
        "versions": [],
    }
