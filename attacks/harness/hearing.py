"""How near what a recovered key decrypts is to the victim's speech, for the ear and for a recogniser.

The first half minute of the victim's speech is measured; so is speech that the attack did not see, what the correct key
decrypts, and, where there is a recogniser, the words that it understands.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.harness.evidence import Trial
from wrongkey.attacks.harness.listeners import transcript
from wrongkey.attacks.harness.scores import stoi
from wrongkey.attacks.harness.target import Target
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.run_folder.vocabulary import EXACT, HEARD_COLUMNS
from wrongkey.evaluation.tasks.asr import SpeechRecognition
from wrongkey.keys import decrypt_query, encrypt_query
from wrongkey.keys.blocks import Blocks

HEARD_SECONDS = 30.0

Heard = dict[str, float]


def heard(target: Target, trial: Trial, key: Matrix, seen: int) -> Heard:
    """The measures of a recovered key.

    Parameters
    ----------
    target : Target
        What is attacked.
    trial : Trial
        The victim and the correct key.
    key : ndarray of shape (N, N)
        The recovered key.
    seen : int
        Samples or frames of the victim that the attack had.

    Returns
    -------
    dict of str to float
        By the names of `HEARD_COLUMNS`: SNR in dB; of waveforms also STOI (0 to 1), and the WER (percent) of what `key`
        and the correct key decrypt. NaN where a measure does not apply.
    """
    measures = nothing_heard()
    first, unseen = (_pieces(trial.queries, skipped, _limit(target)) for skipped in (0, seen))
    measures["heard_seconds"] = _seconds(target, first)
    measures["snr"], measures["stoi"] = measured(target, first, trial.key, key)
    measures["snr_correct"], measures["stoi_correct"] = measured(target, first, trial.key, trial.key)
    measures["unseen_seconds"] = _seconds(target, unseen)
    if unseen and seen:
        measures["snr_unseen"], measures["stoi_unseen"] = measured(target, unseen, trial.key, key)
    elif not seen:
        measures["snr_unseen"], measures["stoi_unseen"] = measures["snr"], measures["stoi"]
    if target.recogniser is not None:
        measures["wer"] = word_error_rate(target, trial, key)
        measures["wer_correct"] = _understood(target, trial, exact=measures["snr_correct"] >= EXACT)
    return measures


def nothing_heard() -> Heard:
    """All measures as NaN."""
    return dict.fromkeys(HEARD_COLUMNS, float("nan"))


def measured(target: Target, pieces: Sequence[Tensor], key: Matrix, used: Matrix) -> tuple[float, float]:
    """SNR, and of waveforms STOI, of queries that are encrypted with `key`, decrypted with `used` and joined.

    Of windows SNR is that of all windows, and STOI that of the speech in them.
    """
    setting = target.setting
    decrypted = [_decrypted(target, piece, key, used) for piece in pieces]
    plain, heard = torch.cat(list(pieces), dim=-1), torch.cat(decrypted, dim=-1)
    level = snr(plain, heard, setting.blocks)
    if setting.blocks is not Blocks.SAMPLES:
        return level, float("nan")
    if level >= EXACT:
        return level, 1.0
    spoken, understood = (torch.cat([target.speech(part) for part in parts], dim=-1) for parts in (pieces, decrypted))
    return level, stoi(spoken, understood, int(target.speech_rate))


def word_error_rate(target: Target, trial: Trial, used: Matrix) -> float:
    """WER in percent (CER where spaces do not mark words) of the victim's first HEARD_SECONDS."""
    assert target.recogniser is not None
    said, left = [], _limit(target)
    for utterance, query in zip(trial.utterances, trial.queries, strict=True):
        if left > 0:
            said.append((utterance, query))
            left -= query.shape[-1]
    task = SpeechRecognition.of([utterance for utterance, _ in said], target.config.text, 0, 0)
    decrypted = (target.speech(_decrypted(target, query, trial.key, used)) for _, query in said)
    words = [Hypothesis(transcript(target.recogniser, waveform)) for waveform in decrypted]
    rows = task.measure(task.scores([words]))
    return float(next(row["value"] for row in rows if row["metric"] == task.metric))


def _understood(target: Target, trial: Trial, exact: bool) -> float:
    """WER under the correct key; where that gives the plain speech itself, it is measured once for each victim."""
    if not exact:
        return word_error_rate(target, trial, trial.key)
    if trial.victim not in target.understood:
        target.understood[trial.victim] = word_error_rate(target, trial, trial.key)
    return target.understood[trial.victim]


def _decrypted(target: Target, query: Tensor, key: Matrix, used: Matrix) -> Tensor:
    cut = target.setting.cut
    decrypted = decrypt_query(encrypt_query(query, key, blocks=cut), used, blocks=cut)
    return decrypted[..., : query.shape[-1]]


def _pieces(queries: Sequence[Tensor], skipped: int, most: float) -> list[Tensor]:
    """Queries after the first `skipped` units, until there are more than `most`; the first may be the rest of one."""
    pieces, units = [], 0
    for query in queries:
        piece = query[..., min(skipped, query.shape[-1]) :]
        skipped -= query.shape[-1] - piece.shape[-1]
        if piece.numel():
            pieces.append(piece)
            units += piece.shape[-1]
        if units > most:
            break
    return pieces


def _limit(target: Target) -> float:
    return HEARD_SECONDS * target.setting.rate


def _seconds(target: Target, pieces: Sequence[Tensor]) -> float:
    return sum(piece.shape[-1] for piece in pieces) / target.setting.rate
