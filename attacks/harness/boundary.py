"""Between the harness, which knows the truth, and the process of an attack, which must not."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle
import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.attacks.base import Attack, Matrix, Recovery
from wrongkey.attacks.harness import apart
from wrongkey.attacks.harness.handed import Handed
from wrongkey.attacks.harness.oracles import Oracles
from wrongkey.attacks.harness.wire import Message, NoMessage, Parcel, pickled, unpacked
from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.processes.cluster import ended_with_its_caller
from wrongkey.evaluation.processes.pool import Pool, processes
from wrongkey.evaluation.run_folder.vocabulary import DIED, MODEL_DIED

SHORT = "/tmp"  # where a socket's name is short: it ends at 107 bytes, on some systems at 103
WAIT = 0.2  # seconds between checks that the attack's process is still alive
LARGEST = 2**31  # bytes that a message from the attack may have
RESULT: Mapping[str, tuple[type, ...]] = {  # what an attack sends at its end, by types of JSON
    "success_claimed": (bool, type(None)),
    "objective": (float, type(None)),
    "queries": (int,),
    "model": (bool,),
    "measured": (dict,),
    "enrolment": (str,),
    "note": (str,),
    "failed": (str,),
    "seconds": (float,),
}


class ModelFailed(BadInput):
    """A model that an attack returned does not answer, which means that the attack broke down."""


@dataclass(frozen=True)
class Attacked:
    """What an attack returned.

    Attributes
    ----------
    recovery : Recovery
        The key, or the model in its place.
    failed : str
        Why the attack broke down; empty where it did not.
    seconds : float
        CPU time, that of the answers included.
    """

    recovery: Recovery
    failed: str
    seconds: float


@contextmanager
def attacking(attack: Attack, handed: Handed, oracles: Oracles, threads: int) -> Iterator[Attacked]:
    """Run an attack on what it is handed, in a process of its own; a model that it returns answers inside the block.

    The process may serve the next trial of this attack, but not of another one. Where it dies, or sends what is not a
    message, the attack has failed. It is killed where a Dask worker runs this for a caller that was stopped. Raises
    RuntimeError then, and where the evidence cannot be opened there, and whatever an oracle raises.
    """
    code = Parcel(cloudpickle.dumps(attack))
    parcels = {parcel.name: parcel for parcel in (code, handed.background) if isinstance(parcel, Parcel)}
    named = replace(handed, background=handed.background.name) if isinstance(handed.background, Parcel) else handed
    with (
        processes(1, threads, purpose=code.name) as pool,
        ended_with_its_caller(pool.kill),
        _answered(pool) as (connection, future),
    ):
        connection.send_bytes(pickled((code.name, named)))
        try:
            message = _served(connection, oracles, parcels)
            key = _key(message, handed.setting.size)
        except (EOFError, ConnectionError):
            yield Attacked(Recovery(None, success_claimed=False), _why(future), oracles.seconds)
            return
        except NoMessage as error:
            yield Attacked(Recovery(None, success_claimed=False), str(error), oracles.seconds)
            return
        fields = message.fields
        recovery = Recovery(
            key=key,
            success_claimed=fields["success_claimed"],
            objective=fields["objective"],
            queries=fields["queries"],
            model=Absent(connection, attack.name) if fields["model"] else None,  # type: ignore[arg-type]
            measured=fields["measured"],
            enrolment="plain" if fields["enrolment"] == "plain" else "encrypted",
            note=fields["note"],
        )
        yield Attacked(recovery, fields["failed"], fields["seconds"] + oracles.seconds)


class Absent:
    """A model in the process of the attack, as the engine asks it.

    Parameters
    ----------
    connection : Connection
        To the attack's process.
    name : str
        The attack, for sentences.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection, self.name, self.network = connection, name, nn.Identity()

    def __deepcopy__(self, memo: dict[int, Any]) -> Absent:
        return self

    def embed(self, queries: Tensor) -> Any:
        """Embeddings of a batch of queries."""
        return self._asked("embed", queries)

    def classify(self, queries: Tensor) -> Any:
        """Scores of classes for a batch of queries."""
        return self._asked("classify", queries)

    def transcribe(self, queries: Tensor) -> Any:
        """Hypotheses for a batch of queries."""
        return self._asked("transcribe", queries)

    def _asked(self, function: str, queries: Tensor) -> Any:
        try:
            self.connection.send_bytes(pickled((function, queries.cpu())))
            message = _received(self.connection)
        except (EOFError, ConnectionError, NoMessage):
            raise ModelFailed(f"The model that {self.name} {MODEL_DIED}.") from None
        if message.kind == "texts" and isinstance(message.fields.get("texts"), list):
            return [_hypothesis(one, self.name) for one in message.fields["texts"]]
        if message.kind == "numbers" and "answers" in message.arrays:
            return torch.from_numpy(message.arrays["answers"]).to(queries.device)
        raise ModelFailed(f"The model that {self.name} returned fails ({message.fields.get('sentence')}).")


