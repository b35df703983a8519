"""From a recording to a model's queries, with a sentence for whatever is wrong with either."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.corpora import Utterance, load_audio
from wrongkey.evaluation.hardware import threads_of_this_process
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.preparation import Preparation
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

AHEAD = 2**24  # bytes: 500 s of 16 bits at 16 kHz; a compressed file is ten to twenty times as long
MOST_THREADS = 8  # more than any disk feeds


@dataclass(frozen=True)
class Reader:
    """Reads utterances for a model whose queries are cut in one way.

    ``channels`` says what to do with recordings of several channels: "refuse" or "mix". ``preparation`` is what users
    do before they encrypt, with noise drawn from ``seed``; ``encrypts`` says whether they encrypt the waveform or the
    model's query, to which the noise is added.
    """

    model: Model
    cut: KeyCut
    channels: Literal["refuse", "mix"]
    preparation: Preparation = field(default_factory=Preparation)
    seed: int = 0
    encrypts: Literal["query", "waveform"] = "query"

    def waveform(self, utterance: Utterance) -> Tensor:
        """An utterance's waveform ``(samples,)``, prepared; raises BadInput where no model can make anything of it."""
        # A copy, because torch aligns its memory: transforms round by where a recording is in numpy's.
        waveform = torch.from_numpy(load_audio(utterance, self.model.sample_rate, self.channels)).clone()
        if self.cut.blocks is Blocks.SAMPLES and len(waveform) < self.cut.steps:
            raise BadInput(
                f"Utterance {utterance.id} ({utterance.path}) has {len(waveform)} samples, fewer than one block of "
                f"{self.cut.steps}: leave it out of the corpus."
            )
        if not waveform.any():
            raise BadInput(
                f"Utterance {utterance.id} ({utterance.path}) is digital silence: leave it out of the corpus."
            )
        waveform = self.preparation.recording(waveform, self.model.sample_rate)
        return self._noisy(waveform[None], utterance)[0] if self.encrypts == "waveform" else waveform

    def segments(self, waveform: Tensor, utterance: Utterance) -> Tensor:
        """A waveform's segments, prepared; raises BadInput where a user's front end fails or gives something else."""
        try:
            with torch.no_grad():
                segments = self.model.segments(self.model.front_end(waveform))
        except BadInput:
            raise
        except Exception as error:  # a user's model may fail in any way
            raise BadInput(
                f"The front end of model {self.model.name} fails on utterance {utterance.id} "
                f"({in_one_line(error)}): correct it, or leave the utterance out."
            ) from error
        if not _are_queries(segments):
            found = tuple(segments.shape) if isinstance(segments, Tensor) else type(segments).__name__
            raise BadInput(
                f"front_end and segments of model {self.model.name} must give (segments, samples) or (segments, bins, "
                f"frames), and gave {found} for utterance {utterance.id}."
            )
        if not segments.isfinite().all():
            raise BadInput(
                f"The front end of model {self.model.name} gives values that are not finite for utterance "
                f"{utterance.id}: keep the logarithm of silence above a floor, or leave the utterance out."
            )
        return self._noisy(segments, utterance) if self.encrypts == "query" else segments

    def whole_query(self, utterance: Utterance) -> Tensor:
        """What is encrypted of an utterance, before it is cut: the waveform, or the query of the model's front end."""
        waveform = self.waveform(utterance)
        if self.encrypts == "waveform":
            return waveform
        return self._noisy(self.model.front_end(waveform)[None], utterance)[0]

    def _noisy(self, queries: Tensor, utterance: Utterance) -> Tensor:
        return self.preparation.noisy(queries, self.seed, utterance.id)


def in_one_thread() -> AbstractContextManager[None]:
    """For making queries of recordings: sums of PyTorch round by the number of threads, and queries must not."""
    return threads_of_this_process(1)


def read_ahead(read: Callable[[Utterance], Tensor], utterances: Sequence[Utterance], threads: int) -> Generator[Tensor]:
    """Read utterances in their order, some ahead of the one that is asked for: decoders leave Python's lock free.

    What is ahead is bounded by `AHEAD` bytes of files, so that long recordings are read one by one.
    """
    if threads == 1:
        yield from map(read, utterances)
        return
    threads = min(threads, MOST_THREADS)
    coming = deque(utterances)
    ahead, held = deque[tuple[Future[Tensor], int]](), 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            while coming or ahead:
                while coming and (not ahead or (len(ahead) < 2 * threads and held < AHEAD)):
                    utterance = coming.popleft()
                    size = _size(utterance)
                    ahead.append((pool.submit(read, utterance), size))
                    held += size
                waveform, size = ahead.popleft()
                held -= size
                yield waveform.result()
        finally:  # nobody waits for what is not wanted
            pool.shutdown(cancel_futures=True)


def _size(utterance: Utterance) -> int:
    """Bytes of the file; nothing of one that cannot be seen, which reading it will say."""
    try:
        return utterance.path.stat().st_size
    except OSError:
        return 0


def _are_queries(segments: object) -> bool:
    """Whether these are real numbers, ``(segments, samples)`` or ``(segments, bins, frames)``."""
    if not isinstance(segments, Tensor) or segments.ndim not in (2, 3):
        return False
    return not segments.is_complex() and segments.numel() > 0
