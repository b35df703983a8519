"""What a reader must know of a run whose self-checks passed: a model that hardly answers, or no better than chance.

A score of 50 % EER under every incorrect key looks perfectly safe; a model that gives everyone the same answer scores
the same. These are sentences, not refusals: the run can still be read, and the reader judges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.run_folder.vocabulary import error_percent

SAME = 1e-6  # of scores, absolute: the rounding of a cosine in float32
NOTHING = "this run cannot show protection"
RECOGNISES = 90.0  # percent of errors from which on a recogniser says next to nothing


def of_answers(condition: str, answers: Answers) -> list[str]:
    """A sentence where a model answers the same to every utterance; ``condition`` as in "the plain model"."""
    if isinstance(answers, Tensor):
        spread = (answers - answers.mean(1, keepdim=True)).abs().amax()
        constant = bool(spread <= torch.finfo(answers.dtype).eps * answers.abs().amax())
        what = "the same answer to every utterance"
    else:
        texts = {heard.text for key in answers for heard in key}
        constant = len(texts) == 1
        what = "no words at all" if texts == {""} else "the same text for every utterance"
    return [f"{condition} gives {what}: its scores say nothing"] if constant and _several(answers) else []


def tied(task: str, answers: Answers, scores: Tensor) -> list[bool]:
    """Whether everything is answered alike, key by key: equal trial scores, one class for every clip, one text."""
    if not isinstance(answers, Tensor):
        return [len(texts) > 1 and len({heard.text for heard in texts}) == 1 for texts in answers]
    if scores.shape[-1] < 2:
        return [False] * len(scores)
    equal = SAME if task == "asv" else 0.0
    return (scores.amax(-1) - scores.amin(-1) <= equal).tolist()


def of_rows(rows: Iterable[Mapping[str, Any]], classes: int | None) -> list[str]:
    """Sentences about score rows of the plain model that is no better than chance; ``classes`` of a classifier."""
    found = []
    for row in rows:
        if row["condition"] == "plain" and row["metric"] in CHANCE:
            found += CHANCE[row["metric"]](row, classes)
    return found


def of_preparation(preparation: str, metric: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence about what it costs the authorised user to prepare speech before encryption, from the score rows.

    ``preparation`` in words, as in "noise at 20 dB"; nothing where it is empty, or no model is under a key.
    """
    errors = {row["condition"]: error_percent(metric, row["value"]) for row in rows if row["metric"] == metric}
    if not preparation or "correct" not in errors:
        return []
    name = metric if metric == "accuracy" else metric.upper()
    return [
        f"{preparation} before encryption costs the authorised user {errors['correct'] - errors['plain']:.1f} points "
        f"of {name}: {errors['correct']:.1f} % of errors with the correct key, {errors['plain']:.1f} % in the plain "
        "model on clean speech"
    ]


def of_tied_keys(keys: Collection[int], done: int) -> list[str]:
    """A sentence about the incorrect keys under which everything is answered alike."""
    if not keys:
        return []
    return [
        f"under {len(keys):,} of {done:,} incorrect keys everything is answered alike (key {min(keys)} first): their "
        "scores show that the model breaks down there, not that the speech is protected"
    ]


def of_failed_keys(failed: Sequence[Mapping[str, Any]], done: int) -> list[str]:
    """A sentence about the incorrect keys that have no score; ``failed`` as a manifest has them (``failed_keys``)."""
    if not failed:
        return []
    first = min(failed, key=lambda one: int(one["key"]))
    return [
        f"{len(failed):,} incorrect {'key has' if len(failed) == 1 else 'keys have'} no score, since the model failed "
        f"there (key {first['key']} first: {first['reason']}): all numbers are of the {done:,} others"
    ]


def of_keys(manifest: Mapping[str, Any]) -> list[str]:
    """Sentences about what a manifest says of its incorrect keys."""
    done = manifest["keys_done"]
    return of_tied_keys(manifest["tied_keys"], done) + of_failed_keys(manifest["failed_keys"], done)


def _of_eer(row: Mapping[str, Any], classes: int | None) -> list[str]:
    high = row["value"] if row["ci_high"] != row["ci_high"] else row["ci_high"]  # NaN without an interval
    if max(high, row["value"]) < 50.0:
        return []
    return [
        f"the plain model's EER of {row['value']:.1f} % cannot be told from chance (50 %): nothing can be protected"
    ]


def _of_accuracy(row: Mapping[str, Any], classes: int | None) -> list[str]:
    chance = 100.0 / (classes or 1)
    low = row["value"] if row["ci_low"] != row["ci_low"] else row["ci_low"]
    if classes is None or min(low, row["value"]) > chance:
        return []
    return [
        f"the plain model's accuracy of {row['value']:.1f} % cannot be told from chance ({chance:.1f} %): {NOTHING}"
    ]


def _of_wer(row: Mapping[str, Any], classes: int | None) -> list[str]:
    if row["value"] < RECOGNISES:
        return []
    name = str(row["metric"]).upper()
    return [f"the plain model's {name} is {row['value']:.1f} %: it recognises next to nothing, so {NOTHING}"]


CHANCE = {"eer": _of_eer, "accuracy": _of_accuracy, "wer": _of_wer, "cer": _of_wer}


def _several(answers: Answers) -> bool:
    return (answers.shape[1] if isinstance(answers, Tensor) else len(answers[0])) > 1
