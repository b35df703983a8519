"""Phase reconstruction of encrypted spectrograms (paper, section IV-C, Fig. 8), in numbers.

Each utterance's spectrogram is encrypted under a key of its own by every scheme and block size. Speech is reconstructed
by PGHI and by fast Griffin-Lim from the plain spectrogram, from the one decrypted with an incorrect key, and from the
ciphertext itself, and is scored against the plain speech. Rows have the columns `COLUMNS`; `value` is

spectral_convergence: dB, `20 log10 ‖|G x| - s‖ / ‖s‖` of the reconstruction x and the plain magnitude s; 0 is what
    silence scores, and lower is nearer.
consistency: the same against the magnitude that the method was given: how well it did its own work.
stoi, pesq: intelligibility 0 to 1, and wide-band quality 1 to 4.6 (where `pesq` is installed).
errors, words: of an utterance's transcript; wer: in percent, pooled over `utterance` "all". Where spaces do not mark
    words: errors, characters; cer.
eer: in percent, of reconstructions against their speakers' voices (`listeners.voice_eer`), `utterance` "all".
deviation: largest difference between plain and correctly decrypted spectrogram, relative to the largest magnitude.

The condition "energies" is what no orthogonal key hides: every element of a block is its root mean square, which is the
same in plain and encrypted magnitudes whatever the scheme.

The correct key gives the plain spectrogram back, within `EXACT`; its rows then repeat the plain ones instead of being
computed a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.analyses.phase.gabor import Gabor, TorchGabor, open_gabor
from wrongkey.attacks.analyses.phase.griffin_lim import griffin_lim
from wrongkey.attacks.analyses.phase.pghi import pghi
from wrongkey.attacks.analyses.phase.spectrograms import Scale, on_scale, read_as_magnitude
from wrongkey.attacks.harness.listeners import RATE, chosen, embedding, open_listener, transcript, voice_eer, voices
from wrongkey.attacks.harness.scores import stoi
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, Utterance, load_audio
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.run_folder.vocabulary import ANALYSIS_COLUMNS
from wrongkey.evaluation.tasks.asr import counted, edits, error_rate_of
from wrongkey.evaluation.tasks.text import DEFAULT, normaliser
from wrongkey.files import file_name, write_atomically
from wrongkey.keys import IncorrectKeys, correct_key, decrypt_query, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import cut, from_blocks, to_blocks

EXPERIMENT = "phase"
COLUMNS = ANALYSIS_COLUMNS["phase"]
METHODS = ("pghi", "griffin-lim")
SCHEMES = ("shuffling", "flipping", "rom")
COUNTED = {"wer": "words", "cer": "characters"}
ALL = "all"  # stands for the utterance in rows of a metric that has no value for one
EXACT = 1e-9  # relative deviation up to which the correct key counts as having given the plain spectrogram
ROWS = 8  # spectrograms that Griffin-Lim works on at a time: more do not fit a cache

Rows = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """A magnitude `(bins, frames)` to reconstruct speech from, and where it comes from."""

    scheme: str
    block_size: int
    condition: str
    magnitude: Tensor

    @property
    def labels(self) -> dict[str, Any]:
        return {"scheme": self.scheme, "block_size": self.block_size, "condition": self.condition}


@dataclass
class Listening:
    """The models that listen, and embeddings by (scheme, block size, condition, method).

    Where a scheme hides nothing, several cases give the very same samples, which are transcribed once (`texts`).
    """

    recogniser: Model | None
    speaker: Model | None
    text: str
    transcribed: int
    metric: str = "wer"
    heard: dict[tuple[str, int, str, str], list[Tensor]] = field(default_factory=dict)
    texts: dict[bytes, str] = field(default_factory=dict)

    def transcript(self, signal: Tensor) -> str:
        assert self.recogniser is not None
        samples = sha256(signal.float().numpy().tobytes()).digest()
        if samples not in self.texts:
            self.texts[samples] = transcript(self.recogniser, signal)
        return self.texts[samples]


def run(
    corpus: Corpus,
    schemes: Sequence[str] = SCHEMES,
    block_sizes: Sequence[int] = (3, 5, 10),
    utterances: int = 20,
    seed: int = 0,
    speaker_model: str | None = None,
    recogniser: str | None = None,
    out: Path | None = None,
    *,
    blocks: Blocks | str = Blocks.TILES,
    scale: Scale = "magnitude",
    methods: Sequence[str] = METHODS,
    iterations: int = 50,
    text: str = DEFAULT,
    transcribed: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """The experiment on `utterances` of a corpus (`listeners.chosen`); one row per case, method, utterance and metric.

    Args:
        schemes, block_sizes: under which spectrograms are encrypted, cut into `blocks` ("tiles" or "frames").
        seed: utterance i has the correct key of seed + i, and the first incorrect key of that seed.
        speaker_model, recogniser: names of models as `wrongkey models` lists them; scores without one are left out.
        out: a run folder for `media/phase`: the first utterance's reconstructions (.wav) and magnitudes (.npz, dB).
        scale: "magnitude" or "log" (`spectrograms`).
        iterations: of Griffin-Lim.
        text: the normalisation of transcripts.
        transcribed: how many of the utterances the recogniser hears, which takes longest; all where None.
        progress: told after every utterance.

    Raises BadInput for unknown schemes, methods, blocks or models, and for utterances without transcript where a
    recogniser is named.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise BadInput(f"There is no method {unknown[0]!r} of phase reconstruction: choose from {', '.join(METHODS)}.")
    blocks = Blocks.named(blocks)
    if blocks is Blocks.SAMPLES:
        raise BadInput("Phase reconstruction needs spectrograms: blocks are tiles or frames, not samples.")
    used = chosen(corpus, utterances)
    listening = Listening(
        open_listener(recogniser, "asr") if recogniser else None,
        open_listener(speaker_model, "asv") if speaker_model else None,
        text,
        len(used) if transcribed is None else transcribed,
    )
    silent = [u.id for u in used[: listening.transcribed] if u.text is None]
    if listening.recogniser and silent:
        raise BadInput(f"utterance {silent[0]} of {corpus.name} has no transcript: leave the recogniser out")
    if listening.recogniser:
        normal = normaliser(text)
        listening.metric = error_rate_of([normal(u.text or "") for u in used[: listening.transcribed]])
    gabor, rows = open_gabor(), Rows()
    for number, utterance in enumerate(used):
        plain = torch.from_numpy(load_audio(utterance, RATE)).double()
        magnitude = TorchGabor(gabor.lattice).analyse(plain).abs()
        cases, deviations = encrypted_cases(magnitude, schemes, block_sizes, seed + number, blocks, scale, gabor)
        made = reconstructed(cases, gabor, len(plain), methods, iterations)
        own = [
            {**case.labels, "method": method, **row}
            for (case, method), signal in made.items()
            for row in scored(case, method, signal, plain, magnitude, utterance, number, listening, gabor)
        ]
        own += [{**labels, "method": "", "metric": "deviation", "value": value} for labels, value in deviations]
        own += _repeated(own, deviations)
        rows += [{"utterance": utterance.id, **row} for row in own]
        if out is not None and number == 0:
            write_media(Path(out) / "media" / EXPERIMENT, utterance, plain, made, gabor)
        if progress is not None:
            progress(f"{number + 1} of {len(used)} utterances")
    rows += _pooled(rows, listening, corpus, used)
    table = pd.DataFrame(rows)
    table["experiment"], table["blocks"] = f"{EXPERIMENT} {scale}", blocks
    return table[list(COLUMNS)]


