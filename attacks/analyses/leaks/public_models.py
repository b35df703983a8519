"""What public models, which know no key, hear in encrypted waveforms as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wrongkey.attacks.analyses.leaks.linkability import condition_of, pair_eer
from wrongkey.attacks.analyses.speech import ALL, Rows
from wrongkey.attacks.harness.listeners import embedding, open_listener, transcript
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.tasks.asr import counted, edits, error_rate_of
from wrongkey.evaluation.tasks.text import normaliser
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.blocks import Blocks

Keys = list[dict[str, Any]]


def over_keys(schemes: Sequence[str], block_sizes: Sequence[int]) -> Keys:
    """Labels of plain speech, and of every scheme and block size."""
    encrypted = [{"condition": "encrypted", "scheme": s, "block_size": m} for s in schemes for m in block_sizes]
    return [{"condition": "plain", "scheme": "", "block_size": 0}, *encrypted]


def speaker_rows(
    parts: Mapping[str, Sequence[Tensor]], used: Sequence[Utterance], keys: Keys, seed: int, spec: str
) -> Rows:
    """EER of a public speaker model between waveforms under one key.

    `parts` are the recordings `used` by the name of the part, `keys` the labels of `over_keys`.
    """
    model, rows = open_listener(spec, "asv"), Rows()
    for part, speech in parts.items() if used else ():
        for labels in keys:
            heard = torch.stack([embedding(model, _encrypted(waveform, labels, seed)) for waveform in speech])
            value = pair_eer(heard @ heard.T, used)
            condition = condition_of(labels["condition"], part)
            rows.append({**_row("eer", value), **labels, "condition": condition})
    return rows


def recogniser_rows(
    speech: Sequence[Tensor], used: Sequence[Utterance], keys: Keys, seed: int, spec: str, text: str
) -> Rows:
    """WER (CER where spaces do not mark words) of a public recogniser on waveforms, each under its own key.

    Raises BadInput for an utterance without a transcript.
    """
    model, normal = open_listener(spec, "asr"), normaliser(text)
    silent = [utterance.id for utterance in used if utterance.text is None]
    if silent:
        raise BadInput(f"Utterance {silent[0]} has no transcript: leave the recogniser out.")
    references = [normal(utterance.text or "") for utterance in used]
    metric = error_rate_of(references)
    said = [counted(reference, metric) for reference in references]
    rows = Rows()
    for labels in keys:
        wrong = 0
        for number, (waveform, words) in enumerate(zip(speech, said, strict=True)):
            heard = transcript(model, _encrypted(waveform, labels, seed + number))
            wrong += sum(edits(words, counted(normal(heard), metric))[:3])
        rows.append({**_row(metric, 100 * wrong / max(sum(map(len, said)), 1)), **labels})
    return rows


def _row(metric: str, value: float) -> dict[str, Any]:
    return {"blocks": Blocks.SAMPLES.value, "utterance": ALL, "metric": metric, "value": value}


def _encrypted(waveform: Tensor, labels: Mapping[str, Any], seed: int) -> Tensor:
    """The waveform under a key of the labels' scheme and block size; as it is for plain speech."""
    if not labels["scheme"]:
        return waveform
    key = correct_key(labels["scheme"], labels["block_size"], seed)
    return encrypt_query(waveform, key, blocks=Blocks.SAMPLES)
