"""What an attack is: who the adversary is, what he is given, what he returns.

An attack is any object with the attributes of `Attack`. The suite's own are listed in
`wrongkey.attacks.harness.registry`; others register a factory in the entry-point group ``wrongkey.attacks``. An attack
never sees the key or the victim's plain speech: `Evidence` holds what its threat model grants, and the harness
(`wrongkey.attacks.harness.suite`) alone knows the truth and scores every answer in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Scheme

Matrix = NDArray[np.float64]

# What an adversary may have, in the words of docs/threat-model.md.
Need = Literal[
    "ciphertext",  # encrypted queries of one victim, all under one key
    "ciphertext of many",  # encrypted queries of many people under that key, without their names
    "known plaintext",  # blocks of plain speech beside their ciphertext
    "chosen plaintext",  # an authorised device that encrypts what it is given
    "public model",  # the plain checkpoint
    "encrypted model",  # the model under the key, its weights in the open
    "answers",  # the encrypted model's answers to queries of the adversary's own
    "other speech",  # plain speech of other people, with labels
    "labelled ciphertext",  # ciphertext of enrolled users, with their names
    "plain enrolment",  # the victims' own, plain: the harness enrols with it, the attack's process never holds it
]
# What an attack that wants no key is after; one that wants it attacks the speech and the use of the model with it.
Asset = Literal["key", "use", "identity"]
Quality = Literal["clean", "16 bit", "10 dB"]  # ciphertext as stored in 16 bits; plaintext known with noise at 10 dB


@dataclass(frozen=True)
class Threat:
    """The adversary: one sentence for the report, and what he needs."""

    adversary: str
    needs: frozenset[Need]


@dataclass(frozen=True)
class Setting:
    """What is public (Kerckhoffs): how keys are drawn and cut, which model and task, never the key.

    `model` is the architecture alone: its weights are zero; `Evidence` has those that the threat model grants. `model`
    and `task` are None where only speech is attacked. `rate`: samples, or frames, of a query per second.
    """

    scheme: Scheme
    cut: KeyCut
    rate: float
    model: Model | None = None
    task: str | None = None

    @property
    def blocks(self) -> Blocks:
        """The kind of blocks."""
        return self.cut.blocks

    @property
    def block_size(self) -> int:
        """M."""
        return self.cut.block_size

    @property
    def size(self) -> int:
        """N, elements of a block."""
        return self.cut.size


@dataclass(frozen=True)
class Case:
    """How much an attack is given of what its threat model allows; None where that is not what it uses.

    seconds: of the victim's ciphertext; infinite for all there is.
    known_blocks: blocks of known plaintext, of this `quality`.
    queries: that the model answers, or blocks that are encrypted; the harness answers no more.
    variant: how the case differs, in a word or two ("first layer fine-tuned"); empty for the plain case.
    needs: of this case, where it needs less than the attack.
    """

    seconds: float | None = None
    known_blocks: int | None = None
    quality: Quality = "clean"
    queries: int | None = None
    variant: str = ""
    needs: frozenset[Need] | None = None

    def __str__(self) -> str:
        words = [self.variant] if self.variant else []
        if self.seconds is not None:
            words.append(f"{self.seconds:g} s of ciphertext" if np.isfinite(self.seconds) else "all ciphertext")
        if self.known_blocks is not None:
            words.append(f"{self.known_blocks} known blocks, {self.quality}")
        if self.queries is not None:
            words.append(f"{self.queries:,} queries")
        return ", ".join(words) or "as it is"


@dataclass(frozen=True)
class BackgroundSpeech:
    """Plain queries of people who are not the victim: each `(samples,)` or `(bins, frames)`, float32.

    `labels` are speakers, transcripts or classes, as the task has them.
    """

    queries: tuple[Tensor, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What the adversary of one trial has. A part that the threat model of the attack does not need is empty or None.

    ciphertext: encrypted queries of one victim, each `(samples,)` or `(bins, frames)`, float64, whole blocks.
    known: plain blocks and their ciphertext, both `(n, N)`.
    encrypt: encrypts chosen blocks `(n, N)`.
    enrolled: ciphertext of the people of `others` under the victim's key, with their labels; these are empty where
        ciphertext of many, without names, is what the attack needs.
    public, encrypted: the plain model, and the one whose first layer carries the key.
    ask: answers of the encrypted model to the queries of `others` under keys `(n, N, N)`: `(n, utterances, dim)`, or
        texts; every key costs one query per utterance.
    error: the task's error (EER, WER, CER or 100 - accuracy, in percent) of the encrypted model on `others` under keys
        `(n, N, N)`: `(n,)`; the labels are the adversary's own.
    seed: of everything random in the attack. No key was drawn with it.

    The attack runs in a process that never holds the key: `encrypt`, `ask` and `error` ask the harness, which counts
    the queries. They raise BadInput where `given.queries` are spent.
    """

    setting: Setting
    case: Case
    seed: int
    ciphertext: tuple[Tensor, ...] = ()
    known: tuple[Matrix, Matrix] | None = None
    encrypt: Callable[[Matrix], Matrix] | None = None
    public: Model | None = None
    encrypted: Model | None = None
    background: BackgroundSpeech | None = None
    enrolled: BackgroundSpeech | None = None
    ask: Callable[[Matrix], object] | None = None
    error: Callable[[Matrix], Matrix] | None = None


@dataclass(frozen=True)
class Recovery:
    """What an attack returns.

    key: the estimated orthogonal matrix `(N, N)`; None where the attack finds none, or wants none.
    believed: the attack's own verdict, without the truth: whether it takes the key for recovered. None where it
        cannot tell.
    objective: what it minimised, at the result; for the record.
    queries: that it asked, for the record; the harness counts them itself.
    model: what the adversary asks where he wants no key: it reads the victims' ciphertext, and is scored at the task.
    enrolment: of the speakers whom `model` verifies: "encrypted" as their tests are, or "plain", where the adversary
        knows them from speech that was never encrypted.
    measured: further numbers by name (of an attack that wants no key: what it measured instead).
    note: one sentence where something is worth saying.
    """

    key: Matrix | None
    success_claimed: bool | None = None
    objective: float | None = None
    queries: int = 0
    model: Model | None = None
    enrolment: Literal["encrypted", "plain"] = "encrypted"
    measured: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


class Attack(Protocol):
    """One way to get at a key.

    name: as the command line says it. family: its place in the suite, 1 to 8, cheapest first (docs/attacks.md).
    An attack whose trials are dear, or all alike, may say how many are enough: an int `most_trials`;
    one that returns a model instead of a key says so by `wants_key = False`, and may say its `asset`. It is pickled
    (cloudpickle) into a process of its own, where one object runs all of its trials.
    """

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> int: ...
    @property
    def threat(self) -> Threat: ...

    def inapplicable(self, setting: Setting) -> str | None:
        """Why the attack does not apply to this scheme, block or model, as a sentence; None where it does."""

    def cases(self, setting: Setting) -> Sequence[Case]:
        """The cases that the suite runs, from little to much."""

    def run(self, evidence: Evidence) -> Recovery:
        """Attack; a search that ends without a key returns the best it has.

        BadInput says that this evidence is too little (a miss); any other exception that the attack broke down, which
        counts as no trial at all.
        """
