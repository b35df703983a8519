"""What is attacked: speech of victims under a key, and the encrypted model, if any, that answers to it.

The corpus is split by speakers: victims, whose ciphertext is attacked and with whose speech the recovered key is
scored, and others, whose plain speech an adversary may know. Every second speaker is another, unless a corpus of
others is named. Where a corpus names no speakers, its recordings are dealt into `HANDS` hands.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import BackgroundSpeech, Matrix, Setting
from wrongkey.attacks.harness.listeners import open_listener
from wrongkey.attacks.harness.wire import Parcel, pickled
from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Corpus, Recordings, Utterance, duration, load_audio, open_corpus
from wrongkey.evaluation.engine import encrypt_first_layer
from wrongkey.evaluation.experiment import Experiment, key_cut_of
from wrongkey.evaluation.models.asking import answer_function
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.processes.workers import score_rows
from wrongkey.evaluation.run_folder.vocabulary import error_percent
from wrongkey.evaluation.tasks.base import make_task
from wrongkey.files import write_text_atomically
from wrongkey.keys import SecretKey, correct_key, get_scheme
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

SPEECH_RATE = 16_000  # hertz of speech that is attacked without a model
HANDS = 20
OTHERS_SECONDS = 1200.0  # of other people's speech that an adversary learns from: all of them, some utterances each
PROBED, PROBED_EACH = 12, 4  # people, and utterances of each, that an adversary asks the encrypted model about
REPLICATES = 200  # of the bootstrap, where an attack returns a model
NOISE_SECONDS = 30.0  # of noise through a front end, to learn how many frames a second makes


@dataclass(frozen=True)
class AttackConfig:
    """Attacks as the command line states them; names as in `wrongkey.evaluation.config.SweepConfig` where they mean the
    same.

    model: None attacks waveforms alone, at 16 kHz: there is no task score then, and `block` must be given.
    trials: keys, each with the next victim. others: a corpus of people who are no victims; None takes every second
    speaker of `corpus`. per_speaker: utterances of each speaker for the task's score; ciphertext is all there is.
    amounts: seconds of ciphertext in place of those that an attack names for itself; empty for its own. recogniser: a
    model that hears the decrypted waveforms, for their WER beside SNR and STOI.
    """

    corpus: str
    model: str | None = None
    task: str = "asv"
    scheme: str = "rom"
    blocks: str | None = None
    block: int | None = None
    trials: int = 10
    seed: int = 0
    only: str | None = None
    background: str | None = None
    background_only: str | None = None
    per_speaker: int | None = None
    same_gender: bool = False
    text: str = "basic"
    channels: str = "refuse"
    recordings: str | None = None
    device: str = "auto"
    seconds: tuple[float, ...] = ()
    recogniser: str | None = None
    sessions: str = "any"

    def __post_init__(self) -> None:
        least = {"--trials": self.trials, "--block": self.block, "--per-speaker": self.per_speaker}
        for flag, value in least.items():
            if value is not None and value < 1:
                raise BadInput(f"{flag} {value} makes no sense: give 1 or more")
        if self.seed < 0:
            raise BadInput(f"--seed {self.seed} makes no sense: give 0 or more")
        if any(not seconds > 0 for seconds in self.seconds):
            raise BadInput("--seconds takes numbers above 0, such as 5,10,25, or inf for all there is")
        if self.model is None and self.block is None:
            raise BadInput("without --model an attack needs --block M: nothing else says the block size")
        if self.model is None and self.blocks not in (None, "samples"):
            raise BadInput(f"--blocks {self.blocks} cuts spectrograms: name the --model that makes them")
        if self.background is None and self.background_only is not None:
            raise BadInput("--background-only lists utterances of --background CORPUS: name that corpus too")


class Target:
    """A configuration with its speech and models at hand. `folder` receives the lists of who was a victim."""

    def __init__(self, config: AttackConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.model = open_model(config.model) if config.model else None
        if self.model is not None:
            if getattr(self.model, "external", False):
                raise BadInput(f"{self.model.name} has no network to encrypt: attack waveforms, without --model")
            answer_function(self.model, config.task)
        self.scheme = get_scheme(config.scheme)
        self.victims_corpus, self.others_corpus = _split(config)
        self.setting = self._setting()
        self._fine_tuned: dict[str, Model] = {}
        self.understood: dict[str, float] = {}  # WER of what the recogniser hears in a victim's plain speech, by victim

    @cached_property
    def victims(self) -> tuple[tuple[str, tuple[Utterance, ...]], ...]:
        """Name and utterances of every victim, in an order drawn with the run's seed: a corpus may be sorted."""

        def drawn(hand: tuple[str, tuple[Utterance, ...]]) -> bytes:
            return blake2b(f"{self.config.seed}/{hand[0]}".encode("utf-8", "surrogateescape")).digest()

        return tuple(sorted(_hands(self.victims_corpus).items(), key=drawn))

    @cached_property
    def recogniser(self) -> Model | None:
        """Who hears decrypted waveforms; None where nobody was named, or spectrograms are attacked."""
        named = self.config.recogniser if self.setting.blocks == "samples" else None
        return open_listener(named, "asr") if named else None

    @property
    def sweep_key(self) -> Matrix:
        """The correct key `(N, N)` of the sweep of incorrect keys: no victim's, and no secret."""
        return correct_key(self.scheme, self.setting.size, self.config.seed)

    def secret(self, key: Matrix) -> SecretKey:
        return SecretKey(self.scheme.name, self.setting.block_size, self.setting.cut.dims, key)

    def queries(self, utterances: Sequence[Utterance]) -> list[Tensor]:
        """Plain queries of utterances, `(samples,)` or `(bins, frames)` float64, each cut to whole blocks."""
        found = []
        for utterance in utterances:
            query = self._query(utterance)
            axes = () if self.setting.blocks is Blocks.FRAMES else self.setting.cut.axes
            for axis in axes:
                query = query.narrow(axis, 0, query.shape[axis] // self.setting.block_size * self.setting.block_size)
            if query.numel():
                found.append(query.double())
        return found

    @cached_property
    def background(self) -> BackgroundSpeech:
        """Plain queries of the people who are no victims."""
        return self._labelled(_round_robin(self.others_corpus, OTHERS_SECONDS))

    @cached_property
    def others_parcel(self) -> Parcel:
        return Parcel(pickled(self.background))

    @cached_property
    def asked_parcel(self) -> Parcel:
        return Parcel(pickled(self.asked))

    @cached_property
    def asked(self) -> BackgroundSpeech:
        """The queries that an adversary asks the encrypted model about, in the order of `others_experiment`."""
        return self._labelled(self.others_experiment.used)

    def fine_tuned(self, variant: str, seed: int) -> Model:
        """The public model as the owner trained it further before encrypting it; made once for each variant."""
        if variant not in self._fine_tuned:
            from wrongkey.attacks.harness.fine_tuning import fine_tuned  # only these cases train anything

            self._fine_tuned[variant] = fine_tuned(self.whole_model, self.background, variant, seed)
        return self._fine_tuned[variant]

    @cached_property
    def whole_model(self) -> Model:
        """The plain model as its checkpoint has it, with batch norms: what is public, and what the owner encrypts."""
        assert self.config.model is not None
        return open_model(self.config.model, folded=False)

    def encrypted(self, key: Matrix, plain: Model | None = None) -> Model:
        """What the provider holds: the model, or a fine-tuned one, under `key`."""
        return encrypt_first_layer(plain or self.whole_model, self.secret(key), self.setting.blocks)

    @cached_property
    def experiment(self) -> Experiment:
        """The task on the victims' speech, with which recovered keys are scored."""
        return Experiment(self.sweep_config(self.victims_corpus, "victims.txt"))

    @cached_property
    def with_intervals(self) -> Experiment:
        """The same experiment, whose error rates have intervals over speakers or utterances where there are enough."""
        experiment = copy.copy(self.experiment)
        with suppress(BadInput):
            config = replace(experiment.config, replicates=REPLICATES)
            experiment.task = make_task(config, experiment.corpus, experiment.model)
        return experiment

    @cached_property
    def others_experiment(self) -> Experiment:
        """The task on a few of the others' utterances, which an adversary may ask the encrypted model about."""
        few = [u.id for hand in list(_hands(self.others_corpus).values())[:PROBED] for u in hand[:PROBED_EACH]]
        config = self.sweep_config(self.others_corpus.only(few), "probe.txt")
        named = config.corpus if self.config.background is None else self.config.background
        return Experiment(replace(config, corpus=named, per_speaker=None))

    def sweep_config(self, corpus: Corpus, listed: str, keys: int = 1) -> SweepConfig:
        """The sweep of the model on some of the speech, whose utterances are listed in a file of `folder`."""
        assert self.config.model is not None
        path = self.folder / "attacks" / listed
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{utterance.id}\n" for utterance in corpus.utterances)
        if not path.is_file() or path.read_text(encoding="utf-8") != lines:
            write_text_atomically(path, lines)  # a worker may be reading it
        shared = ("model", "corpus", "scheme", "task", "blocks", "block", "seed", "same_gender", "sessions", "text")
        settings = asdict(self.config)
        kept = {name: settings[name] for name in (*shared, "per_speaker", "channels", "recordings", "device")}
        return SweepConfig(**kept, keys=keys, replicates=0, only=str(path))

    def errors(self, experiment: Experiment, key: Matrix, asked: Matrix) -> Matrix:
        """The task's error in percent, `(n,)`, of the model under `key` asked under the keys `asked (n, N, N)`."""
        return self.error_of(experiment, under_key(experiment, key).answers(asked))

    def error_of(self, experiment: Experiment, answers: Answers) -> Matrix:
        """The task's error in percent, `(n,)`, of answers under n keys."""
        return self.error_rows(experiment, answers)[:, 0]

    def error_rows(self, experiment: Experiment, answers: Answers) -> Matrix:
        """The task's errors with the ends of their intervals, NaN where there are none: `(n, 3)` in percent."""
        return self.rates(experiment, experiment.scores(answers))

    def rates(self, experiment: Experiment, scores: Tensor) -> Matrix:
        """The same of scores `(n, …)` as the task makes them."""
        rows = score_rows(experiment, "incorrect", scores, 0)
        metric = experiment.task.metric
        rates = np.array([[row[c] for c in ("value", "ci_low", "ci_high")] for row in rows if row["metric"] == metric])
        return error_percent(metric, rates[:, [0, 2, 1]] if metric == "accuracy" else rates)

    def _setting(self) -> Setting:
        config = self.config
        if self.model is None:
            assert config.block is not None
            return Setting(self.scheme, KeyCut(Blocks.SAMPLES, config.block), SPEECH_RATE)
        cut = key_cut_of(self.model, config.blocks, config.block)
        rate: float = self.model.sample_rate
        if cut.blocks is not Blocks.SAMPLES:
            noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, int(NOISE_SECONDS * rate)))
            rate = self.model.front_end(noise.float()).shape[-1] / NOISE_SECONDS
        return Setting(self.scheme, cut, rate, blank(self.model), config.task)

    def _labelled(self, used: Sequence[Utterance]) -> BackgroundSpeech:
        label = {"asv": "speaker", "asr": "text", "asc": "label"}[self.config.task if self.model else "asv"]
        queries = tuple(self._query(utterance) for utterance in used)
        return BackgroundSpeech(queries, tuple(getattr(utterance, label) or "" for utterance in used))

    def _query(self, utterance: Utterance) -> Tensor:
        rate = self.model.sample_rate if self.model else SPEECH_RATE
        channels = cast(Literal["refuse", "mix"], self.config.channels)
        waveform = torch.from_numpy(load_audio(utterance, rate, channels))
        return self.model.front_end(waveform) if self.model else waveform


