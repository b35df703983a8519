"""What a sweep asks: the configuration, and everything prepared to answer it.

The configuration is plain text and numbers, so that a worker in another process or on another machine can prepare
the same experiment for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.asv import VARIANTS, SpeakerVerification
from evaluation.corpora import Corpus, Recordings, Utterance, load_audio, open_corpus
from evaluation.engine import Engine, QueryGroup, encrypt_first_layer, group_queries
from evaluation.hardware import choose_device, choose_precision, keep_freed_memory
from evaluation.models.protocol import SpeakerModel, open_model
from evaluation.trials import Trials, generate_trials, read_trials
from keys import IncorrectKeys, SecretKey, correct_key, get_scheme
from keys.errors import BadInput
from keys.model import check_exact, first_layer, layer_block


@dataclass(frozen=True)
class SweepConfig:
    """A sweep as the command line or a TOML file states it.

    Parameters
    ----------
    model, corpus: what ``open_model`` and ``open_corpus`` understand.
    scheme: ``shuffling``, ``flipping``, ``rom`` or a user's own.
    block: block size M; None takes the first layer's kernel size.
    keys: incorrect keys, at least 1; a scheme with fewer is enumerated.
    seed: master seed of keys, generated trials and bootstrap.
    variant: ``both`` or ``test`` (see ``evaluation.asv``).
    trials: a list in VoxCeleb format, ``corpus`` for the list that the corpus brings, or None to generate:
        every same-speaker pair and ``nontargets`` times as many different-speaker pairs (``same_gender`` or any).
    per_speaker: only the first so many utterances of each speaker; None for all.
    channels: ``refuse`` or ``mix`` recordings with more than one channel.
    recordings: ``real`` or ``synthetic`` where the corpus' layout does not tell; reports say which is evidence.
    replicates: bootstrap replicates over speakers for the interval of every key, 0 for none.
    keep_outputs: whether the raw trial scores of every key are kept.
    """

    model: str
    corpus: str
    scheme: str = "rom"
    task: str = "asv"
    block: int | None = None
    keys: int = 1000
    seed: int = 0
    variant: str = "both"
    trials: str | None = None
    same_gender: bool = False
    nontargets: int = 1
    per_speaker: int | None = None
    channels: str = "refuse"
    recordings: str | None = None
    precision: str = "float32"
    device: str = "auto"
    replicates: int = 200
    keep_outputs: bool = False

    def __post_init__(self) -> None:
        if self.task != "asv":
            raise BadInput(f"task {self.task!r} is unknown: this version knows asv")
        if self.variant not in VARIANTS:
            raise BadInput(f"variant {self.variant!r} is unknown: choose {' or '.join(VARIANTS)}")
        if self.keys < 1:
            raise BadInput(f"--keys {self.keys} makes no sweep: give 1 or more")
        least = {"--replicates": (self.replicates, 0), "--seed": (self.seed, 0), "--nontargets": (self.nontargets, 1)}
        if self.per_speaker is not None:
            least["--per-speaker"] = (self.per_speaker, 1)
        for flag, (value, minimum) in least.items():
            if value < minimum:
                raise BadInput(f"{flag} {value} makes no sense: give {minimum} or more")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> SweepConfig:
        """From a TOML table or a manifest; an unknown name is BadInput."""
        known = cls.__dataclass_fields__
        if unknown := [name for name in settings if name not in known]:
            raise BadInput(f"unknown setting {unknown[0]!r}: known are {', '.join(known)}")
        if missing := [name for name in ("model", "corpus") if name not in settings]:
            raise BadInput(f"a sweep needs --{missing[0]}")
        return cls(**settings)


class Experiment:
    """A configuration with its model, corpus, trials and keys in memory, ready for the engine."""

    def __init__(self, config: SweepConfig) -> None:
        self.config = config
        keep_freed_memory()
        self.device = choose_device(config.device)
        self.dtype = choose_precision(config.precision)
        self.scheme = get_scheme(config.scheme)
        self.model = open_model(config.model)
        self.block_size, self.dims = _block_of(self.model, config.block)
        size = self.block_size**self.dims
        self.correct = correct_key(self.scheme, size, config.seed)
        self.incorrect = IncorrectKeys(self.scheme, size, config.seed, self.correct)
        if self.incorrect.total == 0:
            raise BadInput(f"{config.scheme} has a single key at N = {size}: there is no incorrect one to try")
        self.key = SecretKey(self.scheme.name, self.block_size, self.dims, self.correct)
        self.encrypted = encrypt_first_layer(self.model, self.key, torch.promote_types(self.dtype, torch.float32))
        self.corpus = _corpus(config)
        self.trials = _trials(config, self.corpus)
        self.used = self.trials.utterances(self.corpus)
        self.task = SpeakerVerification.of(self.trials, config.replicates, config.seed)
        groups, self.seconds = self._queries()
        self.engine = Engine(self.model, groups, self.correct, self.device, self.dtype)
        self._plain: Tensor | None = None

    @property
    def total(self) -> int:
        """Incorrect keys that this sweep runs: those asked for, or all there are."""
        return min(self.config.keys, self.incorrect.total or self.config.keys)

    def plain(self) -> Tensor:
        """Embeddings of the plain model for plain queries: ``(utterances, dim)``, computed once."""
        if self._plain is None:
            self._plain = self.engine.plain_embeddings()
        return self._plain

    def scores(self, embeddings: Tensor) -> Tensor:
        """Trial scores ``(keys, trials)`` of embeddings ``(keys, utterances, dim)`` in the threat variant asked for."""
        enrolled = embeddings if self.config.variant == "both" else self.plain().expand_as(embeddings)
        return self.task.scores(enrolled, embeddings)

    def explicit(self, query_key: np.ndarray) -> Tensor:
        """The oracle: encrypt every query with ``query_key``, ask the encrypted model: ``(utterances, dim)``."""
        return self.engine.explicit_embeddings(self.encrypted, query_key)

    def identity(self) -> dict[str, Any]:
        """What the scores depend on: a run folder with another identity is another experiment.

        Hashes know neither the model's code nor its front end; the mean magnitude of the plain trial scores does.
        """
        settings = asdict(self.config)
        kept = ("task", "scheme", "seed", "variant", "precision", "replicates", "keep_outputs")
        return {
            **{name: settings[name] for name in kept},
            "block_size": self.block_size,
            "dims": self.dims,
            "weights": _digest_of_weights(self.model.network),
            "corpus": replace(self.corpus, utterances=tuple(self.used)).digest(),
            "trials": self.trials.digest(),
            "segments": _digest_of_shapes(self.engine.groups),
            "plain answers": float(self.scores(self.plain()[None]).abs().double().mean()),
        }

    def _queries(self) -> tuple[list[QueryGroup], float]:
        """The segments of every utterance that a trial names, and the seconds of speech they were cut from."""
        segments, samples = [], 0
        for utterance in self.used:
            waveform = self._speech(utterance)
            samples += len(waveform)
            segments.append(self.model.segments(self.model.front_end(waveform)))
        groups = group_queries(segments, self.block_size, self.dims)
        self._probe(groups[0])
        return groups, samples / self.model.sample_rate

    def _speech(self, utterance: Utterance) -> Tensor:
        """An utterance's waveform ``(samples,)``; raises BadInput for one that no model can make anything of."""
        channels = cast(Literal["refuse", "mix"], self.config.channels)
        waveform = torch.from_numpy(load_audio(utterance, self.model.sample_rate, channels))
        if self.dims == 1 and len(waveform) < self.block_size:
            raise BadInput(
                f"utterance {utterance.id} ({utterance.path}) has {len(waveform)} samples, fewer than one block of "
                f"{self.block_size}: leave it out of the corpus"
            )
        if not waveform.any():
            raise BadInput(
                f"utterance {utterance.id} ({utterance.path}) is digital silence: leave it out of the corpus"
            )
        return waveform

    def _probe(self, shortest: QueryGroup) -> None:
        """Ask the plain model once: raises BadInput where it fails or answers in another shape."""
        name, shape = self.used[int(shortest.utterance[0])].id, tuple(shortest.segments.shape[1:])
        two = shortest.segments[:1].repeat(2, *[1] * len(shape))
        try:
            with torch.inference_mode():
                answer = self.model.embed(two)
        except Exception as error:  # a user's model may fail in any way
            raise BadInput(
                f"model {self.model.name} cannot embed utterance {name}, queries of shape {shape} "
                f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}): are they shorter than "
                "its receptive field?"
            ) from error
        if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != 2:
            found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise BadInput(f"model {self.model.name}: embed must return (batch, dim), and two queries gave {found}")


