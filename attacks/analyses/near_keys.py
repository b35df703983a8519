"""Decryption with the correct key, near keys and incorrect keys: how near a key must be (paper, Fig. 7, and beyond).

Speech encrypted with `K` and decrypted with `K'` comes out as `x Rᵀ`, `R = K' Kᵀ`. Its SNR follows from second moments
for every key and utterance, its intelligibility is measured on decrypted speech, and the score is that of the model
under `K` asked with `K'`. Near keys lie a geodesic step from the correct one, swap two elements of a decrypted block,
or flip the sign of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wrongkey.attacks.analyses.base import Findings, Progress
from wrongkey.attacks.analyses.folder import queries_of, setting_of
from wrongkey.attacks.analyses.key_measures import geodesic_steps, speech_moments
from wrongkey.attacks.analyses.measurable import check_measurable
from wrongkey.attacks.base import Matrix
from wrongkey.attacks.harness.scores import stoi
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.processes.workers import score_rows
from wrongkey.evaluation.run_folder.vocabulary import ANALYSIS_COLUMNS
from wrongkey.evaluation.spacing import evenly_spaced
from wrongkey.keys import decrypt_query, encrypt_query, get_scheme
from wrongkey.keys.blocks import Blocks

EXAMPLE = "decryption-example"
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # geodesic lengths over √N: small ones are the relative key error
DRAWS = 10  # near keys of each kind
INCORRECT = 20
HEARD = 5  # utterances whose intelligibility is measured
TOGETHER = 8  # keys that the model is asked under at a time
EXAMPLE_SECONDS = 2.0
FRAMES_PER_SECOND = 100  # of a spectrogram, roughly
CORRECT_KEY, STEP, TRANSPOSITION, SIGN, INCORRECT_KEY = (
    "correct key",
    "geodesic step",
    "one transposition",
    "one flipped sign",
    "incorrect key",
)


@dataclass(frozen=True)
class NearKeys:
    """Keys to decrypt with.

    Attributes
    ----------
    keys : ndarray of shape (keys, N, N)
        The keys.
    kind : tuple of str
        The kind of each.
    step : ndarray of shape (keys,)
        The geodesic length of each step over √N; NaN for other kinds.
    """

    keys: Matrix
    kind: tuple[str, ...]
    step: Matrix

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Decryption:
    """Decrypt, and ask the encrypted model, under near keys.

    Attributes
    ----------
    config : SweepConfig
        Model, speech and correct key.
    draws : int
        Near keys of each kind, 1 or more.
    steps : sequence of float
        Geodesic lengths over √N, above 0.

    Raises
    ------
    BadInput
        For a configuration without a correct key, and for draws and steps that make no sense.
    """

    name: ClassVar[str] = "decryption"

    config: SweepConfig
    draws: int = DRAWS
    steps: Sequence[float] = STEPS

    def __post_init__(self) -> None:
        if self.config.variant == "waveform":
            raise BadInput("--variant waveform has no correct key to decrypt with: leave it out.")
        if self.draws < 1 or any(not step > 0 for step in self.steps):
            raise BadInput(
                f"Decryption needs --draws 1 or more and steps above 0, not {self.draws} and {list(self.steps)}."
            )

    def run(self, out: Path | None = None, progress: Progress | None = None) -> Findings:
        """Rows with the columns kind, step, draw, utterance, metric and value.

        There is `snr` for every utterance, `stoi` for some waveforms, and for every key `key_error` and the task's
        score (no utterance). Beside it, `decryption-example` has the spectrograms of one utterance, plain, encrypted
        and decrypted with one key of each kind. Raises BadInput for blocks of a single element.
        """
        check_measurable(get_scheme(self.config.scheme))
        experiment = Experiment(self.config)
        experiment.tune()
        near = near_keys(experiment, self.steps, self.draws)
        if progress:
            progress(0, len(near))
        rows = [*snr_rows(experiment, near), *stoi_rows(experiment, near), *score_rows_of(experiment, near, progress)]
        table = pd.DataFrame(rows, columns=list(ANALYSIS_COLUMNS[self.name]))
        plain = score_rows(experiment, "plain", experiment.scores(experiment.plain()), None)
        metric = experiment.task.metric
        asked = {"steps": list(self.steps), "draws": self.draws}
        about = {
            "setting": setting_of(experiment),
            "metric": metric,
            "asked": {**asked, "incorrect keys": INCORRECT, "utterances heard": HEARD},
            "plain": next(row["value"] for row in plain if row["metric"] == metric),
            "summary": summarise(table),
            "example": {"rate": experiment.model.sample_rate},
        }
        return Findings(table, about, {EXAMPLE: example(experiment, near)})


def near_keys(experiment: Experiment, steps: Sequence[float], draws: int) -> NearKeys:
    """The correct key once, `draws` keys of each near kind, and `INCORRECT` incorrect ones or all there are."""
    correct = experiment.correct
    size, seed = len(correct), experiment.config.seed
    rotations = geodesic_steps(size, steps, draws, seed).reshape(-1, size, size)
    incorrect = experiment.incorrect.batch(0, min(INCORRECT, experiment.incorrect.total or INCORRECT))
    parts = [
        (CORRECT_KEY, correct[None], [np.nan]),
        (STEP, rotations @ correct, np.repeat(steps, draws)),
        (TRANSPOSITION, transpositions(size, draws, seed) @ correct, np.full(draws, np.nan)),
        (SIGN, sign_flips(size, draws, seed) @ correct, np.full(draws, np.nan)),
        (INCORRECT_KEY, incorrect, np.full(len(incorrect), np.nan)),
    ]
    return NearKeys(
        keys=np.concatenate([keys for _, keys, _ in parts]),
        kind=tuple(kind for kind, keys, _ in parts for _ in keys),
        step=np.concatenate([np.asarray(step, dtype=np.float64) for *_, step in parts]),
    )


def transpositions(size: int, draws: int, seed: int) -> Matrix:
    """Permutations that swap one random pair of elements: `(draws, N, N)`."""
    generator = np.random.default_rng([seed, 1])
    matrices = np.tile(np.eye(size), (draws, 1, 1))
    for matrix in matrices:
        pair = generator.choice(size, 2, replace=False)
        matrix[pair] = matrix[pair[::-1]]
    return matrices


def sign_flips(size: int, draws: int, seed: int) -> Matrix:
    """Diagonal matrices with a single -1: `(draws, N, N)`."""
    matrices = np.tile(np.eye(size), (draws, 1, 1))
    place = np.random.default_rng([seed, 2]).integers(size, size=draws)
    matrices[np.arange(draws), place, place] = -1
    return matrices


def decryption_snr(relative: Matrix, moments: Matrix, power: Matrix, blocks: Blocks) -> Matrix:
    """SNR in dB of speech decrypted with relative keys, as `snr` of `signal_to_noise` has it, but without audio.

    Parameters
    ----------
    relative : ndarray of shape (keys, N, N)
        Relative keys.
    moments : ndarray of shape (utterances, N, N)
        Second moments of each utterance.
    power : ndarray of shape (utterances,)
        `signal_power` of each utterance.
    blocks : Blocks
        How keys cut speech; the sign of a waveform is inaudible.

    Returns
    -------
    ndarray of shape (keys, utterances)
        Decibels.
    """
    noise = _noise(relative, moments)
    if blocks is Blocks.SAMPLES:
        noise = np.minimum(noise, _noise(-relative, moments))
    power = np.maximum(power, 1e-30)
    return 10 * np.log10(power / np.maximum(np.maximum(noise, power * 1e-15), 1e-45))


def signal_power(query: Tensor, blocks: Blocks) -> float:
    """Energy of a waveform, or of a spectrogram without its mean, which does not count as signal."""
    signal = query.double() if blocks is Blocks.SAMPLES else query.double() - query.double().mean()
    return float((signal**2).sum())


def snr_rows(experiment: Experiment, near: NearKeys) -> list[dict[str, Any]]:
    """`key_error` of every key, and `snr` of every key and utterance."""
    queries = queries_of(experiment)
    moments = speech_moments(queries, experiment.cut)
    power = np.array([signal_power(query, experiment.cut.blocks) for query in queries])
    decibels = decryption_snr(near.keys @ experiment.correct.T, moments, power, experiment.cut.blocks)
    change = np.linalg.norm(near.keys - experiment.correct, axis=(1, 2)) / np.sqrt(len(experiment.correct))
    ids = [utterance.id for utterance in experiment.used]
    rows = [_row(near, key, None, "key_error", change[key]) for key in range(len(near))]
    return rows + [
        _row(near, key, name, "snr", value)
        for key, values in enumerate(decibels)
        for name, value in zip(ids, values, strict=True)
    ]


def stoi_rows(experiment: Experiment, near: NearKeys) -> list[dict[str, Any]]:
    """`stoi` of some utterances under every key; none for spectrograms, and none without pystoi.

    The query is heard as it is encrypted: a model's pre-emphasis stays in it, and in the reference.
    """
    if experiment.cut.blocks is not Blocks.SAMPLES or find_spec("pystoi") is None:
        return []
    queries, rows = queries_of(experiment), []
    for number in evenly_spaced(range(len(queries)), HEARD):
        plain = queries[number].double().reshape(-1)
        encrypted = encrypt_query(plain, experiment.correct, blocks=Blocks.SAMPLES)
        for key in range(len(near)):
            decrypted = decrypt_query(encrypted, near.keys[key], extent=len(plain), blocks=Blocks.SAMPLES)
            value = stoi(plain, decrypted, experiment.model.sample_rate)
            if np.isfinite(value):  # it is not, where speech is too short
                rows.append(_row(near, key, experiment.used[number].id, "stoi", value))
    return rows


def score_rows_of(experiment: Experiment, near: NearKeys, progress: Progress | None) -> list[dict[str, Any]]:
    """The task's score of the encrypted model asked under every key."""
    metric, rows = experiment.task.metric, []
    for start in range(0, len(near), TOGETHER):
        answers = experiment.answers(near.keys[start : start + TOGETHER])
        for row in score_rows(experiment, "incorrect", experiment.scores(answers), start):
            if row["metric"] == metric:
                rows.append(_row(near, row["key_index"], None, metric, row["value"]))
        if progress:
            progress(min(start + TOGETHER, len(near)), len(near))
    return rows