def encrypted_cases(
    magnitude: Tensor,
    schemes: Sequence[str],
    block_sizes: Sequence[int],
    seed: int,
    blocks: Blocks,
    scale: Scale,
    gabor: Gabor,
) -> tuple[list[Case], list[tuple[dict[str, Any], float]]]:
    """The plain magnitude, block energies, ciphertexts and wrong decryptions; and the correct key's deviation.

    A scheme with a single key has no incorrect one, and no such case.
    """
    values = on_scale(magnitude, scale)
    bins, frames = magnitude.shape
    cases, deviations = [Case("", 0, "plain", read_as_magnitude(values, scale, gabor.lattice))], []
    if scale == "magnitude":
        cases += [
            Case("", block_size, "energies", block_energies(magnitude, block_size, blocks))
            for block_size in block_sizes
        ]
    for scheme in schemes:
        for block_size in block_sizes:
            size = block_size ** Blocks.named(blocks).dims
            key = correct_key(scheme, size, seed)
            others = IncorrectKeys(scheme, size, seed, key)
            encrypted = encrypt_query(values, key, blocks=blocks)
            views = {"encrypted": cut(encrypted, 2, (bins, frames))}
            if others.total is None or others.total > 0:
                views["incorrect"] = decrypt_query(
                    encrypted, others.batch(0, 1)[0], blocks=blocks, extent=(bins, frames)
                )
            decrypted = decrypt_query(encrypted, key, blocks=blocks, extent=(bins, frames))
            deviation = float((decrypted - values).abs().max() / values.abs().max().clamp(min=1e-30))
            if deviation > EXACT:
                views["correct"] = decrypted
            deviations.append(({"scheme": scheme, "block_size": block_size, "condition": "correct"}, deviation))
            cases += [
                Case(scheme, block_size, condition, read_as_magnitude(view, scale, gabor.lattice))
                for condition, view in views.items()
            ]
    return cases, deviations


