"""What an attack is: who the adversary is, what they are given, what they return.

An attack is any object with the attributes of `Attack`. The suite's own are listed in
`wrongkey.attacks.harness.registry`; others register a factory in the entry-point group ``wrongkey.attacks``. An attack
never sees the key or the victim's plain speech: `Evidence` holds what its threat model grants. Only the harness
(`wrongkey.attacks.harness.suite`) knows the truth, and it scores every answer in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

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
    "known plaintext",  # plain blocks of speech with their ciphertext
    "chosen plaintext",  # an authorised device that encrypts what it is given
    "public model",  # the plain checkpoint
    "encrypted model",  # the model under the key, with its weights in the open
    "answers",  # the encrypted model's answers to queries of the adversary's own
    "other speech",  # plain speech of background speakers, with labels
    "labelled ciphertext",  # ciphertext of enrolled users, with their names
    "plain enrolment",  # the victims' own plain speech: the harness enrols with it, the attack's process never holds it
]
# What an attack is after. A recovered key opens both speech and model; an attack without a key names one of the two.
Asset = Literal["key", "use", "identity"]
Claim = Literal["key", "use"]
# Of known plaintext: exact, with the ciphertext stored in 16 bits, or with the plaintext known in noise at 10 dB.
Quality = Literal["clean", "16 bit", "10 dB"]


@dataclass(frozen=True)
class Threat:
    """The threat model of an attack.

    Attributes
    ----------
    adversary : str
        Who the adversary is and what they do, in one sentence for the report.
    needs : frozenset of Need
        What they need.

    Examples
    --------
    >>> Threat("Overhears encrypted speech.", frozenset({"ciphertext"})).needs
    frozenset({'ciphertext'})
    """

    adversary: str
    needs: frozenset[Need]


@dataclass(frozen=True)
class Setting:
    """What is public by Kerckhoffs's principle: how keys are drawn and cut, which model and task, never the key.

    Attributes
    ----------
    scheme : Scheme
        How keys are drawn.
    cut : KeyCut
        How a key cuts a query into blocks.
    rate : float
        Samples, or frames, of a query per second.
    model : Model or None
        The architecture with all weights zero (`Evidence` has the weights that the threat model grants); None where
        only speech is attacked.
    task : {"asv", "asr", "asc"} or None
        What the model is scored at; None without a model.

    Examples
    --------
    >>> from wrongkey.keys import get_scheme
    >>> Setting(get_scheme("rom"), KeyCut("tiles", 3), rate=100.0).size
    9
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
    """How much an attack is given of what its threat model allows; None where it uses no such thing.

    Attributes
    ----------
    seconds : float or None
        Seconds of the victim's ciphertext; infinite for all there is.
    known_blocks : int or None
        Blocks of known plaintext.
    quality : {"clean", "16 bit", "10 dB"}
        The quality of the known plaintext.
    queries : int or None
        Queries that the model answers, or blocks that are encrypted; the harness answers no more.
    variant : str
        How the case differs, in a word or two, as in "first layer fine-tuned"; empty for the plain case.
    needs : frozenset of Need or None
        What this case needs, where that is less than the attack needs.

    Examples
    --------
    >>> str(Case(seconds=5, queries=1000)), str(Case())
    ('5 s of ciphertext, 1,000 queries', 'as it is')
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
    """Queries of background speakers, who are no victims.

    Attributes
    ----------
    queries : tuple of Tensor
        Each `(samples,)` or `(bins, frames)`, float32.
    labels : tuple of str
        A speaker, transcript or class for each query, as the task has them.
    prepared : tuple of Tensor
        The same queries as a user would prepare them before encryption (`wrongkey.evaluation.preparation`), from which
        an adaptive attack may learn; empty where users prepare none.
    """

    queries: tuple[Tensor, ...]
    labels: tuple[str, ...]
    prepared: tuple[Tensor, ...] = ()

    @property
    def as_users(self) -> tuple[Tensor, ...]:
        """The queries as users would encrypt them: prepared, where users prepare theirs."""
        return self.prepared or self.queries


@dataclass(frozen=True)
class Evidence:
    """What the adversary of one trial has. Parts that the attack's threat model does not name are empty or None.

    The attack runs in a process that never holds the key: `encrypt`, `ask` and `error` ask the harness, which counts
    the queries. They raise BadInput once `case.queries` are spent.

    Attributes
    ----------
    setting : Setting
        What is public.
    case : Case
        How much of each part there is.
    seed : int
        The seed of everything random in the attack. No key was drawn with it.
    ciphertext : tuple of Tensor
        Encrypted queries of one victim, each `(samples,)` or `(bins, frames)`, float64, cut to whole blocks.
    known : pair of ndarrays of shape (n, N), or None
        Plain blocks and their ciphertext.
    encrypt : callable or None
        Encrypts chosen blocks `(n, N)`.
    public, encrypted : Model or None
        The plain model, and the one whose first layer carries the key.
    background : BackgroundSpeech or None
        Plain speech of background speakers.
    enrolled : BackgroundSpeech or None
        Ciphertext of background speakers under the victim's key, with their labels; the labels are empty where the
        attack needs ciphertext of many without their names.
    ask : callable or None
        Answers of the encrypted model to the queries of `background` under keys `(n, N, N)`: an array
        `(n, utterances, dim)`, or texts. Every key costs one query per utterance.
    error : callable or None
        The task's error (EER, WER, CER or 100 - accuracy, in percent) of the encrypted model on `background` under keys
        `(n, N, N)`: an array `(n,)`. The labels are the adversary's own.
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

    Attributes
    ----------
    key : ndarray of shape (N, N), or None
        The estimated orthogonal matrix; None where the attack finds none, or wants none.
    success_claimed : bool or None
        Whether the attack itself, without the truth, takes the key for recovered; None where it cannot tell.
    objective : float or None
        The value of what was minimised, at the result; for the record.
    queries : int
        Queries that the attack asked, for the record; the harness counts them itself.
    model : Model or None
        What the adversary asks where they want no key: it reads the victims' ciphertext, and is scored at the task.
    enrolment : {"encrypted", "plain"}
        How the speakers whom `model` verifies are enrolled: encrypted as their tests are, or plain, where the adversary
        knows them from speech that was never encrypted.
    measured : mapping of str to float
        Further numbers by name; of an attack that wants no key, what it measured instead.
    note : str
        One sentence, where something is worth saying.

    Examples
    --------
    >>> Recovery(np.eye(3), success_claimed=False).enrolment
    'encrypted'
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
    """One way to get at a key, at encrypted speech or at an encrypted model.

    An attack is pickled (cloudpickle) into a process of its own, where one object runs all of its trials. It may have
    the further attributes of `AttackDefaults`; what it lacks of them `wrongkey.attacks.harness.registry.open_attack`
    fills in.

    Attributes
    ----------
    name : str
        Its name on the command line.
    family : int
        Its place in the suite, 1 to 8, cheapest first (docs/attacks.md).
    threat : Threat
        Who the adversary is.
    """

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def family(self) -> int:
        """Its place in the suite."""

    @property
    def threat(self) -> Threat:
        """Who the adversary is."""

    def inapplicable(self, setting: Setting) -> str | None:
        """Why the attack does not apply to this scheme, block or model, as a sentence; None where it does."""

    def cases(self, setting: Setting) -> Sequence[Case]:
        """The cases that the suite runs, from the least evidence to the most."""

    def run(self, evidence: Evidence) -> Recovery:
        """Attack.

        Parameters
        ----------
        evidence : Evidence
            What the threat model grants in this case.

        Returns
        -------
        Recovery
            The key, or the model in its place; a search that ends without success returns the best it has.

        Raises
        ------
        BadInput
            Where this evidence is too little, which counts as a miss. Any other exception means that the attack broke
            down, which counts as no trial at all.
        """