def summarise(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Median, lowest and highest value of each metric, over keys of every kind and step, of medians over utterances."""
    per_key = table.groupby(["kind", "step", "draw", "metric"], dropna=False, sort=False)["value"].median()
    grouped = per_key.groupby(level=["kind", "step", "metric"], dropna=False, sort=False)
    summary = grouped.agg(["median", "min", "max", "size"]).reset_index()
    return [
        {
            "kind": row.kind,
            "step": None if np.isnan(row.step) else float(row.step),
            "metric": row.metric,
            "keys": int(row.size),
            "median": float(row.median),
            "min": float(row.min),
            "max": float(row.max),
        }
        for row in summary.itertuples()
    ]


def example(experiment: Experiment, near: NearKeys) -> pd.DataFrame:
    """Spectrograms of the middle utterance as the paper's Fig. 7 shows them: picture, step, frame, bin, decibel.

    Plain, encrypted, and decrypted with the first key of each kind and step. Of waveforms, log magnitudes of 16 ms
    windows every 8 ms, in whole decibels below the plain speech's loudest; of spectrograms, the query's values.
    """
    number, blocks = len(experiment.used) // 2, experiment.cut.blocks
    query = queries_of(experiment)[number].double()[0]
    rate = experiment.model.sample_rate if blocks is Blocks.SAMPLES else FRAMES_PER_SECOND
    query = query[..., : int(EXAMPLE_SECONDS * rate)]
    encrypted = encrypt_query(query, experiment.correct, blocks=blocks)
    pictures: list[tuple[str, float, Tensor]] = [("plain", np.nan, query), ("encrypted", np.nan, encrypted)]
    for key in _first_of_each(near):
        decrypted = decrypt_query(encrypted, near.keys[key], blocks=blocks)
        pictures.append((near.kind[key], float(near.step[key]), decrypted))
    if blocks is Blocks.SAMPLES:
        levels = _levels([speech for *_, speech in pictures])
    else:
        levels = [np.round(speech.numpy(), 2) for *_, speech in pictures]
    parts = [_pixels(name, step, values) for (name, step, _), values in zip(pictures, levels, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(picture=table["picture"].astype("category"), utterance=experiment.used[number].id)


def _first_of_each(near: NearKeys) -> list[int]:
    """The first key of each kind and step."""
    named = [f"{kind} {step}" for kind, step in zip(near.kind, near.step, strict=True)]
    return sorted(named.index(name) for name in dict.fromkeys(named))


def _levels(waveforms: Sequence[Tensor]) -> list[Matrix]:
    """Spectrograms in whole decibels, from -80 to 0 relative to the loudest of the first waveform."""
    window = torch.hann_window(256, dtype=torch.float64)
    sizes = [torch.stft(w, 256, 128, window=window, return_complex=True).abs().numpy() for w in waveforms]
    loudest = max(float(sizes[0].max()), 1e-12)
    return [np.round(np.maximum(20 * np.log10(np.maximum(size, 1e-12) / loudest), -80)) for size in sizes]


def _pixels(picture: str, step: float, values: Matrix) -> pd.DataFrame:
    """A picture `(bins, frames)` as rows."""
    bins, frames = values.shape
    return pd.DataFrame(
        {
            "picture": picture,
            "step": step,
            "frame": np.tile(np.arange(frames, dtype=np.int32), bins),
            "bin": np.repeat(np.arange(bins, dtype=np.int32), frames),
            "value": values.reshape(-1).astype(np.float32),
        }
    )


def _noise(relative: Matrix, moments: Matrix) -> Matrix:
    """Energy `tr(Dᵀ S D)` of what decryption adds, `D = Rᵀ - I`: `(keys, utterances)`."""
    change = relative.mT - np.eye(relative.shape[-1])
    squares = (change @ change.mT).reshape(len(relative), -1) @ moments.reshape(len(moments), -1).T
    return np.maximum(squares, 0)


def _row(near: NearKeys, key: int, utterance: str | None, metric: str, value: float) -> dict[str, Any]:
    return {
        "kind": near.kind[key],
        "step": float(near.step[key]),
        "draw": key,
        "utterance": utterance,
        "metric": metric,
        "value": float(value),
    }