def block_energies(magnitude: Tensor, block_size: int, blocks: Blocks) -> Tensor:
    """A magnitude `(bins, frames)` whose blocks hold their root mean square in every element."""
    cut_blocks = to_blocks(magnitude, block_size, blocks)
    level = cut_blocks.square().mean(-1, keepdim=True).sqrt().expand_as(cut_blocks)
    return from_blocks(level, block_size, blocks, tuple(magnitude.shape))


def reconstructed(
    cases: Sequence[Case], gabor: Gabor, samples: int, methods: Sequence[str], iterations: int
) -> dict[tuple[Case, str], Tensor]:
    """Speech `(samples,)`, float64, of every case by every method."""
    made: dict[tuple[Case, str], Tensor] = {}
    if "pghi" in methods:
        made |= {(case, "pghi"): pghi(case.magnitude, gabor, samples) for case in cases}
    if "griffin-lim" in methods:
        batched = TorchGabor(gabor.lattice)
        for start in range(0, len(cases), ROWS):
            some = cases[start : start + ROWS]
            magnitudes = torch.stack([case.magnitude for case in some]).float()
            signals = griffin_lim(magnitudes, batched, samples, iterations=iterations).double()
            made |= {(case, "griffin-lim"): signal for case, signal in zip(some, signals, strict=True)}
    return made


def spectral_convergence(signal: Tensor, target: Tensor, gabor: Gabor) -> float:
    """`20 log10 ‖|G x| - s‖ / ‖s‖` in dB of a signal x `(samples,)` and a magnitude s `(bins, frames)`."""
    off = (TorchGabor(gabor.lattice).analyse(signal).abs() - target).norm() / target.norm().clamp(min=1e-30)
    return float(20 * off.clamp(min=1e-15).log10())


def scored(
    case: Case,
    method: str,
    signal: Tensor,
    plain: Tensor,
    magnitude: Tensor,
    utterance: Utterance,
    number: int,
    listening: Listening,
    gabor: Gabor,
) -> Rows:
    """Rows (metric, value) of one reconstruction; its embedding is kept for the EER."""
    values = {
        "spectral_convergence": spectral_convergence(signal, magnitude, gabor),
        "consistency": spectral_convergence(signal, case.magnitude, gabor),
        "stoi": stoi(plain, signal, RATE),
        "pesq": pesq(plain, signal),
    }
    if listening.recogniser is not None and number < listening.transcribed:
        normal = normaliser(listening.text)
        texts = normal(utterance.text or ""), normal(listening.transcript(signal))
        said, heard = (counted(text, listening.metric) for text in texts)
        values |= {"errors": float(sum(edits(said, heard)[:3])), COUNTED[listening.metric]: float(len(said))}
    if listening.speaker is not None:
        kept = listening.heard.setdefault((case.scheme, case.block_size, case.condition, method), [])
        kept.append(embedding(listening.speaker, signal))
    return [{"metric": metric, "value": value} for metric, value in values.items() if value is not None]


