"""What scoring costs: trials of the size of VoxCeleb1 and transcripts of the size of LibriSpeech's test-clean.

``python -m benchmarks.scoring [--keys 1000] [--rounds 3] [--whisper FOLDER]``

1. Seconds per key of everything behind the embeddings (cosines of 37,720 trials, EER, minDCF, their intervals over
   speakers, Cllr, linkability, ZEBRA's disclosures, the rows of the score file) and of everything behind the texts
   (normalisation, alignment of words and characters, rates, intervals, rows), and their share of a key that asks the
   models about as many utterances: the bundled ones, which are the smallest anyone would ask, RawNeXt at its published
   size in its protocol of ten segments, and Whisper, where its folder is given. Scoring is the mean over all keys, in
   shards of `SHARD`, each with answers of its own; asking the median over the rounds.
2. The same numbers from other libraries (`benchmarks.scorers`), in alternation: the EER of scikit-learn's
   ``roc_curve`` and of SpeechBrain, the WER of jiwer and of ESPnet, the last of each where they are installed. One
   error rate, without intervals, each; and how far each library's rates are from ours.

One core, one thread; the seconds are the processor's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.scorers import Rates, of_scores, of_texts
from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.models.adapters.rawnext import SEGMENT, SEGMENTS
from wrongkey.evaluation.models.adapters.rawnext_folded import FoldedRawNeXt
from wrongkey.evaluation.models.adapters.rawnext_network import RawNeXt
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.tasks.asr import SpeechRecognition
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.evaluation.tasks.trials import Trials

SPEAKERS, UTTERANCES, TRIALS, DIM = 40, 4_708, 37_720, 256  # VoxCeleb1's test part
TEXTS, VOCABULARY, ERRORS = 2_620, 5_000, 0.3  # LibriSpeech's test-clean; a noisy hypothesis
SENTENCES = 10, 40  # words of a text, about LibriSpeech's; the last number excluded
SHARD = 8  # keys
COMMANDS = 3, 8  # those of bundled-words
MODELS = "asv-raw10", "RawNeXt, 20.3 M parameters", "asr-words"
Task = TypeVar("Task", SpeakerVerification, SpeechRecognition)


def main() -> None:
    """Print both tables."""
    options = _options()
    torch.set_num_threads(1)
    verification, recognition, commands = _verification(), _recognition(SENTENCES), _recognition(COMMANDS)
    asked: dict[str, tuple[Workload[Any], int, Callable[[], float]]] = {
        MODELS[0]: (verification, UTTERANCES, partial(_asking, "asv-raw10")),
        MODELS[1]: (verification, UTTERANCES, _asking_rawnext),
        MODELS[2]: (commands, TEXTS, partial(_asking, "asr-words")),
    }
    if options.whisper is not None:
        asked[options.whisper.name] = recognition, TEXTS, partial(_asking, f"whisper:{options.whisper}", 4, 1)
    shares = []
    seconds_behind = cache(partial(_seconds_behind, keys=options.keys))
    for model, (work, utterances, asking) in asked.items():
        if model in MODELS and model not in options.models:
            continue
        scoring = seconds_behind(work) / options.keys
        whole = median(asking() for _ in range(options.rounds)) * utterances
        share = 100 * scoring / (scoring + whole)
        shares.append([model, f"{1e3 * scoring:.1f}", f"{1e3 * whole:,.0f}", f"{share:.3f} %"])
        print(*shares[-1], flush=True)

    rates = []
    few = min(SHARD, options.keys)
    scores = _scored(verification.task, verification.answers(few))
    target = torch.from_numpy(verification.task.trials.target)
    for ways, missing in (of_scores(scores, target), of_texts(recognition.task, recognition.answers(few))):
        rates += _compared(ways, options.rounds)
        rates += [[name, why, "", ""] for name, why in missing.items()]
    sizes = f"{TRIALS:,} trials, {TEXTS:,} texts"
    show(
        options.json,
        Table(
            ("model", ">scoring, ms a key", ">asking, ms a key", ">share of a key"),
            shares,
            f"{options.keys:,} keys, {sizes}; asking: medians of {options.rounds} rounds.",
        ),
        Table(
            ("", ">ms a key", ">/ wrongkey", ">largest difference, points"),
            rates,
            f"{few} keys, {sizes}; medians of {options.rounds} rounds.",
        ),
    )


@dataclass(frozen=True, eq=False)
class Workload(Generic[Task]):
    """A task, and a function that draws made-up answers for a number of further keys."""

    task: Task
    answers: Callable[[int], Any]


def _seconds_behind(work: Workload[Any], keys: int) -> float:
    """Seconds of all that shards of `keys` keys do with the answers, and of their files."""
    sizes = [min(SHARD, keys - first) for first in range(0, keys, SHARD)]
    return sum(_seconds(partial(_behind, work.task, work.answers(size))) for size in sizes)


def _compared(ways: Mapping[str, Rates], rounds: int) -> list[list[str]]:
    """A row for each way to an error rate, in alternation; the first is ours."""
    first = next(iter(ways))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = process_time()
            found[name] = way()
            seconds[name].append((process_time() - begin) / len(found[name]))
    rows = []
    for name, taken in seconds.items():
        ratio = median(theirs / mine for theirs, mine in zip(taken, seconds[first], strict=True))
        difference = max(abs(one - own) for one, own in zip(found[name], found[first], strict=False))
        rows.append([name, f"{1e3 * median(taken):.2f}", f"{ratio:.2f}", f"{difference:.1g}"])
    return rows


def _scored(task: Any, answers: Any) -> Tensor:
    return task.scores(answers, lambda: answers)


def _behind(task: Any, answers: Any) -> None:
    """All that a shard does with the answers, and its file."""
    found = task.measure(_scored(task, answers))
    with tempfile.TemporaryDirectory() as folder:
        pd.DataFrame(found).to_parquet(Path(folder) / "scores.parquet")


def _asking(model: str, utterances: int | None = None, keys: int = 8) -> float:
    """Seconds per utterance of the bundled corpus that the engine needs for a key."""
    corpus = "bundled-words" if model == "asr-words" else "bundled"
    task, trials = ("asv", "corpus") if model == "asv-raw10" else ("asr", None)
    config = SweepConfig(model, corpus, task=task, trials=trials, keys=keys, device="cpu")
    experiment = Experiment(config, None if utterances is None else range(utterances))
    experiment.tune()
    drawn = experiment.incorrect.batch(0, keys)
    return _seconds(lambda: experiment.answers(drawn)) / (keys * len(experiment.used))


def _asking_rawnext() -> float:
    """The same for RawNeXt with random weights, from one segment of the ten of an utterance."""
    network = FoldedRawNeXt(RawNeXt().eval()).eval().requires_grad_(False)
    segment = 0.1 * torch.randn(1, SEGMENT)
    with torch.inference_mode():
        network(segment)
        return SEGMENTS * _seconds(lambda: network(segment))


def _verification() -> Workload[SpeakerVerification]:
    """Trials of random utterances, half of them of one speaker; embeddings ``(keys, utterances, dim)``."""
    rng, speaker = np.random.default_rng(0), np.sort(np.arange(UTTERANCES) % SPEAKERS)
    target = np.arange(TRIALS) % 2 == 0
    enrolment = rng.integers(0, UTTERANCES, TRIALS)
    own = UTTERANCES // SPEAKERS  # utterances of each speaker, at least
    other = (speaker[enrolment] + rng.integers(1, SPEAKERS, TRIALS)) % SPEAKERS
    first = np.searchsorted(speaker, np.where(target, speaker[enrolment], other))
    test = first + rng.integers(0, own, TRIALS)
    trials = Trials(
        tuple(f"u{i}" for i in range(UTTERANCES)),
        enrolment,
        test,
        target,
        speaker,
        tuple(f"s{i}" for i in range(SPEAKERS)),
        "drawn",
    )
    utterances = tuple(
        Utterance(id, f"s{number}", Path("none"), "f" if number % 2 else "m")
        for id, number in zip(trials.ids, speaker.tolist(), strict=True)
    )

    def embeddings(keys: int) -> Tensor:
        """Their EER is some 20 %."""
        centres = rng.standard_normal((keys, SPEAKERS, DIM), dtype=np.float32)
        noise = rng.standard_normal((keys, UTTERANCES, DIM), dtype=np.float32)
        return torch.from_numpy(centres[:, speaker] + 3 * noise)

    task = SpeakerVerification(trials, utterances)
    task.prepare()
    return Workload(task, embeddings)


def _recognition(length: tuple[int, int]) -> Workload[SpeechRecognition]:
    """Transcripts of so many random words, and hypotheses that get some of them wrong, in a recogniser's spelling."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(map(chr, rng.integers(97, 123, rng.integers(2, 9)))) for _ in range(VOCABULARY)])
    said = [words[rng.integers(0, VOCABULARY, rng.integers(*length))] for _ in range(TEXTS)]
    utterances = [Utterance(f"u{i}", "", Path("none"), text=" ".join(text)) for i, text in enumerate(said)]

    def misheard(text: np.ndarray) -> Hypothesis:
        wrong = rng.random(len(text)) < ERRORS
        heard = " ".join(np.where(wrong, words[rng.integers(0, VOCABULARY, len(text))], text))
        return Hypothesis(f"{heard.capitalize()}.")

    task = SpeechRecognition.of(utterances, "basic", 200, 0)
    task.prepare()
    return Workload(task, lambda keys: [[misheard(text) for text in said] for _ in range(keys)])


def _seconds(work: Callable[[], object]) -> float:
    begin = process_time()
    work()
    return process_time() - begin


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--models", nargs="+", choices=[*MODELS], default=[*MODELS], help="whose keys' cost is the whole"
    )
    add_json(parser)
    parser.add_argument("--whisper", type=Path, help="folder of a Whisper checkpoint")
    return parser.parse_args()


if __name__ == "__main__":
    main()