def _hypothesis(sent: object, name: str) -> Hypothesis:
    """A text that an attack's model heard, sent as a pair."""
    match sent:
        case [str(text), bool(runaway)]:
            return Hypothesis(text, runaway=runaway)
    raise ModelFailed(f"The model that {name} returned answers with what is no text.")


def _received(connection: Connection) -> Message:
    """The next message of an attack; NoMessage for one that is larger than `LARGEST`, or is none."""
    try:
        data = connection.recv_bytes(LARGEST)
    except ConnectionError:
        raise
    except OSError:  # too long, upon which the connection is closed
        raise NoMessage(f"the attack sent more than {LARGEST / 2**30:.0f} GiB at once") from None
    return unpacked(data)


def _served(connection: Connection, oracles: Oracles, parcels: dict[str, Parcel]) -> Message:
    """Answer the attack's queries until it is done."""
    while True:
        message = _received(connection)
        if message.kind == "done":
            if missing := [name for name in RESULT if name not in message.fields]:
                raise NoMessage(f"the attack's result lacks {missing[0]!r}")
            if wrong := [name for name, types in RESULT.items() if type(message.fields[name]) not in types]:
                raise NoMessage(f"{wrong[0]!r} in the attack's result is of another type")
            return message
        if message.kind == "parcel" and str(message.fields.get("name")) in parcels:
            connection.send_bytes(parcels[message.fields["name"]].data)
        elif "asked" in message.arrays:
            connection.send_bytes(pickled(oracles.answer(message.kind, message.arrays["asked"])))
        else:
            raise NoMessage(f"the attack sent {message.kind!r} and asked nothing")


def _key(message: Message, size: int) -> Matrix | None:
    """The matrix `(N, N)` in an attack's result, or None; NoMessage for any other array."""
    key = message.arrays.get("key")
    if key is not None and not (key.dtype == np.float64 and key.shape == (size, size) and np.isfinite(key).all()):
        raise NoMessage(f"the key in the attack's result is no matrix of {size} x {size} finite numbers")
    return key


@contextmanager
def _answered(pool: Pool) -> Iterator[tuple[Connection, Future[None]]]:
    """A connection to `apart.attend` in the process of a pool, and the future of that call."""
    password = secrets.token_bytes(32)
    with _listening(password) as listener:
        accepted: SimpleQueue[Connection] = SimpleQueue()
        threading.Thread(target=_accept, args=(listener, accepted), daemon=True).start()
        future = pool.submit(apart.attend, listener.address, password)
        while True:
            try:
                connection = accepted.get(timeout=WAIT)
                break
            except Empty:
                if future.done():
                    raise RuntimeError(f"the process of an attack does not start ({_why(future)})") from None
        with connection:
            yield connection, future


@contextmanager
def _listening(password: bytes) -> Iterator[Listener]:
    """A socket in a private folder of temporary files or, where their path is too long for a socket's name, of /tmp."""
    with ExitStack() as end:
        try:
            listener = Listener(authkey=password)
        except OSError:
            folder = end.enter_context(TemporaryDirectory(prefix="wrongkey-", dir=SHORT))
            listener = Listener(f"{folder}/socket", authkey=password)
        yield end.enter_context(listener)


def _accept(listener: Listener, accepted: SimpleQueue[Connection]) -> None:
    """Accept the first connection that knows the password."""
    while True:
        try:
            accepted.put(listener.accept())
            return
        except (AuthenticationError, EOFError, ConnectionError):  # another user of this machine
            continue
        except OSError:  # the listener was closed
            return


def _why(future: Future[None]) -> str:
    """What ended the attack's process; raises RuntimeError where that is the fault of the harness."""
    try:
        future.result()
    except BrokenExecutor as error:
        return f"{DIED} ({in_one_line(error)})"
    except Exception as error:
        raise RuntimeError(f"the evidence cannot be opened in another process ({in_one_line(error)})") from error
    return "the process of the attack hung up"
