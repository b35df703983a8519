"""Everything prepared to answer what a sweep asks: model, corpus, task, keys and engine."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from time import process_time
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.answers import Answers, difference_of
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.config import SweepConfig as SweepConfig
from wrongkey.evaluation.corpora import Corpus, Recordings, Utterance, open_corpus
from wrongkey.evaluation.derived_keys import DerivedEngine, EncryptedPerUtterance, UtteranceKeys, query_rate
from wrongkey.evaluation.digests import digest_of_shapes, digest_of_weights, magnitude
from wrongkey.evaluation.engine import Engine
from wrongkey.evaluation.first_layer import encrypt_first_layer
from wrongkey.evaluation.hardware import (
    TOLERANCE,
    available_cores,
    choose_device,
    choose_precision,
    is_out_of_memory,
    keep_freed_memory,
)
from wrongkey.evaluation.memory import bytes_of, free_memory
from wrongkey.evaluation.models.asking import answer_function, model_at_fault
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.preparation import Preparation
from wrongkey.evaluation.probe import probe
from wrongkey.evaluation.queries import Keeping, Queries, QueryGroup, check_bins, group_queries
from wrongkey.evaluation.reader import Reader, in_one_thread, read_ahead
from wrongkey.evaluation.run_folder.vocabulary import SelfCheck
from wrongkey.evaluation.segment_files import SegmentFiles, Spooled, for_others, machine_folder, mapped_queries
from wrongkey.evaluation.spacing import evenly_spaced
from wrongkey.evaluation.tasks.base import Task, make_task
from wrongkey.evaluation.windows import as_sent, sends_windows, windows_of
from wrongkey.keys import IncorrectKeys, SecretKey, SeedKey, correct_key, draw_keys, encrypt_query, get_scheme
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.derived import IncorrectSeeds, correct_seed
from wrongkey.keys.key_cut import KeyCut, default_blocks, natural_block
from wrongkey.keys.model import check_exact, first_layer

CHECKED_SEGMENTS = {"asv": 64, "asr": 4, "asc": 64}  # asked about in every self-check but that of the correct key
ASKED_AGAIN = {"asv": 4, "asr": 1, "asc": 4}  # utterances that the plain model is asked about again while a sweep runs


class Experiment:
    """A configuration with its model, corpus, task and keys in memory, ready to be asked.

    ``numbers`` prepares some of the utterances only, by their place in the task's list: enough to ask the model about
    them, not to score. ``mapped`` names the folder of temporary files in which another process of this machine keeps
    the segments, or this one keeps them for others. ``like`` is an experiment whose model, speech and plain answers
    this one takes over; its configuration may differ in the keys alone (``with_keys_of``).
    """

    model: Model
    corpus: Corpus
    task: Task
    used: tuple[Utterance, ...]
    numbers: Sequence[int]  # of the utterances in use, in the task's list
    waveforms: list[Tensor]  # kept where every key encrypts them again
    seconds: float  # of speech in use
    reading: float  # seconds of CPU that it took to read the speech
    engine: Engine
    files: SegmentFiles | None  # of the segments, where they are too large for the memory
    keys: UtteranceKeys | None  # where a key is a seed
    correct: np.ndarray  # (N, N), or a seed (4,)
    incorrect: IncorrectKeys | IncorrectSeeds
    _plain: Answers | None
    _clean: Answers | None
    _first_answers: list[Answers] | None
    against_float32: SelfCheck | None  # of a plain model, whose answers no key changes

    def __init__(
        self,
        config: SweepConfig,
        numbers: Sequence[int] | None = None,
        *,
        mapped: str | None = None,
        like: Experiment | None = None,
    ) -> None:
        keep_freed_memory()
        self.config = config
        self.scheme = get_scheme(config.scheme)  # a wrong name is refused before a model is loaded
        self.device = choose_device(config.device)
        self.dtype = choose_precision(config.precision)
        self.on_waveforms = config.variant == "waveform"
        self.model = like.model if like else as_sent(self.plain_model(), config.scheme, config.blocks)
        answer_function(self.model, config.task)
        self.preparation = Preparation.of(config.scheme)
        self._draw_keys()
        self.encrypted = None if self.on_waveforms else self._encrypted_model()
        if like:
            self._take_speech_of(like)
        else:
            self._read_speech(numbers, mapped)

    def with_keys_of(self, config: SweepConfig) -> Experiment | None:
        """The same plain model, speech and plain answers under other keys, or None where ``config`` asks for more.

        Only a model without a key can be kept: its queries depend on no block size.
        """
        keys = ("scheme", "block", "keys")
        same = replace(config, **{name: getattr(self.config, name) for name in keys}) == self.config
        steps = get_scheme(config.scheme).span * (config.block or 0)
        if not (self.on_waveforms and same) or min(map(len, self.waveforms)) < steps:
            return None  # too short an utterance is refused where it is read
        if Preparation.of(config.scheme) != self.preparation:
            return None
        return Experiment(config, like=self)

    def among(self, numbers: Sequence[int]) -> Experiment:
        """The same model and task, with some of the utterances, by their place in the task's list."""
        other = copy.copy(self)
        other._read(numbers)
        return other

    def plain_model(self) -> Model:
        """The model as it is opened: one that reads speech, also where a key's scheme sends windows."""
        return open_model(self.config.model, double=self.dtype == torch.float64)

    @property
    def total(self) -> int:
        """Incorrect keys that this sweep runs: those asked for, or all there are."""
        return min(self.config.keys, self.incorrect.total or self.config.keys)

    @property
    def check_engine(self) -> Engine:
        """What the self-checks ask: some segments of one shape."""
        few = self.engine.queries.first(CHECKED_SEGMENTS[self.config.task])
        return self.engine.on(few, self.asked_in_checks)

    @cached_property
    def weights(self) -> str:
        """Hash of the network's tensors, as it was opened."""
        return digest_of_weights(self.model.network)

    @property
    def asked_in_checks(self) -> str:
        """The model's function that checks ask: the task's, or of a recogniser the numbers that it decodes."""
        encodes = self.config.task == "asr" and hasattr(self.model, "encode")
        return "encode" if encodes else ASKED[self.config.task]

    def cut_again(self, numbers: Sequence[int]) -> Queries:
        """Queries of some utterances, by number, made anew from their recordings."""
        utterances = [self.used[number] for number in numbers]
        with in_one_thread():
            return self._grouped([self.reader.segments(self.reader.waveform(one), one) for one in utterances])

    def check_unchanged(self) -> None:
        """Compare what the plain model answers now with what it answered at the first call; raises BadInput.

        A model that starts to answer differently in mid-sweep (zeros, noise, another width) looks perfectly safe.
        """
        numbers = evenly_spaced(range(len(self.used)), ASKED_AGAIN[self.config.task], begin="first")
        queries = self.cut_again(numbers) if self.on_waveforms else self.engine.queries.among(numbers)
        try:
            found = self.engine.on(queries).plain_by_group()
        except Exception as error:  # a user's model may fail in any way
            if is_out_of_memory(error):  # which is not the model's fault
                with model_at_fault(self.model.name):
                    raise
            raise self._changed(f"it fails now: {in_one_line(error)}") from error
        self._first_answers = self._first_answers or found
        limit = TOLERANCE[self.config.precision]
        for now, before in zip(found, self._first_answers, strict=True):
            if not (difference := difference_of(now, before)) <= limit:  # NaN is one too
                raise self._changed(f"a difference of {difference:.1e}, allowed {limit:.0e}")

    def _changed(self, how: str) -> BadInput:
        return BadInput(
            f"Model {self.model.name} does not answer plain queries any more as it did when the sweep began ({how}): "
            "keep it from changing while it is asked; keys since the last check are not kept."
        )

    @property
    def bins(self) -> int | None:
        """Rows of the spectrograms that are asked; None for waveforms."""
        segments = self.engine.queries.groups[0].segments
        return segments.shape[-2] if segments.ndim == 3 else None

    def plain(self) -> Answers:
        """The plain model's answers to plain queries, prepared as those that are encrypted; computed once."""
        if self._plain is None:
            self._plain = self.engine.plain()
        return self._plain

    def clean(self) -> Answers:
        """The plain model's answers to speech as it was recorded, computed once; ``plain`` where users prepare none."""
        if not self.preparation:
            return self.plain()
        if self._clean is None:
            reader = replace(self.reader, preparation=Preparation())
            segments = (reader.segments(reader.waveform(one), one) for one in self.used)
            with in_one_thread():
                queries = self._grouped(segments, Spooled(self.most_in_memory, self.dtype))
            self._clean = self.engine.on(queries).plain()
        return self._clean

    def answers(self, keys: np.ndarray) -> Answers:
        """Answers to queries, or of the plain model to waveforms, under ``keys (n, N, N)``."""
        if not self.on_waveforms:
            return self.engine.answers(keys)
        return _joined([self.engine.on(self._encrypted_queries(key)).plain() for key in keys])

    def plain_query(self) -> Answers:
        """Answers of the encrypted model to queries that were not encrypted."""
        return self.engine.plain_query()

    def haar_keys(self, engine: Engine) -> tuple[Engine, np.ndarray]:
        """Three keys to check an engine with, and the engine that takes them.

        A Haar key tests the engine for every scheme: a Flipping key may be the harmless -I.
        """
        if isinstance(engine, DerivedEngine):
            return engine.asked_by("rom"), self.incorrect.batch(0, 3)
        return engine, draw_keys("rom", self.cut.size, self.config.seed, 0, 3)

    def scores(self, answers: Answers) -> Tensor:
        """Scores ``(keys, …)`` of answers, as the task makes them."""
        return self.task.scores(answers, self.plain)

    def explicit(self, query_key: np.ndarray) -> Answers:
        """The oracle: encrypt every query with ``query_key``, ask the encrypted model; as one key's answers."""
        assert self.encrypted is not None
        return self.engine.explicit(self.encrypted, query_key)

    def tune(self, segments: int | None = None) -> None:
        """Take the rows per pass of ``--rows``, or find the fastest to ask about so many segments under every key.

        By default they are those of this experiment.
        """
        if self.config.rows:
            self.engine.batch.choose(self.config.rows, "as asked for")
            return
        largest = 64 if self.config.task == "asr" else 4096  # a decoder is slow to measure
        self.engine.tune(largest, self.total * (segments or self.engine.queries.segments))

    def identity(self) -> dict[str, Any]:
        """What the scores depend on: a run folder with another identity is another experiment.

        Hashes know neither the model's code nor its front end; the mean magnitude of what the plain model answers to
        some segments does (of texts their length).
        """
        settings = asdict(self.config)
        kept = ("task", "scheme", "seed", "variant", "precision", "replicates", "keep_outputs")
        return {
            **{name: settings[name] for name in kept},
            "blocks": self.cut.blocks.value,
            "block_size": self.cut.block_size,
            "dims": self.cut.dims,
            **({"right": self.config.right} if self.config.right else {}),
            "weights": self.weights,
            "corpus": replace(self.corpus, utterances=tuple(self.used)).digest(),
            **self.task.identity(),
            "segments": digest_of_shapes(self.engine.queries),
            "plain answers": magnitude(self.check_engine.plain()),
        }

    def _key_cut(self) -> KeyCut:
        external = self.model.external
        if external and self.config.precision not in ("float32", "float64"):
            raise BadInput(
                f"--precision {self.config.precision} would round what {self.model.name} hears: leave it out."
            )
        if not self.on_waveforms:
            if external:
                raise BadInput(f"{self.model.name} has no network to encrypt: add --variant waveform and --block M.")
            return key_cut_of(self.model, self.config.blocks, self.config.block)
        if sends_windows(self.config.scheme):
            raise BadInput("--variant waveform encrypts waveforms, not windows: leave the option windows out.")
        if self.config.block is None:
            raise BadInput("--variant waveform needs --block M: the plain model does not say it.")
        return KeyCut(Blocks.SAMPLES, self.config.block)

    def _draw_keys(self) -> None:
        config = self.config
        self.cut = self._key_cut().under(self.scheme)
        self.reader = Reader(
            self.model,
            self.cut,
            cast(Literal["refuse", "mix"], config.channels),
            self.preparation,
            config.seed,
            "waveform" if self.on_waveforms else "query",
        )
        size = self.cut.size
        self.keys = self._utterance_keys()
        if self.keys is not None:
            if config.right:
                raise BadInput(f"A key of {config.scheme} is a seed, of which no part can be right: leave --right out.")
            self.correct = correct_seed(self.scheme, size, config.seed)
            self.incorrect = IncorrectSeeds(self.scheme, size, config.seed)
            return
        # A model without a key is one under the identity: every other key is an incorrect one.
        self.correct = np.eye(size) if self.on_waveforms else correct_key(self.scheme, size, config.seed)
        self.incorrect = IncorrectKeys(self.scheme, size, config.seed, self.correct, config.right)
        if self.incorrect.total == 0:
            raise BadInput(f"{config.scheme} has a single key at N = {size}: there is no incorrect one to try.")

    def _utterance_keys(self) -> UtteranceKeys | None:
        """How the matrices of an utterance follow from a key, where that is a seed."""
        derived = self.scheme.derived
        if derived is None:
            return None
        measured = derived.hold is not None and not self.on_waveforms
        rate = query_rate(self.model) if measured else float(self.model.sample_rate)
        if windows := windows_of(self.model):
            rate *= windows.factor
        return UtteranceKeys(derived, derived, self.cut, rate, self.config.seed)

    @property
    def _whole_blocks(self) -> bool:
        return not self.on_waveforms and self.cut.reads_whole(self._layer)

    @property
    def _into_kernels(self) -> bool:
        """Keys go into the first layer where they can; a recogniser's decoder may count on the batch it was given."""
        return self._whole_blocks and self.config.task != "asr" and self.scheme.derived is None

    @property
    def _layer(self) -> nn.Module:
        return first_layer(self.model.network, self.model.first_layer)

    def _encrypted_model(self) -> Model | EncryptedPerUtterance:
        dtype = torch.promote_types(self.dtype, torch.float32)
        if self.keys is not None:
            seed = SeedKey.of(self.scheme, self.cut.block_size, self.cut.dims, self.correct)
            return EncryptedPerUtterance(self.model, seed, self.keys, dtype)
        key = SecretKey.of(self.scheme, self.cut.block_size, self.cut.dims, self.correct)
        return encrypt_first_layer(self.model, key, self.cut, dtype)

    def _read_speech(self, numbers: Sequence[int] | None, mapped: str | None) -> None:
        """Open the corpus and the task, and prepare the utterances in use."""
        self.corpus = _corpus(self.config)
        self.task = make_task(self.config, self.corpus, self.model)
        self._read(range(len(self.task.utterances)) if numbers is None else numbers, mapped)

    def _read(self, numbers: Sequence[int], mapped: str | None = None) -> None:
        """Prepare some of the utterances, by their place in the task's list."""
        self.numbers = numbers
        self.used = tuple(self.task.utterances[number] for number in numbers)
        self.waveforms = []
        self.files, before = None, process_time()
        vars(self).pop("files_for_others", None)  # of the speech before
        queries, self.seconds = self._shared_queries(mapped) if mapped else self._queries()
        self.reading = process_time() - before
        self._probe(queries.groups[0])
        kind = Engine if self.keys is None else DerivedEngine
        self.engine = kind.of(
            self.model,
            ASKED[self.config.task],
            queries,
            self.correct,
            self.cut,
            kernels=self._into_kernels,
            device=self.device,
            dtype=self.dtype,
        )
        if isinstance(self.engine, DerivedEngine):
            self.engine = replace(self.engine, keys=self.keys)
        self._plain = self._clean = self._first_answers = self.against_float32 = None

    def _take_speech_of(self, other: Experiment) -> None:
        self.corpus, self.task, self.used, self.numbers = other.corpus, other.task, other.used, other.numbers
        self.waveforms, self.seconds, self.engine = other.waveforms, other.seconds, other.engine
        self.files, self.reading = other.files, other.reading
        self._plain, self._clean, self._first_answers = other._plain, other._clean, other._first_answers
        self.against_float32 = other.against_float32

    def _shared_queries(self, name: str) -> tuple[Queries, float]:
        """The queries that a folder of this machine holds, or will hold for others from now on."""
        with machine_folder(name) as folder:
            return mapped_queries(folder) or self._queries(folder)

    def _queries(self, folder: Path | None = None) -> tuple[Queries, float]:
        """The segments of every utterance in use, and the seconds of speech they were cut from."""
        samples, threads = 0, torch.get_num_threads()

        def segments() -> Iterator[Tensor]:
            nonlocal samples
            waveforms = read_ahead(self.reader.waveform, self.used, threads)
            for number, (utterance, waveform) in enumerate(zip(self.used, waveforms, strict=True)):
                samples += len(waveform)
                if self.on_waveforms:
                    self.waveforms.append(waveform)
                cut = self.reader.segments(waveform, utterance)
                if number == 0 and not self.on_waveforms:
                    check_bins(self.model, cut, self.cut)
                yield cut

        keeping = Spooled(0 if folder else self.most_in_memory, self.dtype, folder)
        with in_one_thread():
            queries = self._grouped(segments(), keeping)
        seconds = samples / self.model.sample_rate
        if keeping.files is not None:
            keeping.files.write_index(queries, seconds)
            self.files = keeping.files
        return queries, seconds

    @property
    def can_be_mapped(self) -> bool:
        """Whether other processes of this machine can map the segments of this one, in place of reading the speech."""
        return self.device.type == "cpu" and not self.on_waveforms

    @cached_property
    def files_for_others(self) -> SegmentFiles | None:
        """The segments in files that other processes of this machine map; None where each reads the speech."""
        if self.files is None and self.can_be_mapped and len(self.used) == len(self.task.utterances):
            return for_others(self.engine.queries, self.dtype, self.seconds)
        return self.files

    @property
    def most_in_memory(self) -> float:
        """Bytes of segments up to which every process holds them itself.

        By default those of all workers then fit into half of what is free. A GPU has its own copy in any case, and
        waveforms that every key encrypts again are not kept as segments.
        """
        if self.device.type != "cpu" or self.on_waveforms:
            return float("inf")
        if self.config.memory is not None:
            return bytes_of(self.config.memory)
        return free_memory() / (2 * (available_cores() + 1))

    def _grouped(self, segments: Iterable[Tensor], keeping: Keeping | None = None) -> Queries:
        if self.on_waveforms:
            return group_queries(segments, KeyCut(Blocks.SAMPLES, 1), whole=False, keeping=keeping)
        return group_queries(segments, self.cut, self._whole_blocks, keeping)

    def _encrypted_queries(self, key: np.ndarray) -> Queries:
        """The segments of every utterance whose waveform was encrypted with ``key (N, N)``."""
        encrypted = (self._encrypted(waveform, number, key) for number, waveform in enumerate(self.waveforms))
        pairs = zip(encrypted, self.used, strict=True)
        return self._grouped([self.reader.segments(waveform, utterance) for waveform, utterance in pairs])

    def _encrypted(self, waveform: Tensor, number: int, key: np.ndarray) -> Tensor:
        """The waveform of an utterance, by its number, under a key."""
        if self.keys is None:
            return encrypt_query(waveform, key, blocks=Blocks.SAMPLES)
        return self.keys.encrypted(waveform[None], torch.tensor([number]), key)[0]

    def _probe(self, shortest: QueryGroup) -> None:
        """Ask the plain model once: raises BadInput where it fails or answers in another shape."""
        of, keyed = f"utterance {self.used[int(shortest.utterance[0])].id}", self.encrypted is not None
        probe(self.model, self.config.task, shortest.segments, of, self.device, self.dtype, keyed)