class AttackDefaults:
    """What an attack may leave out, with what then counts; the attacks of the suite inherit it.

    Attributes
    ----------
    settings : frozen dataclass or None
        Its tuning constants, as numbers, strings and tuples of them. They are recorded beside its rows, and a run under
        other settings goes into another folder. By default None: there are none.
    most_trials : int or None
        The number of trials that are enough, at least 1, of an expensive or deterministic attack. By default None: as
        many as are asked for.
    wants_key : bool
        False for an attack that returns a model instead of a key. By default True.
    any_key : bool
        Whether it finds keys that are not orthogonal as well. By default False.
    claims : {"key", "use"}
        What it claims where it claims success with a key: that it is the key, or only that the model works with it. By
        default "key".
    asset : {"use", "identity"} or None
        What an attack without a key is after. By default None: the identity for speaker verification, else the use.
    """

    settings: Any = None
    most_trials: int | None = None
    wants_key: bool = True
    any_key: bool = False
    claims: Claim = "key"
    asset: Asset | None = None


class CompleteAttack(Attack, Protocol):
    """An attack with all that `AttackDefaults` names, as the harness sees it."""

    @property
    def settings(self) -> Any:
        """Its tuning constants."""

    @property
    def most_trials(self) -> int | None:
        """The number of trials that are enough."""

    @property
    def wants_key(self) -> bool:
        """Whether it returns a key, and not a model in its place."""

    @property
    def any_key(self) -> bool:
        """Whether it finds keys that are not orthogonal as well."""

    @property
    def claims(self) -> Claim:
        """What it claims where it claims success with a key."""

    @property
    def asset(self) -> Asset | None:
        """What it is after where it wants no key."""
