"""Error rates as other libraries compute them from the same scores or texts, where these are installed.

SpeechBrain and ESPnet are in no requirement of this project. Into a folder of one's own, then named by PYTHONPATH:

    pip install --no-deps --target DIR speechbrain hyperpyyaml ruamel.yaml sentencepiece huggingface_hub torchaudio
    pip install --no-deps --target DIR espnet editdistance
    rm DIR/torchaudio/lib/*.so    # beside a PyTorch without CUDA: built for CUDA, and no part of the EER
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import jiwer
import numpy as np
from sklearn.metrics import roc_curve
from torch import Tensor

from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.tasks.asr import SpeechRecognition
from wrongkey.evaluation.tasks.text import normaliser

Rates = Callable[[], list[float]]  # an error rate in percent of each key
Texts = list[list[Hypothesis]]  # of each key and utterance


def of_scores(scores: Tensor, target: Tensor) -> tuple[dict[str, Rates], dict[str, str]]:
    """Ways to the EER of ``scores (keys, trials)``, by name, wrongkey's first; and why others are missing."""
    ways: dict[str, Rates] = {
        "EER, wrongkey (all keys at once)": lambda: eer(scores, target).tolist(),
        "EER, scikit-learn's roc_curve": lambda: [_crossing(target, row) for row in scores.numpy()],
    }
    name, missing = "EER, SpeechBrain", {}
    try:
        from speechbrain.utils.metric_stats import EER  # type: ignore[import-not-found,unused-ignore]
    except Exception as error:  # it is missing, or something that it needs is
        missing[name] = _why(error, "speechbrain")
    else:  # of one key: a step in Python for each threshold
        ways[f"{name} (one key)"] = lambda: [100 * EER(scores[0, target], scores[0, ~target])[0]]
    return ways, missing


def of_texts(task: SpeechRecognition, heard: Texts) -> tuple[dict[str, Rates], dict[str, str]]:
    """Ways to the WER, with the edits of characters beside those of words, of the same normalised texts."""
    ways: dict[str, Rates] = {
        "WER counts, wrongkey": lambda: _pooled(task, heard),
        "WER counts, jiwer": lambda: [_jiwer(task.references, _normal(task, texts)) for texts in heard],
    }
    name, missing = "WER counts, ESPnet (editdistance)", {}
    try:
        import_module("editdistance")  # ESPnet imports it only when it is asked
        from espnet.nets.e2e_asr_common import ErrorCalculator  # type: ignore[import-not-found,unused-ignore]
    except Exception as error:
        missing[name] = _why(error, "espnet", "editdistance")
    else:
        calculator = ErrorCalculator(["<blank>", "<space>"], "<space>", "<blank>", report_cer=True, report_wer=True)
        ways[name] = lambda: [_espnet(calculator, task.references, _normal(task, texts)) for texts in heard]
    return ways, missing


def _why(error: Exception, *names: str) -> str:
    """Why a library cannot be asked."""
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return "not installed" if missing in names else f"does not load ({missing or type(error).__name__})"


def _crossing(target: Tensor, scores: np.ndarray) -> float:
    """The EER in percent where scikit-learn's curve crosses the diagonal."""
    alarms, hits, _ = roc_curve(target.numpy(), scores, drop_intermediate=False)
    return 100 * float(np.interp(0, (1 - hits - alarms)[::-1], alarms[::-1]))


def _pooled(task: SpeechRecognition, heard: Texts) -> list[float]:
    errors = task.scores(heard)[..., :3].sum((1, 2))
    return [100 * one / int(task.words.sum()) for one in errors.tolist()]


def _normal(task: SpeechRecognition, texts: Sequence[Hypothesis]) -> list[str]:
    return list(map(normaliser(task.normalise), (one.text for one in texts)))


def _jiwer(said: Sequence[str], heard: list[str]) -> float:
    jiwer.process_characters(list(said), heard)
    return 100 * jiwer.process_words(list(said), heard).wer


def _espnet(calculator: Any, said: Sequence[str], heard: list[str]) -> float:
    calculator.calculate_cer(heard, said)
    return 100 * float(calculator.calculate_wer(heard, said))