def pesq(plain: Tensor, signal: Tensor) -> float | None:
    """Wide-band PESQ (ITU-T P.862.2) at 16 kHz; None without the package `pesq`, NaN where it finds no speech."""
    if find_spec("pesq") is None:
        return None
    from pesq import NoUtterancesError
    from pesq import pesq as measure

    loudest = signal.abs().max().clamp(min=1e-30) / plain.abs().max().clamp(min=1e-30)  # it reads 16-bit levels
    try:
        return float(measure(RATE, plain.float().numpy(), (signal / loudest).float().numpy(), "wb"))
    except NoUtterancesError:
        return float("nan")


def write_media(
    folder: Path, utterance: Utterance, plain: Tensor, made: dict[tuple[Case, str], Tensor], gabor: Gabor
) -> None:
    """The plain utterance and its reconstructions as .wav; the magnitudes of PGHI's, in whole dB, as .npz.

    An .npz holds what was `given` and what was `reconstructed`, each `(bins, frames)` int8.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = file_name(utterance.id)
        _write_wav(folder / f"{kept}-original.wav", plain)
        for (case, method), signal in made.items():
            labels = (kept, case.scheme, str(case.block_size or ""), case.condition, method)
            name = "-".join(label for label in labels if label)
            _write_wav(folder / f"{name}.wav", signal)
            if method == "pghi":
                again = TorchGabor(gabor.lattice).analyse(signal).abs()
                arrays = {"given": _decibel(case.magnitude), "reconstructed": _decibel(again)}
                write_atomically(folder / f"{name}.npz", partial(_write_npz, arrays))
    except OSError as error:
        raise BadInput(f"{folder} cannot be written ({error.strerror}): choose another --out") from error


def _write_wav(path: Path, signal: Tensor) -> None:
    """16 bits; a signal that would clip is scaled down to full scale."""
    samples = (signal / signal.abs().max().clamp(min=1)).numpy()
    write_atomically(path, lambda file: soundfile.write(file, samples, RATE, subtype="PCM_16", format="WAV"))


def _write_npz(arrays: dict[str, NDArray[np.int8]], file: BinaryIO) -> None:
    np.savez_compressed(file, allow_pickle=False, **arrays)


def _decibel(magnitude: Tensor) -> NDArray[np.int8]:
    """dB below the loudest, from 0 to -80."""
    levels = 20 * (magnitude / magnitude.max().clamp(min=1e-30)).clamp(min=1e-4).log10()
    return levels.round().numpy().astype(np.int8)


def _repeated(rows: Rows, deviations: Sequence[tuple[dict[str, Any], float]]) -> Rows:
    """The plain rows under the labels of correct keys that gave the plain spectrogram."""
    plain = [row for row in rows if row["condition"] == "plain"]
    return [{**row, **labels} for labels, deviation in deviations if deviation <= EXACT for row in plain]


def _pooled(rows: Rows, listening: Listening, corpus: Corpus, used: Sequence[Utterance]) -> Rows:
    """WER (or CER) and EER over all utterances, of every scheme, block size, condition and method."""
    keys = ["scheme", "block_size", "condition", "method"]
    pooled: Rows = []
    if listening.recogniser is not None:
        counts = pd.DataFrame(rows).pivot_table(index=keys, columns="metric", values="value", aggfunc="sum")
        whole = COUNTED[listening.metric]
        counts = counts[counts[whole] > 0]
        for labels, errors, said in zip(counts.index, counts.errors, counts[whole], strict=True):
            row = {"metric": listening.metric, "value": 100 * errors / said}
            pooled.append(dict(zip(keys, labels, strict=True)) | row)
    if listening.speaker is not None:
        known = voices(listening.speaker, corpus, used)
        heard = dict(listening.heard)
        for row in rows:  # a correct key that gave the plain spectrogram was not heard again
            if row["condition"] == "correct" and row["method"]:
                labels = row["scheme"], row["block_size"], "correct", row["method"]
                heard.setdefault(labels, heard["", 0, "plain", row["method"]])
        pooled += [
            dict(zip(keys, labels, strict=True)) | {"metric": "eer", "value": voice_eer(torch.stack(each), used, known)}
            for labels, each in heard.items()
        ]
    return [{"utterance": ALL, **row} for row in pooled]