def key_cut_of(model: Model, blocks: str | None, block_size: int | None) -> KeyCut:
    """How a key cuts a model's queries: as asked, as the model says, or as its first layer does.

    Raises BadInput where none of them says it, and where the first layer cannot take a key.
    """
    layer = first_layer(model.network, model.first_layer)
    check_exact(layer, model.first_layer)
    chosen = blocks or model.blocks or default_blocks(layer)
    if chosen is None:
        raise BadInput(f"{model.name} reads spectrograms: say with --blocks whether keys cut tiles or frames.")
    own = model.block_size if chosen == model.blocks else None
    block_size = block_size or own or natural_block(layer, Blocks.named(chosen))
    if block_size is None:
        raise BadInput(
            f"{model.first_layer} of {model.name} has no block size of its own for {chosen}: give --block M."
        )
    return KeyCut(Blocks.named(chosen), block_size)


def _joined(answers: Sequence[Answers]) -> Answers:
    """Answers of single keys as those of several."""
    if isinstance(answers[0], Tensor):
        return torch.cat(cast(list[Tensor], list(answers)))
    return [texts for one in answers for texts in cast(Iterable[Any], one)]


def _corpus(config: SweepConfig) -> Corpus:
    corpus = open_corpus(config.corpus, cast(Recordings | None, config.recordings))
    if config.only:
        corpus = corpus.only_listed(Path(config.only))
    return corpus.select(per_speaker=config.per_speaker) if config.per_speaker else corpus
