"""The process of an attack: it opens the evidence, runs the attack, and passes its queries to the harness.

It never holds the key, the salt or the victim's plain speech. Where the attack returns a model instead of a key, the
harness asks that model here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from multiprocessing.connection import Client, Connection
from typing import Any

import cloudpickle
import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Attack, Evidence, Matrix, Recovery, Setting
from wrongkey.attacks.harness.handed import EncryptedModel, Handed, blank
from wrongkey.attacks.harness.wire import packed, unpickled
from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.answers import as_hypothesis
from wrongkey.evaluation.first_layer import with_first_layer
from wrongkey.evaluation.models.modules import copied
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.windows import as_sent
from wrongkey.keys.invertible import check_invertible

_one_at_a_time = threading.Lock()
_kept: dict[str, Any] = {}  # contents of the parcels of this attack, by their names


def attend(address: Any, password: bytes) -> None:
    """One trial: run the attack that the harness hands over, then answer for its model until the harness hangs up."""
    with Client(address, authkey=password) as harness:
        code, handed = unpickled(harness.recv_bytes())
        attack: Attack = _opened(harness, code, cloudpickle.loads)
        evidence = _evidence(harness, handed)
        begin = time.process_time()
        recovery, failed = attempt(attack, evidence)
        seconds = time.process_time() - begin
        try:
            result = _result(recovery, failed, seconds)
        except Exception as error:  # an attack may return anything
            recovery = Recovery(None, success_claimed=False)
            result = _result(recovery, in_one_line(error), seconds)
        harness.send_bytes(result)
        while True:
            try:
                function, queries = unpickled(harness.recv_bytes())
            except EOFError:
                return
            harness.send_bytes(_answer(recovery.model, function, queries))


def attempt(attack: Attack, evidence: Evidence) -> tuple[Recovery, str]:
    """What the attack returns, and why it broke down (empty where it did not); the suite goes on in any case."""
    size = evidence.setting.size
    try:
        recovery = attack.run(evidence)
        if recovery.key is None:
            return recovery, ""
        key = np.array(recovery.key, dtype=np.float64)
    except BadInput as error:  # too little ciphertext, say
        return Recovery(None, success_claimed=False, note=str(error)), ""
    except (Exception, SystemExit) as error:  # a user's attack may fail in any way
        return Recovery(None, success_claimed=False), in_one_line(error)
    orthogonal = evidence.setting.scheme.orthogonal
    if not (key.shape == (size, size) and (_orthogonal(key) if orthogonal else bool(np.isfinite(key).all()))):
        kind = "orthogonal" if orthogonal else "finite"
        return Recovery(None, success_claimed=False), f"{attack.name} returned no {kind} matrix of {size} x {size}."
    try:
        check_invertible(float(np.linalg.cond(key)))
    except BadInput:  # a least-squares fit to few noisy blocks, say: nothing can be decrypted with it
        return Recovery(
            None, success_claimed=False, note=f"{attack.name} returned a matrix that is nearly singular."
        ), ""
    return replace(recovery, key=key), ""


def _orthogonal(key: Matrix) -> bool:
    return bool(np.allclose(key @ key.T, np.eye(len(key)), atol=1e-3))


def _result(recovery: Recovery, failed: str, seconds: float) -> bytes:
    fields = {
        "success_claimed": None if recovery.success_claimed is None else bool(recovery.success_claimed),
        "objective": None if recovery.objective is None else float(recovery.objective),
        "queries": int(recovery.queries),
        "measured": {str(name): float(value) for name, value in recovery.measured.items()},
        "note": str(recovery.note),
        "model": recovery.model is not None,
        "enrolment": recovery.enrolment,
        "failed": failed,
        "seconds": seconds,
    }
    return packed("done", fields, **({} if recovery.key is None else {"key": recovery.key}))


def _answer(model: Model | None, function: str, queries: Tensor) -> bytes:
    """What the attack's model answers to the victims' queries: numbers, or texts as pairs of text and `runaway`."""
    try:
        with torch.no_grad():
            answers = getattr(model, function)(queries)
        if isinstance(answers, Tensor):
            return packed("numbers", answers=answers.detach().cpu().numpy())
        texts = [[heard.text, bool(heard.runaway)] for heard in map(as_hypothesis, answers)]
        return packed("texts", {"texts": texts})
    except Exception as error:  # an attack's model may fail in any way
        return packed("refused", {"sentence": in_one_line(error)})


def _evidence(harness: Connection, handed: Handed) -> Evidence:
    def oracle(name: str) -> Callable[[Matrix], Any] | None:
        return (lambda asked: _ask(harness, name, asked)) if name in handed.asks else None

    return Evidence(
        setting=_setting(handed.setting, handed.model),
        case=handed.case,
        seed=handed.seed,
        ciphertext=handed.ciphertext,
        known=handed.known,
        public=copied(_public(handed.model, handed.setting.scheme.name)) if handed.public else None,
        encrypted=None if handed.encrypted is None else _encrypted(handed, handed.encrypted),
        background=None if handed.background is None else _opened(harness, str(handed.background), unpickled),
        enrolled=handed.enrolled,
        encrypt=oracle("encrypt"),
        ask=oracle("ask"),
        error=oracle("error"),
    )


def _ask(harness: Connection, name: str, asked: Matrix) -> Any:
    with _one_at_a_time:
        harness.send_bytes(packed(name, asked=np.asarray(asked)))
        granted, answer = unpickled(harness.recv_bytes())
    if not granted:
        raise BadInput(str(answer))
    return answer


def _opened(harness: Connection, name: str, open_it: Callable[[bytes], Any]) -> Any:
    """The content of the parcel of this name, fetched once: one object for all trials that have it."""
    if name not in _kept:
        harness.send_bytes(packed("parcel", {"name": name}))
        _kept[name] = open_it(harness.recv_bytes())
    return _kept[name]


def _encrypted(handed: Handed, encrypted: EncryptedModel) -> Model:
    model = with_first_layer(_public(handed.model, handed.setting.scheme.name), encrypted.layer)
    model.network.load_state_dict(encrypted.tensors)
    return model


@lru_cache(maxsize=4)
def _setting(setting: Setting, spec: str | None) -> Setting:
    """The setting with the model's architecture: one object for all trials, so that attacks may remember by it."""
    return setting if spec is None else replace(setting, model=blank(as_sent(open_model(spec), setting.scheme.name)))


@lru_cache(maxsize=1)
def _public(spec: str | None, scheme: str) -> Model:
    assert spec is not None
    return as_sent(open_model(spec, folded=False), scheme)
