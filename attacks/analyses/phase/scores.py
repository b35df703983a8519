"""How near reconstructed speech is to the plain one, in numbers and to models that listen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from wrongkey.attacks.analyses.phase.cases import MagnitudeCase
from wrongkey.attacks.analyses.phase.gabor import Gabor, TorchGabor
from wrongkey.attacks.analyses.speech import ALL, Rows
from wrongkey.attacks.harness.listeners import RATE, embedding, transcript, voice_eer, voices
from wrongkey.attacks.harness.scores import stoi
from wrongkey.evaluation.corpora import Corpus, Utterance
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.tasks.asr import counted, edits
from wrongkey.evaluation.tasks.text import normaliser

COUNTED = {"wer": "words", "cer": "characters"}
LABELS = ["scheme", "block_size", "condition", "method"]


@dataclass
class Listening:
    """The models that listen, and what they heard so far.

    Attributes
    ----------
    recogniser, speaker : Model or None
        The models, where they are named.
    text : str
        How transcripts are normalised.
    transcribed : int
        How many of the utterances the recogniser hears.
    metric : str
        "wer", or "cer" where spaces do not mark words.
    embeddings : dict
        Embeddings of the utterances in their order, by scheme, block size, condition and method.
    texts : dict
        Transcripts by the hash of the samples: where a scheme hides nothing, several cases give the same samples.
    """

    recogniser: Model | None
    speaker: Model | None
    text: str
    transcribed: int
    metric: str = "wer"
    embeddings: dict[tuple[str, int, str, str], list[Tensor]] = field(default_factory=dict)
    texts: dict[bytes, str] = field(default_factory=dict)

    def transcript(self, signal: Tensor) -> str:
        """What the recogniser hears."""
        assert self.recogniser is not None
        samples = sha256(signal.float().numpy().tobytes()).digest()
        if samples not in self.texts:
            self.texts[samples] = transcript(self.recogniser, signal)
        return self.texts[samples]


@dataclass(frozen=True)
class Original:
    """An utterance, its place among those used, its waveform `(samples,)` and its magnitude `(bins, frames)`."""

    utterance: Utterance
    number: int
    waveform: Tensor
    magnitude: Tensor


def scored(
    case: MagnitudeCase, method: str, signal: Tensor, original: Original, listening: Listening, gabor: Gabor
) -> Rows:
    """Rows (metric, value) of one reconstruction; its embedding is kept for the EER."""
    values = {
        "spectral_convergence": spectral_convergence(signal, original.magnitude, gabor),
        "consistency": spectral_convergence(signal, case.magnitude, gabor),
        "stoi": stoi(original.waveform, signal, RATE),
        "pesq": pesq(original.waveform, signal),
    }
    if listening.recogniser is not None and original.number < listening.transcribed:
        normal = normaliser(listening.text)
        texts = normal(original.utterance.text or ""), normal(listening.transcript(signal))
        said, heard = (counted(text, listening.metric) for text in texts)
        values |= {"errors": float(sum(edits(said, heard)[:3])), COUNTED[listening.metric]: float(len(said))}
    if listening.speaker is not None:
        of_case = listening.embeddings.setdefault((case.scheme, case.block_size, case.condition, method), [])
        of_case.append(embedding(listening.speaker, signal))
    return [{"metric": metric, "value": value} for metric, value in values.items() if value is not None]


def spectral_convergence(signal: Tensor, target: Tensor, gabor: Gabor) -> float:
    """`20 log10 ‖|G x| - s‖ / ‖s‖` in dB of a signal x `(samples,)` and a magnitude s `(bins, frames)`."""
    off = (TorchGabor(gabor.lattice).analyse(signal).abs() - target).norm() / target.norm().clamp(min=1e-30)
    return float(20 * off.clamp(min=1e-15).log10())


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


def pooled(
    rows: Rows,
    listening: Listening,
    corpus: Corpus,
    used: Sequence[Utterance],
    channels: Literal["refuse", "mix"] = "refuse",
) -> Rows:
    """WER (or CER) and EER over all utterances, of every scheme, block size, condition and method."""
    found = Rows()
    if listening.recogniser is not None:
        found += _word_errors(rows, listening.metric)
    if listening.speaker is not None:
        known = voices(listening.speaker, corpus, used, channels)
        for labels, each in _embeddings(rows, listening).items():
            value = voice_eer(torch.stack(each), used, known)
            found.append(dict(zip(LABELS, labels, strict=True)) | {"metric": "eer", "value": value})
    return [{"utterance": ALL, **row} for row in found]


def _word_errors(rows: Rows, metric: str) -> Rows:
    counts = pd.DataFrame(rows).pivot_table(index=LABELS, columns="metric", values="value", aggfunc="sum")
    counts = counts[counts[COUNTED[metric]] > 0]
    return [
        dict(zip(LABELS, labels, strict=True)) | {"metric": metric, "value": 100 * errors / said}
        for labels, errors, said in zip(counts.index, counts.errors, counts[COUNTED[metric]], strict=True)
    ]


def _embeddings(rows: Rows, listening: Listening) -> dict[tuple[str, int, str, str], list[Tensor]]:
    """What was heard, and again for a correct key that gave the plain spectrogram, which was not heard twice."""
    embeddings = dict(listening.embeddings)
    for row in rows:
        if row["condition"] == "correct" and row["method"]:
            labels = row["scheme"], row["block_size"], "correct", row["method"]
            embeddings.setdefault(labels, embeddings["", 0, "plain", row["method"]])
    return embeddings