def blank(model: Model) -> Model:
    """A copy whose parameters and buffers are zero: the architecture, which is public, without the weights."""
    empty = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in (*empty.network.parameters(), *empty.network.buffers()):
            tensor.zero_()
    return empty


def under_key(experiment: Experiment, key: Matrix) -> Experiment:
    """The same experiment with the model encrypted under another key `(N, N)`."""
    other = copy.copy(experiment)
    other.correct = key
    other.engine = copy.copy(experiment.engine)
    other.engine.model_key = torch.as_tensor(key, dtype=torch.float64)
    return other


def _split(config: AttackConfig) -> tuple[Corpus, Corpus]:
    """Victims and others: no speaker is both."""
    recordings = cast(Recordings | None, config.recordings)
    corpus = open_corpus(config.corpus, recordings)
    if config.only:
        corpus = corpus.only_listed(Path(config.only))
    if config.background is not None:
        background = open_corpus(config.background, recordings)
        if config.background_only:
            background = background.only_listed(Path(config.background_only))
        if both := set(corpus.speakers) & set(background.speakers):
            raise BadInput(f"speaker {min(both)} is a victim and in --others too: name a corpus of other people")
        if shared := {u.path.resolve() for u in corpus.utterances} & {u.path.resolve() for u in background.utterances}:
            raise BadInput(f"{min(shared)} is a victim's recording and in --others too: name another corpus")
        return corpus, background
    hands = list(_hands(corpus).values())
    if len(hands) < 4:
        raise BadInput(
            f"{corpus.name} has {len(hands)} speakers, too few to split into victims and others: name other people's "
            "speech with --others CORPUS"
        )
    return tuple(corpus.only([u.id for hand in hands[first::2] for u in hand]) for first in (0, 1))  # type: ignore[return-value]


def _hands(corpus: Corpus) -> dict[str, tuple[Utterance, ...]]:
    """Utterances by speaker, or recordings dealt into hands where nobody is named."""
    found: dict[str, list[Utterance]] = {}
    for number, utterance in enumerate(corpus.utterances):
        found.setdefault(utterance.speaker or f"hand {number % HANDS}", []).append(utterance)
    return {name: tuple(members) for name, members in found.items()}


def _round_robin(corpus: Corpus, seconds: float) -> tuple[Utterance, ...]:
    """The first utterance of everybody, then the second, until there are so many seconds of speech."""
    hands = list(_hands(corpus).values())
    taken, total = [], 0.0
    for turn in range(max(map(len, hands))):
        for hand in hands:
            if turn < len(hand) and total < seconds:
                taken.append(hand[turn])
                total += duration(hand[turn])
    return tuple(taken)


def whole_blocks(cut: KeyCut, query: Tensor, units: int) -> Tensor:
    """The first `units` samples or frames of a query, cut down to whole blocks; at least one block."""
    step = cut.steps
    return query[..., : max(step, min(units, query.shape[-1]) // step * step)]