def _block_of(model: SpeakerModel, asked: int | None) -> tuple[int, int]:
    """Block size and dimensions that the model's first layer fixes; BadInput where it takes no key or another block
    is asked for."""
    layer = first_layer(model.network, model.first_layer)
    check_exact(layer, model.first_layer)
    block, dims = layer_block(cast(nn.Conv1d | nn.Conv2d, layer))
    if asked is not None and asked != block:
        raise BadInput(f"--block {asked} does not fit {model.name}: its first layer has kernel = stride = {block}")
    return block, dims


def _corpus(config: SweepConfig) -> Corpus:
    corpus = open_corpus(config.corpus, cast(Recordings | None, config.recordings))
    return corpus.select(per_speaker=config.per_speaker) if config.per_speaker else corpus


def _trials(config: SweepConfig, corpus: Corpus) -> Trials:
    if config.trials is None:
        return generate_trials(corpus, config.seed, config.same_gender, config.nontargets)
    path = corpus.root / "trials.txt" if config.trials == "corpus" else Path(config.trials)
    return read_trials(path, corpus)


def _digest_of_weights(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + str(tensor.dtype).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _digest_of_shapes(groups: Sequence[QueryGroup]) -> str:
    """Hash of how the utterances were cut into segments."""
    digest = hashlib.sha256()
    for group in groups:
        digest.update(str(tuple(group.segments.shape)).encode() + group.utterance.cpu().numpy().tobytes())
    return digest.hexdigest()
