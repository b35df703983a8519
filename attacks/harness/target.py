"""What is attacked: speech of victims under a key, and the encrypted model, if any, that answers to it.

Victims are the speakers whose ciphertext is attacked and with whose speech the recovered key is scored. Background
speakers are those whose plain speech an adversary may know (`wrongkey.attacks.harness.speakers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import BackgroundSpeech, Matrix, Setting
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.handed import blank
from wrongkey.attacks.harness.listeners import open_listener
from wrongkey.attacks.harness.speakers import by_speaker, in_drawn_order, some_of_each, victims_and_background
from wrongkey.attacks.harness.task_errors import error_rates
from wrongkey.attacks.harness.wire import Parcel, pickled
from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Corpus, Utterance, load_audio
from wrongkey.evaluation.experiment import Experiment, key_cut_of
from wrongkey.evaluation.first_layer import encrypt_first_layer
from wrongkey.evaluation.hardware import choose_device
from wrongkey.evaluation.models.asking import answer_function
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.preparation import Preparation, unprepared
from wrongkey.evaluation.tasks.base import Task, make_task
from wrongkey.evaluation.windows import as_sent, sends_windows, windows_of
from wrongkey.files import explained_errors, write_text_atomically
from wrongkey.keys import SecretKey, correct_key, get_scheme
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

SPEECH_RATE = 16_000  # hertz of speech that is attacked without a model
BACKGROUND_SECONDS = 1200.0  # of background speech that an adversary learns from, some of every speaker
ASKED_SPEAKERS, ASKED_EACH = 12, 4  # background speakers, and utterances of each, that the encrypted model answers to
REPLICATES = 200  # of the bootstrap, where an attack returns a model
KEPT_BYTES = 256_000_000  # of victims' queries that are kept from trial to trial
NOISE_SECONDS = 30.0  # of noise through a front end, to learn how many frames a second makes
LABELS = {"asv": "speaker", "asr": "text", "asc": "label"}  # of an utterance, as the task has them


class Target:
    """A configuration with its speech and models at hand.

    Attributes
    ----------
    config : AttackConfig
        What was asked for.
    folder : Path
        The run folder; it receives the lists of the victims' and of the background speakers' utterances.
    model : Model or None
        The plain model with its batch norms folded in; None where only speech is attacked.
    scheme : Scheme
        How keys are drawn; under a derived scheme that of `setting` is its base (`wrongkey.attacks.harness.one_key`).
    derived : Derived or None
        How matrices follow from a seed.
    preparation : Preparation
        What users, the victims among them, do to speech before they encrypt it.
    victims_corpus, background_corpus : Corpus
        Speech of the victims and of the background speakers.
    cut : KeyCut
        How a key cuts a query.
    setting : Setting
        What is public.
    recogniser : Model or None
        What hears decrypted waveforms; None where none was named, or spectrograms are attacked.
    windows : Windows or None
        What victims' queries are sent as, one after another, where the scheme sends windows. Background speech stays
        plain speech.
    understood : dict of str to float
        WER of what the recogniser hears in a victim's plain speech, by victim.
    """

    def __init__(self, config: AttackConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        choose_device(config.device)  # a wrong name is refused, though speech alone may be attacked
        self.model = as_sent(open_model(config.model), config.scheme, config.blocks) if config.model else None
        self.windows = windows_of(self.model) if self.model else None
        if sends_windows(config.scheme) and self.windows is None:
            raise BadInput(f"{config.scheme} sends the windows that a model's first layer reads: name it with --model.")
        if self.model is not None:
            if self.model.external:
                raise BadInput(f"{self.model.name} has no network to encrypt: attack waveforms, without --model.")
            answer_function(self.model, config.task)
        self.scheme = get_scheme(config.scheme)
        self.derived = self.scheme.derived
        if self.derived is not None and self.model is not None:
            raise BadInput(
                f"Attacks on a model under one matrix after another are not known: attack the speech under "
                f"{self.scheme.name}, without --model and with --block."
            )
        self.preparation = Preparation.of(config.scheme)
        self.victims_corpus, self.background_corpus = victims_and_background(config)
        self.cut = self._key_cut()
        self.setting = self._setting()
        self.recogniser = self._recogniser()
        self._fine_tuned: dict[str, Model] = {}
        self._read: dict[Utterance, Tensor] = {}
        self.understood: dict[str, float] = {}

    @cached_property
    def victims(self) -> tuple[tuple[str, tuple[Utterance, ...]], ...]:
        """Name and utterances of every victim, in the order in which trials take them."""
        return in_drawn_order(by_speaker(self.victims_corpus), self.config.seed)

    @property
    def speech_rate(self) -> float:
        """Samples, or frames, of speech per second, which is less than of what is sent where windows overlap."""
        return self.setting.rate / (self.windows.factor if self.windows else 1.0)

    def speech(self, query: Tensor) -> Tensor:
        """The speech in a plain or decrypted query: where windows were sent, their means wherever they overlap."""
        return self.windows.join(query) if self.windows else query

    @property
    def sweep_key(self) -> Matrix:
        """The correct key `(N, N)` of the sweep of incorrect keys: no victim's, and no secret."""
        return correct_key(self.scheme, self.setting.size, self.config.seed)

    def secret(self, key: Matrix) -> SecretKey:
        """A key `(N, N)` as the owner keeps it."""
        return SecretKey.of(self.scheme, self.cut.block_size, self.cut.dims, key)

    def queries(self, utterances: Sequence[Utterance]) -> list[Tensor]:
        """Queries of utterances, prepared but for noise: `(samples,)` or `(bins, frames)` float64, in whole blocks."""
        found = []
        for utterance in utterances:
            query = self._victim_query(utterance)
            if self.windows is not None:
                query = self.windows.cut(query)
            axes = () if self.cut.blocks is Blocks.FRAMES else zip(self.cut.axes, self.cut.lengths, strict=True)
            for axis, length in axes:
                query = query.narrow(axis, 0, query.shape[axis] // length * length)
            if query.numel():
                found.append(query.double())
        return found

    @cached_property
    def background(self) -> BackgroundSpeech:
        """Plain queries of background speakers."""
        speech = self._labelled(some_of_each(self.background_corpus, BACKGROUND_SECONDS))
        return replace(speech, prepared=self.enrolled(self.config.seed)) if self.preparation else speech

    def enrolled(self, noise: int) -> tuple[Tensor, ...]:
        """Queries of background speakers as they would encrypt them, if they were users; `noise` is a seed."""
        if not self.preparation:
            return self.background.queries
        return tuple(self.noisy(query, one, noise) for one, query in self._prepared_background)

    @cached_property
    def _prepared_background(self) -> tuple[tuple[Utterance, Tensor], ...]:
        """Utterances of background speakers with their queries, prepared but for noise: the same in every trial."""
        utterances = some_of_each(self.background_corpus, BACKGROUND_SECONDS)
        return tuple((one, self._query(one, self.preparation)) for one in utterances)

    def noisy(self, query: Tensor, utterance: Utterance, seed: int) -> Tensor:
        """The query of an utterance with the noise that users may add to it."""
        return self.preparation.noisy(query[None], seed, utterance.id)[0]

    @cached_property
    def background_parcel(self) -> Parcel:
        """`background` as it goes to the attack's process."""
        return Parcel(pickled(self.background))

    @cached_property
    def asked_parcel(self) -> Parcel:
        """`asked` as it goes to the attack's process."""
        return Parcel(pickled(self.asked))

    @cached_property
    def asked(self) -> BackgroundSpeech:
        """The queries that an adversary asks the encrypted model about, in the order of `background_experiment`."""
        return self._labelled(self.background_experiment.used)

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
        return as_sent(open_model(self.config.model, folded=False), self.config.scheme, self.config.blocks)

    def encrypted(self, key: Matrix, plain: Model | None = None) -> Model:
        """What the provider holds: the model, or a fine-tuned one, under `key`."""
        return encrypt_first_layer(plain or self.whole_model, self.secret(key), self.cut)

    @cached_property
    def experiment(self) -> Experiment:
        """The task on the victims' speech, with which recovered keys are scored."""
        return Experiment(self.sweep_config(self.victims_corpus, "victims.txt"))

    @cached_property
    def task_with_intervals(self) -> Task:
        """The task of `experiment`, with intervals over speakers or utterances where there are enough of them."""
        experiment = self.experiment
        try:
            config = replace(experiment.config, replicates=REPLICATES)
            return make_task(config, experiment.corpus, experiment.model)
        except BadInput:  # too few to resample
            return experiment.task

    @cached_property
    def background_experiment(self) -> Experiment:
        """The task on a few utterances of background speakers, about which the encrypted model may be asked.

        They are the adversary's own queries, as they were recorded.
        """
        speakers = list(by_speaker(self.background_corpus).values())[:ASKED_SPEAKERS]
        few = [utterance.id for utterances in speakers for utterance in utterances[:ASKED_EACH]]
        config = self.sweep_config(self.background_corpus.only(few), "probe.txt")
        named = config.corpus if self.config.background is None else self.config.background
        return Experiment(replace(config, corpus=named, per_speaker=None, scheme=unprepared(config.scheme)))

    def sweep_config(self, corpus: Corpus, listed: str, keys: int = 1) -> SweepConfig:
        """The sweep of the model on the speech of `corpus`, which the file `listed` of `folder` names."""
        assert self.config.model is not None
        path = self.folder / "attacks" / listed
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{utterance.id}\n" for utterance in corpus.utterances)
        with explained_errors(path, "check its permissions, or choose another --out"):
            if not path.is_file() or path.read_bytes() != lines.encode():
                write_text_atomically(path, lines)  # a worker may be reading it
        shared = ("model", "corpus", "scheme", "task", "blocks", "block", "seed", "same_gender", "sessions", "text")
        settings = asdict(self.config)
        kept = {name: settings[name] for name in (*shared, "per_speaker", "channels", "recordings", "device")}
        return SweepConfig(**kept, keys=keys, replicates=0, only=str(path), media="none")  # clips wait for the attacks

    def errors(self, experiment: Experiment, key: Matrix, asked: Matrix) -> Matrix:
        """The task's error in percent, `(n,)`, of the model under `key` asked under the keys `asked (n, N, N)`."""
        return self.error_of(experiment, experiment.engine.answers(asked, model_key=key))

    def error_of(self, experiment: Experiment, answers: Answers) -> Matrix:
        """The task's error in percent, `(n,)`, of answers under n keys."""
        return error_rates(experiment.task, experiment.scores(answers))[:, 0]

    def _key_cut(self) -> KeyCut:
        config = self.config
        if self.model is not None:
            return key_cut_of(self.model, config.blocks, config.block).under(self.scheme)
        assert config.block is not None
        return KeyCut(Blocks.SAMPLES, config.block).under(self.scheme)

    def _setting(self) -> Setting:
        cut = self.cut.merged  # several blocks of samples together are one longer block, and one larger key
        if self.model is None:
            if self.derived is None:
                return Setting(self.scheme, cut, SPEECH_RATE)
            self.derived.slots(cut.steps, SPEECH_RATE, cut.steps)  # refused before anything runs
            return Setting(self.derived.base, cut, SPEECH_RATE)
        rate: float = self.model.sample_rate
        if cut.blocks is not Blocks.SAMPLES:
            noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, int(NOISE_SECONDS * rate)))
            rate = self.model.front_end(noise.float()).shape[-1] / NOISE_SECONDS
        if self.windows is not None:
            rate *= self.windows.factor
        return Setting(self.scheme, cut, rate, blank(self.model), self.config.task)

    def _recogniser(self) -> Model | None:
        if self.derived is not None and self.derived.hold is not None:
            return None  # it hears utterances, and a slot is a part of one
        named = self.config.recogniser if self.setting.blocks is Blocks.SAMPLES else None
        return open_listener(named, "asr") if named else None

    def _labelled(self, used: Sequence[Utterance]) -> BackgroundSpeech:
        label = LABELS[self.config.task if self.model else "asv"]
        queries = tuple(self._query(utterance, Preparation()) for utterance in used)
        return BackgroundSpeech(queries, tuple(getattr(utterance, label) or "" for utterance in used))

    def _victim_query(self, utterance: Utterance) -> Tensor:
        """The prepared query of an utterance, which each case's trials ask for again: read once as long as it fits."""
        if (known := self._read.get(utterance)) is not None:
            return known
        query = self._query(utterance, self.preparation)
        if sum(one.nbytes for one in self._read.values()) + query.nbytes <= KEPT_BYTES:
            self._read[utterance] = query
        return query

    def _query(self, utterance: Utterance, preparation: Preparation) -> Tensor:
        """The query of an utterance whose recording is prepared, before any noise."""
        rate = self.model.sample_rate if self.model else SPEECH_RATE
        channels = cast(Literal["refuse", "mix"], self.config.channels)
        waveform = preparation.recording(torch.from_numpy(load_audio(utterance, rate, channels)), rate)
        return self.model.front_end(waveform) if self.model else waveform


def whole_blocks(cut: KeyCut, query: Tensor, units: int) -> Tensor:
    """The first `units` samples or frames of a query, cut down to whole blocks; at least one block."""
    step = cut.steps
    return query[..., : max(step, min(units, query.shape[-1]) // step * step)]
