"""Which clips a sweep keeps: one utterance as it is, encrypted, and decrypted with two incorrect keys.

What is kept is the query, which the key multiplies: of a model with a front end of its own, what that makes of the
recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.evaluation.derived_keys import UtteranceKeys
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.run_folder.media import Clip, Role, Row, kept_clips, may_keep, read_clips, row_of
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.run_folder.vocabulary import error_percent
from wrongkey.evaluation.spacing import evenly_spaced
from wrongkey.evaluation.windows import overlapping
from wrongkey.keys import decrypt_query, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.printable import printable

SECONDS = 2.5  # of a clip
TRIED = 9  # utterances that are looked at for one of that length

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Spoken:
    """An utterance as a model reads it.

    Attributes
    ----------
    voice : str
        Who or what is heard.
    query : Tensor
        `(samples,)` or `(bins, frames)`.
    rate : float
        Samples or frames per second.
    """

    voice: str
    query: Tensor
    rate: float

    @property
    def seconds(self) -> float:
        """Length of the query."""
        return self.query.shape[-1] / self.rate


def long_enough(spoken: Iterable[Spoken]) -> Spoken:
    """The first utterance of at least `SECONDS`, or else the longest."""
    longest = None
    for one in spoken:
        if longest is None or one.seconds > longest.seconds:
            longest = one
        if longest.seconds >= SECONDS:
            break
    assert longest is not None
    return longest


def begun(spoken: Spoken, cut: KeyCut) -> Tensor:
    """The first `SECONDS` of a query, float64, in whole blocks; at least one block."""
    units = min(int(SECONDS * spoken.rate), spoken.query.shape[-1])
    return spoken.query[..., : max(cut.steps, units // cut.steps * cut.steps)].double()


def encrypted(plain: Tensor, key: Matrix, cut: KeyCut, role: Role = "encrypted", key_index: int | None = None) -> Clip:
    """The clip of a query under a key `(N, N)`, with its SNR beside the plain query."""
    return _beside(plain, encrypt_query(plain, key, blocks=cut), cut.blocks, role, key_index)


def decrypted(plain: Tensor, key: Matrix, used: Matrix, cut: KeyCut, role: Role, key_index: int | None = None) -> Clip:
    """The clip of a query that is encrypted with `key` and decrypted with `used`, both `(N, N)`.

    Where both keys are orthogonal its SNR is also that of a query encrypted with `used` and read by a model under
    `key`. No waveform is upside down: its sign is inaudible, and not an attack's to find.
    """
    heard = decrypt_query(encrypt_query(plain, key, blocks=cut), used, blocks=cut)
    return _beside(plain, heard, cut.blocks, role, key_index)


def original(plain: Tensor) -> Clip:
    """The clip of a plain query."""
    return Clip("original", plain.numpy())


def keep_sweep(experiment: Experiment, folder: Path) -> None:
    """Keep the clips of a sweep in its run folder, unless they are there; again where it has more keys now."""
    if not may_keep(experiment.config.media, experiment.corpus.recordings) or overlapping(experiment.model):
        return
    errors = effective_errors(folder, experiment.task.metric)
    before = next((row for row in read_clips(folder) if not row.attack), None)
    if before is None or before.keys != len(errors):
        row = row_of_sweep(experiment, errors)
        with kept_clips(folder) as rows:
            rows[""] = row


def row_of_sweep(experiment: Experiment, errors: Mapping[int, float]) -> Row:
    """The clips of one utterance of a sweep; `errors` are those of its incorrect keys, by index."""
    spoken = long_enough(_evenly(experiment))
    return row_of(
        _clips(experiment, spoken, *first_and_best(errors)),
        spoken.rate,
        attack="",
        given="",
        voice=spoken.voice,
        corpus=printable(experiment.corpus.name),
        recordings=experiment.corpus.recordings,
        model=printable(experiment.model.name),
        scheme=printable(experiment.scheme.name),
        blocks=experiment.cut.blocks.value,
        block_size=experiment.cut.block_size,
        front_end=not experiment.on_waveforms and has_front_end(experiment.model),
        keyed=not experiment.on_waveforms,
        keys=len(errors),
    )


def first_and_best(errors: Mapping[int, float]) -> tuple[int, int]:
    """The incorrect key of the least error, after the first key that is another one; the same where it is the only one.

    Examples
    --------
    >>> first_and_best({0: 9.0, 1: 7.0, 2: 7.0}), first_and_best({0: 1.0, 1: 2.0}), first_and_best({0: 1.0})
    ((0, 1), (1, 0), (0, 0))
    """
    best = min(errors, key=lambda index: (np.nan_to_num(errors[index], nan=np.inf), index))
    return min((index for index in errors if index != best), default=best), best


def effective_errors(folder: Path, metric: str) -> dict[int, float]:
    """The error in percent of every incorrect key of a sweep, by index; of an EER e the lesser of e and 100 - e."""
    rows, _ = read_scores(folder, read_manifest(folder), metric)
    rows = rows[rows["condition"] == "incorrect"]
    errors = error_percent(metric, rows["value"].to_numpy(dtype=np.float64))
    if metric == "eer":
        errors = np.minimum(errors, 100 - errors)
    return dict(zip(rows["key_index"].astype(int), errors.tolist(), strict=True))


def has_front_end(model: Model) -> bool:
    """Whether a model makes something else of a waveform than a louder or quieter one; noise shows it."""
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, int(model.sample_rate))).float()
    query = model.front_end(noise).detach()
    return query.shape != noise.shape or not torch.allclose(query / query.norm(), noise / noise.norm(), atol=1e-6)


def _clips(experiment: Experiment, spoken: Spoken, wrong: int, best: int) -> list[Clip]:
    """A plain query as it is, encrypted, and under two incorrect keys, by index (one, where they are the same)."""
    cut, keys, plain = experiment.cut, experiment.incorrect, begun(spoken, experiment.cut)
    if experiment.keys is not None:
        return _seed_clips(experiment, experiment.keys, spoken, plain, wrong, best)

    def under(role: Role, index: int) -> Clip:
        key = keys.batch(index, 1)[0]
        if experiment.on_waveforms:  # the plain model reads what these keys encrypt
            return encrypted(plain, key, cut, role, key_index=index)
        return decrypted(plain, experiment.correct, key, cut, role, key_index=index)

    if experiment.on_waveforms:
        clips = [original(plain), under("encrypted", wrong)]
    else:
        clips = [original(plain), encrypted(plain, experiment.correct, cut), under("wrong key", wrong)]
    return clips if best == wrong else [*clips, under("best wrong key", best)]


def _seed_clips(
    experiment: Experiment, keys: UtteranceKeys, spoken: Spoken, plain: Tensor, wrong: int, best: int
) -> list[Clip]:
    """The same where a key is a seed: with the matrices that it gives this utterance."""
    number = [printable(utterance.id) for utterance in experiment.used].index(spoken.voice)
    whose, own, blocks = torch.tensor([number]), experiment.correct, experiment.cut.blocks

    def under(role: Role, index: int) -> Clip:
        seed = experiment.incorrect.batch(index, 1)
        if experiment.on_waveforms:
            return _beside(plain, keys.encrypted(plain[None], whose, seed[0])[0], blocks, role, index)
        return _beside(plain, keys.relative(plain[None], whose, seed[0], own[None])[0, 0], blocks, role, index)

    if experiment.on_waveforms:
        clips = [original(plain), under("encrypted", wrong)]
    else:
        sent = keys.encrypted(plain[None], whose, own)[0]
        clips = [original(plain), _beside(plain, sent, blocks, "encrypted"), under("wrong key", wrong)]
    return clips if best == wrong else [*clips, under("best wrong key", best)]


def _evenly(experiment: Experiment) -> Iterator[Spoken]:
    """A few utterances, evenly spaced, from the middle one on."""
    few = evenly_spaced(experiment.used, TRIED)
    rate = experiment.model.sample_rate
    for utterance in [*few[len(few) // 2 :], *few[: len(few) // 2]]:
        waveform, query = experiment.reader.waveform(utterance), experiment.reader.whole_query(utterance)
        frames_per_sample = query.shape[-1] / len(waveform)
        yield Spoken(printable(utterance.id), query.detach(), rate * frames_per_sample)


def _beside(plain: Tensor, heard: Tensor, blocks: Blocks, role: Role, key_index: int | None = None) -> Clip:
    """The clip of what is heard in place of a plain query, cut to its length."""
    heard = heard[tuple(slice(extent) for extent in plain.shape)]
    if blocks is Blocks.SAMPLES and (plain * heard).sum() < 0:
        heard = -heard
    return Clip(role, heard.numpy(), snr(plain, heard, blocks), key_index)
