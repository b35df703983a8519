"""How near is near enough? Decryption with the correct key, near keys and incorrect keys (paper, Fig. 7, and beyond).

Speech encrypted with `K` and decrypted with `K'` comes out as `x Rᵀ`, `R = K' Kᵀ`: its SNR follows from second moments
for every key and utterance, its intelligibility is measured on decrypted speech, and the score is that of the model
under `K` asked with `K'`. Near keys lie a geodesic step from the correct one, swap two elements of a decrypted block,
or flip the sign of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wrongkey.attacks.analyses.folder import AnalysisFolder, queries_of, setting_of
from wrongkey.attacks.analyses.key_measures import geodesic_steps, speech_moments
from wrongkey.attacks.base import Matrix
from wrongkey.attacks.harness.scores import stoi
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.processes.workers import score_rows
from wrongkey.evaluation.run_folder.vocabulary import ANALYSIS_COLUMNS
from wrongkey.keys import decrypt_query, encrypt_query
from wrongkey.keys.blocks import Blocks

NAME, EXAMPLE = "decryption", "decryption-example"
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # geodesic lengths over √N: small ones are the relative key error
DRAWS = 10  # near keys of each kind
INCORRECT = 20
HEARD = 5  # utterances whose intelligibility is measured under every key
TOGETHER = 8  # keys that the model is asked under at a time
EXAMPLE_SECONDS = 2.0
CORRECT_KEY, STEP, TRANSPOSITION, SIGN, INCORRECT_KEY = (
    "correct key",
    "geodesic step",
    "one transposition",
    "one flipped sign",
    "incorrect key",
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class NearKeys:
    """Keys `(keys, N, N)` to decrypt with; of each its kind and the length of its step, NaN where it is no step."""

    keys: Matrix
    kind: tuple[str, ...]
    step: Matrix

    def __len__(self) -> int:
        return len(self.keys)


def analyse_decryption(
    config: SweepConfig,
    out: Path,
    *,
    draws: int = DRAWS,
    steps: Sequence[float] = STEPS,
    command: str | None = None,
    progress: Progress | None = None,
) -> AnalysisFolder:
    """Decrypt and ask under near keys, and write `analyses/decryption` into the folder `out`.

    Rows: kind, step, draw, utterance, metric, value. `snr` for every utterance, `stoi` for some waveforms, `key_error`
    and the task's score for every key (no utterance). Beside it `decryption-example.parquet`: the spectrograms of one
    utterance, plain, encrypted and decrypted with one key of each kind. Raises BadInput for a model without a key and
    for as few as one element a block.
    """
    if config.variant == "waveform":
        raise BadInput("--variant waveform has no correct key to decrypt with: leave it out")
    if draws < 1 or any(not step > 0 for step in steps):
        raise BadInput(f"decryption needs --draws 1 or more and steps above 0, not {draws} and {list(steps)}")
    experiment = Experiment(config)
    experiment.tune()
    near = near_keys(experiment, steps, draws)
    rows = [*snr_rows(experiment, near), *stoi_rows(experiment, near), *score_rows_of(experiment, near, progress)]
    table = pd.DataFrame(rows, columns=list(ANALYSIS_COLUMNS["decryption"]))
    plain = score_rows(experiment, "plain", experiment.scores(experiment.plain()), None)
    metric = experiment.task.metric
    about = {
        "setting": setting_of(experiment),
        "metric": metric,
        "asked": {"steps": list(steps), "draws": draws, "incorrect keys": INCORRECT, "utterances heard": HEARD},
        "plain": next(row["value"] for row in plain if row["metric"] == metric),
        "summary": summarise(table),
    }
    folder = AnalysisFolder(out)
    with folder.locked():
        folder.write_rows(EXAMPLE, example(experiment, near))
        folder.write_analysis(NAME, table, about, command)
    return folder


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
    """SNR in dB of speech decrypted with relative keys: `(keys, utterances)`, as `wrongkey.attacks.harness.scores.snr`
    without audio.

    moments: `(utterances, N, N)`; power: energy of each utterance, without its mean where it is a spectrogram. A
    waveform may come out upside down.
    """
    noise = _noise(relative, moments)
    if blocks == "samples":
        noise = np.minimum(noise, _noise(-relative, moments))
    power = np.maximum(power, 1e-30)
    decibels: Matrix = 10 * np.log10(power / np.maximum(np.maximum(noise, power * 1e-15), 1e-45))
    return decibels


def signal_power(query: Tensor, blocks: Blocks) -> float:
    """Energy of a waveform, or of a spectrogram without its mean, which is no part of its signal."""
    signal = query.double() if blocks == "samples" else query.double() - query.double().mean()
    return float((signal**2).sum())


def snr_rows(experiment: Experiment, near: NearKeys) -> list[dict[str, Any]]:
    """`key_error` of every key, and `snr` of every key and utterance."""
    queries = queries_of(experiment)
    moments = speech_moments(queries, experiment.cut.block_size, experiment.cut.blocks)
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

    The query is heard as it is encrypted: a model's pre-emphasis stays in it, and in what it is compared with.
    """
    if experiment.cut.blocks != "samples" or find_spec("pystoi") is None:
        return []
    queries, rows = queries_of(experiment), []
    for number in spaced(len(queries), HEARD):
        plain = queries[number].double().reshape(-1)
        encrypted = encrypt_query(plain, experiment.correct, blocks="samples")
        for key in range(len(near)):
            decrypted = decrypt_query(encrypted, near.keys[key], extent=len(plain), blocks="samples")
            value = stoi(plain, decrypted, experiment.model.sample_rate)
            if np.isfinite(value):  # not for speech that is too short
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
    """For every kind and step: median, lowest and highest value over keys of each metric (over utterances: medians)."""
    per_key = table.groupby(["kind", "step", "draw", "metric"], dropna=False, sort=False)["value"].median()
    grouped = per_key.groupby(level=["kind", "step", "metric"], dropna=False, sort=False)
    found = grouped.agg(["median", "min", "max", "size"]).reset_index()
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
        for row in found.itertuples()
    ]


