"""Who listens to what an attack brought to light: a recogniser, and a speaker model that knows the speaker's voice.

Both are models as `wrongkey.evaluation.models.registry.open_model` opens them, plain ones that know no key. What was
reconstructed, or a ciphertext as it is, goes through their own front end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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

RATE = 16_000  # hertz of all speech here
ENROLLED = 5  # utterances of a speaker that are averaged to his voice


def open_listener(spec: str, task: str) -> Model:
    """The model that answers `task` ("asv" or "asr"); raises BadInput where it does not, or hears another rate."""
    model = open_model(spec)
    answer_function(model, task)
    if model.sample_rate != RATE:
        raise BadInput(f"{spec} hears {model.sample_rate} Hz and the speech is at {RATE} Hz: give another model")
    return model


def chosen(corpus: Corpus, utterances: int, per_speaker: int = 2) -> tuple[Utterance, ...]:
    """So many utterances: the first `per_speaker` of each of evenly spaced speakers; without speakers, evenly spaced.

    All there are where the corpus has fewer.
    """
    if any(not u.speaker for u in corpus.utterances):
        return tuple(_spaced(corpus.utterances, utterances))
    speakers = _spaced(corpus.speakers, -(-utterances // per_speaker))
    found = corpus.select(per_speaker, speakers).utterances[:utterances]
    left = [u for u in corpus.utterances if u.id not in {f.id for f in found}] if len(found) < utterances else []
    return found + tuple(_spaced(left, utterances - len(found)) if left else ())


def embedding(model: Model, waveform: Tensor) -> Tensor:
    """The unit embedding `(dim,)` of a waveform `(samples,)`: the mean of its pieces, float64."""
    with torch.inference_mode():
        pieces: Tensor = answer_function(model, "asv")(model.segments(model.front_end(waveform.float())))
    return normalize(pieces.double().mean(0), dim=0)


def transcript(model: Model, waveform: Tensor) -> str:
    """What a recogniser hears in a waveform `(samples,)`."""
    with torch.inference_mode():
        heard: Sequence[Any] = answer_function(model, "asr")(model.segments(model.front_end(waveform.float())))
    return " ".join(as_hypothesis(piece).text.strip() for piece in heard).strip()


def voices(model: Model, corpus: Corpus, used: Sequence[Utterance]) -> dict[str, Tensor]:
    """Speaker to voice `(dim,)`: from plain utterances that are not in `used`, up to ENROLLED of each speaker.

    Speakers without another utterance are left out.
    """
    tested, wanted = {u.id for u in used}, {u.speaker for u in used}
    found: dict[str, list[Tensor]] = {}
    for utterance in corpus.utterances:
        own = found.setdefault(utterance.speaker, []) if utterance.speaker in wanted else None
        if own is not None and utterance.id not in tested and len(own) < ENROLLED:
            own.append(embedding(model, torch.from_numpy(load_audio(utterance, RATE))))
    return {who: normalize(torch.stack(each).mean(0), dim=0) for who, each in found.items() if each}


def voice_eer(embeddings: Tensor, used: Sequence[Utterance], known: Mapping[str, Tensor]) -> float:
    """EER in percent of `embeddings (utterances, dim)` against the known voices.

    Each utterance is tried against its speaker's voice, and against all others of the speaker's gender where genders
    are known. NaN where there is no trial of either kind, or an embedding is not finite.
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


def _spaced(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of the items, evenly spaced, in order; all where there are fewer."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]
