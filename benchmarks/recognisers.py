"""What a key costs a recogniser's sweep, beside the recogniser's own fastest decoding of the same speech.

``python -m benchmarks.recognisers whisper:FOLDER [asr-words …] [--keys 3] [--speech 16] [--rounds 3]``

The same speech is what the keys make of it: texts under incorrect keys are shorter or longer than the plain ones. The
fastest decoding is that of the best batch size, of queries that were encrypted before. To it a sweep adds the keys'
product with the queries, the texts of each key, their words' alignment, rates and intervals. Everything runs on one
core with one thread, in alternation; the seconds are the processor's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import cast

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

BATCHES = (1, 2, 4, 8, 16)


def main() -> None:
    """Print a row for each recogniser."""
    options = _options()
    torch.set_num_threads(1)
    columns = ("recogniser", ">utterances", ">best batch", ">own decoding, s a key", ">sweep, s a key", ">ratio")
    rows = []
    for name in options.models:
        rows.append(_row(name, options))
        print(*rows[-1], flush=True)
    note = f"{options.keys} keys; medians of {options.rounds} rounds."
    show(options.json, Table(columns, rows, note))


def _row(name: str, options: argparse.Namespace) -> list[str]:
    corpus = "bundled-words" if name == "asr-words" else "bundled"
    every = range(len(open_corpus(corpus).utterances))
    config = SweepConfig(name, options.corpus or corpus, task="asr", keys=options.keys, device="cpu")
    experiment = Experiment(config, None if options.corpus else evenly_spaced(every, options.speech))
    experiment.tune()
    of_some = SpeechRecognition.of(experiment.used, config.text, config.replicates, config.seed)
    encrypted = _encrypted(experiment)

    def swept() -> None:
        scores = of_some.scores(experiment.answers(experiment.incorrect.batch(0, options.keys)))
        of_some.measure(scores)

    # the batch is chosen before, and not in each round: the least of several measurements is also the luckiest
    batch = min(BATCHES, key=lambda batch: _seconds(partial(_decoded, experiment, encrypted, batch)))
    ratios = []
    for _ in range(options.rounds):
        own, whole = _seconds(partial(_decoded, experiment, encrypted, batch)), _seconds(swept)
        ratios.append((whole / own, own / options.keys, whole / options.keys))
    ratio, own, whole = sorted(ratios)[len(ratios) // 2]
    return [Path(name).name, f"{len(experiment.used)}", f"{batch}", f"{own:.2f}", f"{whole:.2f}", f"{ratio:.3f}"]


def _encrypted(experiment: Experiment) -> list[Tensor]:
    """The queries of each group under all keys: the fastest decoding may put several keys into a batch, too."""
    keys = torch.from_numpy(experiment.incorrect.batch(0, experiment.total))
    relative = (keys @ inverse_of(experiment.engine.model_key)).to(experiment.dtype)
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
    parser.add_argument("--keys", type=int, default=3)
    parser.add_argument("--speech", type=int, default=16, help="bundled utterances")
    parser.add_argument("--rounds", type=int, default=3)
    add_json(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
