"""What a key costs a recogniser's sweep, beside the recogniser's own fastest decoding of the same speech.

``python -m benchmarks.recognisers whisper:FOLDER [asr-words …] [--keys N] [--speech N] [--rounds 3]``

The same speech is what the keys make of it: texts under incorrect keys are shorter or longer than the plain ones. The
fastest decoding is that of the best batch size, of queries that were encrypted before. To it a sweep adds the keys'
product with the queries, the texts of each key, their words' alignment, rates and intervals. Its rows per pass are
those that it tunes for 1,000 keys. Everything runs on one core with one thread, in alternation; the seconds are the
processor's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.engine import rotated
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.models.protocol import Recogniser
from wrongkey.evaluation.spacing import evenly_spaced
from wrongkey.evaluation.tasks.asr import SpeechRecognition
from wrongkey.keys.inverse import inverse_of

BATCHES = (1, 2, 4, 8, 16, 32, 64)
ASKED = {"asr-words": (100, 112)}  # keys, and utterances of the bundled corpus: all of them
ASKED_SLOW = 3, 16
SWEPT = 1000  # keys of the sweep that is tuned for


def main() -> None:
    """Print a row for each recogniser."""
    options = _options()
    torch.set_num_threads(1)
    columns = "recogniser", ">keys", ">utterances", ">best batch", ">own decoding, s a key", ">sweep, s a key", ">ratio"
    rows = []
    for name in options.models:
        rows.append(_row(name, options))
        print(*rows[-1], flush=True)
    note = f"Medians of {options.rounds} rounds."
    show(options.json, Table(columns, rows, note))


def _row(name: str, options: argparse.Namespace) -> list[str]:
    corpus = "bundled-words" if name == "asr-words" else "bundled"
    many, utterances = ASKED.get(name, ASKED_SLOW)
    many, utterances = options.keys or many, options.speech or utterances
    every = range(len(open_corpus(corpus).utterances))
    config = SweepConfig(name, options.corpus or corpus, task="asr", keys=SWEPT, device="cpu")
    experiment = Experiment(config, None if options.corpus else evenly_spaced(every, utterances))
    experiment.tune()
    of_some = SpeechRecognition.of(experiment.used, config.text, config.replicates, config.seed)
    keys = experiment.incorrect.batch(0, many)
    encrypted = _encrypted(experiment, keys)

    def swept() -> None:
        scores = of_some.scores(experiment.answers(keys))
        of_some.measure(scores)

    # the batch is chosen before, and not in each round: the least of several measurements is also the luckiest
    batch = min(BATCHES, key=lambda batch: _seconds(partial(_decoded, experiment, encrypted, batch)))
    ratios = []
    for _ in range(options.rounds):
        own, whole = _seconds(partial(_decoded, experiment, encrypted, batch)), _seconds(swept)
        ratios.append((whole / own, own / many, whole / many))
    ratio, own, whole = sorted(ratios)[len(ratios) // 2]
    counts, seconds = (many, len(experiment.used), batch), (own, whole)
    return [Path(name).name, *map(str, counts), *(f"{each:.3g}" for each in seconds), f"{ratio:.3f}"]


def _encrypted(experiment: Experiment, keys: np.ndarray) -> list[Tensor]:
    """The queries of each group under all keys: the fastest decoding may put several keys into a batch, too."""
    relative = (torch.from_numpy(keys) @ inverse_of(experiment.engine.model_key)).to(experiment.dtype)
    groups = experiment.engine.queries.groups
    return [rotated(group.segments, relative, experiment.cut).flatten(0, 1) for group in groups]


@torch.inference_mode()
def _decoded(experiment: Experiment, encrypted: list[Tensor], batch: int) -> None:
    recogniser = cast(Recogniser, experiment.engine.model)
    for queries in encrypted:
        for some in torch.split(queries, batch):
            recogniser.transcribe(some)


def _seconds(work: Callable[[], None]) -> float:
    begin = process_time()
    work()
    return process_time() - begin


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--corpus", help="instead of the bundled one")
    parser.add_argument("--keys", type=int, help="(default: 100 for asr-words, 3 for others)")
    parser.add_argument("--speech", type=int, help="bundled utterances (default: 112 for asr-words, 16 for others)")
    parser.add_argument("--rounds", type=int, default=3)
    add_json(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
