"""Models that listen to what an attack recovered: a recogniser, and a speaker model that knows the speaker's voice.

Both are plain models, which know no key, as `wrongkey.evaluation.models.registry.open_model` opens them. Reconstructed
speech, or a ciphertext as it is, goes through their own front end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import as_hypothesis
from wrongkey.evaluation.corpora import Corpus, Utterance, load_audio
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.models.asking import answer_function
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.spacing import evenly_spaced

RATE = 16_000  # hertz of all speech here
ENROLLED = 5  # utterances of a speaker that are averaged to the voice


def open_listener(spec: str, task: str) -> Model:
    """The model that answers `task` ("asv" or "asr"); raises BadInput where it does not, or hears another rate."""
    model = open_model(spec)
    answer_function(model, task)
    if model.sample_rate != RATE:
        raise BadInput(f"{spec} hears {model.sample_rate} Hz and the speech is at {RATE} Hz: give another model.")
    return model


def chosen(corpus: Corpus, utterances: int, per_speaker: int = 2) -> tuple[Utterance, ...]:
    """Some utterances of a corpus: the first `per_speaker` of each of evenly spaced speakers.

    Evenly spaced utterances where speakers are unknown, and where these speakers have too few; all where the corpus has
    too few.
    """
    if any(not utterance.speaker for utterance in corpus.utterances):
        return tuple(evenly_spaced(corpus.utterances, utterances, begin="first"))
    speakers = evenly_spaced(corpus.speakers, -(-utterances // per_speaker), begin="first")
    first = corpus.select(per_speaker, speakers).utterances[:utterances]
    missing = utterances - len(first)
    if not missing:
        return first
    taken = {utterance.id for utterance in first}
    left = [utterance for utterance in corpus.utterances if utterance.id not in taken]
    return first + tuple(evenly_spaced(left, missing, begin="first"))


def embedding(model: Model, waveform: Tensor) -> Tensor:
    """The unit embedding `(dim,)` of a waveform `(samples,)`, float64: the mean over its pieces."""
    with torch.inference_mode():
        pieces: Tensor = answer_function(model, "asv")(model.segments(model.front_end(waveform.float())))
    return normalize(pieces.double().mean(0), dim=0)


def transcript(model: Model, waveform: Tensor) -> str:
    """What a recogniser hears in a waveform `(samples,)`."""
    with torch.inference_mode():
        heard: Sequence[Any] = answer_function(model, "asr")(model.segments(model.front_end(waveform.float())))
    return " ".join(as_hypothesis(piece).text.strip() for piece in heard).strip()


def voices(
    model: Model, corpus: Corpus, used: Sequence[Utterance], channels: Literal["refuse", "mix"] = "refuse"
) -> dict[str, Tensor]:
    """The voice `(dim,)` of every speaker in `used`, from up to ENROLLED of their other utterances, plain.

    Speakers without another utterance are left out.
    """
    tested, speakers = {utterance.id for utterance in used}, {utterance.speaker for utterance in used}
    embeddings: dict[str, list[Tensor]] = {}
    for utterance in corpus.utterances:
        if utterance.speaker not in speakers:
            continue
        own = embeddings.setdefault(utterance.speaker, [])
        if utterance.id not in tested and len(own) < ENROLLED:
            own.append(embedding(model, torch.from_numpy(load_audio(utterance, RATE, channels))))
    return {speaker: normalize(torch.stack(own).mean(0), dim=0) for speaker, own in embeddings.items() if own}


def voice_eer(embeddings: Tensor, used: Sequence[Utterance], known: Mapping[str, Tensor]) -> float:
    """EER in percent of `embeddings (utterances, dim)` against the known voices.

    Each utterance is tried against its speaker's voice, and against all other voices of the speaker's gender where
    genders are known. NaN where trials of one kind are missing, or an embedding is not finite.
    """
    gender = {u.speaker: u.gender for u in used}
    scores, target = [], []
    for own, utterance in zip(embeddings, used, strict=True):
        for speaker, voice in known.items():
            if gender.get(speaker) == utterance.gender:
                scores.append(own @ voice)
                target.append(speaker == utterance.speaker)
    if len(set(target)) < 2 or not bool(torch.isfinite(torch.stack(scores)).all()):
        return float("nan")
    return float(eer(torch.stack(scores), torch.tensor(target)))