def example(experiment: Experiment, near: NearKeys) -> pd.DataFrame:
    """Spectrograms of the middle utterance as the paper's Fig. 7 shows them: picture, step, frame, bin, decibel.

    Plain, encrypted, and decrypted with the first key of each kind and step. Of waveforms, log magnitudes of 16 ms
    windows every 8 ms, in whole decibels below the plain speech's loudest; of spectrograms, the query's values.
    """
    number = len(experiment.used) // 2
    query = queries_of(experiment)[number].double()[0]
    frames = int(EXAMPLE_SECONDS * (experiment.model.sample_rate if experiment.cut.blocks == "samples" else 100))
    query = query[..., :frames]
    encrypted = encrypt_query(query, experiment.correct, blocks=experiment.cut.blocks)
    pictures: list[tuple[str, float, Tensor]] = [("plain", np.nan, query), ("encrypted", np.nan, encrypted)]
    named = [f"{kind} {step}" for kind, step in zip(near.kind, near.step, strict=True)]
    for number_of_key in sorted(named.index(name) for name in dict.fromkeys(named)):
        decrypted = decrypt_query(encrypted, near.keys[number_of_key], blocks=experiment.cut.blocks)
        pictures.append((near.kind[number_of_key], float(near.step[number_of_key]), decrypted))
    loudest = None
    parts = []
    for name, step, speech in pictures:
        values = np.round(speech.numpy(), 2)
        if experiment.cut.blocks == "samples":
            window = torch.hann_window(256, dtype=torch.float64)
            size = torch.stft(speech, 256, 128, window=window, return_complex=True).abs().numpy()
            loudest = loudest or max(float(size.max()), 1e-12)
            values = np.round(np.maximum(20 * np.log10(np.maximum(size, 1e-12) / loudest), -80))
        bins, count = values.shape
        parts.append(
            pd.DataFrame(
                {
                    "picture": name,
                    "step": step,
                    "frame": np.tile(np.arange(count, dtype=np.int32), bins),
                    "bin": np.repeat(np.arange(bins, dtype=np.int32), count),
                    "value": values.reshape(-1).astype(np.float32),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table.assign(picture=table["picture"].astype("category"), utterance=experiment.used[number].id)


def spaced(total: int, count: int) -> list[int]:
    """At most `count` of the numbers below `total`: the middles of as many equal parts."""
    count = min(count, total)
    return [(2 * i + 1) * total // (2 * count) for i in range(count)]


def _noise(relative: Matrix, moments: Matrix) -> Matrix:
    """Energy `tr(Dᵀ S D)` of what decryption adds, `D = Rᵀ - I`: `(keys, utterances)`."""
    change = relative.mT - np.eye(relative.shape[-1])
    squares: Matrix = (change @ change.mT).reshape(len(relative), -1) @ moments.reshape(len(moments), -1).T
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
