"""What a sweep costs beside the network it runs: ratios, measured side by side in one run on one machine.

``python -m benchmarks.sweep [--model asv-raw10] [--keys 200] [--rounds 3] [--device cpu]``

forward      the model's own fastest forward pass over the same audio, with the best of several batch sizes: what no
             sweep can beat per key
released     the way of the released code: per key and utterance encrypt the query, then a batch of one through the
             encrypted model
batched      what a careful user writes: per key encrypt the whole corpus at once, then ask the encrypted model in
             batches of the best size
sweep        ``wrongkey sweep`` as a user calls it, in one process: set-up, self-checks, tuning, metrics with intervals
             and files included
further key  the same per key once it runs: the marginal cost of a key, from two sweeps of different length

On a CPU every way has one core and one thread. Rounds alternate the ways, so that a change of the machine's clock hits
all of them. Released and batched are asked under the same keys, and must answer the same.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import cast

import torch
from torch import Tensor

from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import describe_device
from wrongkey.evaluation.models.protocol import SpeakerModel
from wrongkey.evaluation.sweep import sweep
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.keys import encrypt_query

FEW_KEYS = 3  # the released way is slow: a few keys tell its cost per key, and that of per-key batching
SAME = 1e-4  # difference of both ways' answers, relative to the largest, that is rounding


def main() -> None:
    """Print the ratios."""
    options = _options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    config = SweepConfig(
        model=options.model, corpus=options.corpus, per_speaker=options.per_speaker,
        trials=None if options.per_speaker else options.trials,
        keys=options.keys, device=options.device,
    )  # fmt: skip
    experiment = Experiment(config)
    task = experiment.task
    assert isinstance(task, SpeakerVerification)
    batches = [2**i for i in range(11 if experiment.device.type == "cuda" else 6)]
    rows = []
    _sweep(config, 1)  # the process of its self-checks stays for the others, whose rounds are then alike
    _check_same(experiment)
    # batches are chosen before, and not in each round: the least of several measurements is also the luckiest
    batch, careful = (
        min(batches, key=lambda rows: _seconds(experiment, partial(way, experiment, rows)))
        for way in (_forward, _batched)
    )
    for _ in range(options.rounds):
        forward = _seconds(experiment, partial(_forward, experiment, batch))
        released = _seconds(experiment, partial(_released, experiment)) / FEW_KEYS
        batched = _seconds(experiment, partial(_batched, experiment, careful)) / FEW_KEYS
        whole, short = _sweep(config, options.keys), _sweep(config, max(options.keys // 10, 1))
        marginal = (whole - short) / (options.keys - max(options.keys // 10, 1))
        rows.append((forward, released, batched, whole / options.keys, marginal))
        print(
            f"per key: forward {forward * 1e3:.1f} ms at batch {batch}; beside it released {released / forward:.2f}, "
            f"batched {batched / forward:.2f}, sweep {whole / options.keys / forward:.2f}, "
            f"further key {marginal / forward:.2f}",
            flush=True,
        )
    ratio = [median(row[i] / row[0] for row in rows) for i in (1, 2, 3, 4)]
    own = median(row[0] for row in rows)
    columns = (
        "model",
        ">keys",
        ">rows of a forward pass",
        ">forward pass, ms a key",
        ">released / forward",
        ">batched / forward",
        ">sweep / forward",
        ">further key / forward",
        ">released / further key",
        ">batched / further key",
    )
    cells = [f"{one:.2f}" for one in (*ratio, ratio[0] / ratio[-1], ratio[1] / ratio[-1])]
    note = (
        f"{options.model}: {options.corpus}, {len(experiment.used)} utterances, {len(task.trials):,} trials, "
        f"{describe_device(experiment.device)}; medians of {options.rounds} rounds."
    )
    row = [options.model, f"{options.keys:,}", f"{batch}", f"{1e3 * own:.1f}", *cells]
    show(options.json, Table(columns, [row], note))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="asv-raw10")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--trials", default="corpus")
    parser.add_argument("--per-speaker", type=int, help="utterances of each speaker, in all pairs (all, with --trials)")
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    add_json(parser)
    return parser.parse_args()


@torch.inference_mode()
def _forward(experiment: Experiment, batch: int) -> None:
    model = cast(SpeakerModel, experiment.engine.model if experiment.device.type == "cuda" else experiment.model)
    for group in experiment.engine.queries.groups:
        for start in range(0, len(group), batch):
            model.embed(group.segments[start : start + batch])


@torch.inference_mode()
def _released(experiment: Experiment) -> list[Tensor]:
    """The embedding of every segment under a few keys, one after another."""
    encrypted = _encrypted(experiment)
    return [
        encrypted.embed(encrypt_query(segment, key, dims=1)[None])
        for key in _few_keys(experiment)
        for group in experiment.engine.queries.groups
        for segment in group.segments
    ]


@torch.inference_mode()
def _batched(experiment: Experiment, batch: int) -> list[Tensor]:
    """The same embeddings, in batches of segments of one shape."""
    encrypted, found = _encrypted(experiment), []
    for key in _few_keys(experiment):
        queries = [encrypt_query(group.segments, key, dims=1) for group in experiment.engine.queries.groups]
        found += [encrypted.embed(some) for group in queries for some in torch.split(group, batch)]
    return found


def _few_keys(experiment: Experiment) -> Tensor:
    return torch.from_numpy(experiment.incorrect.batch(0, FEW_KEYS))


def _encrypted(experiment: Experiment) -> SpeakerModel:
    model = cast(SpeakerModel, experiment.encrypted)
    model.network.to(experiment.device)
    return model


def _check_same(experiment: Experiment) -> None:
    """Raises SystemExit where per-key batching answers otherwise than the released way."""
    one_by_one, together = torch.cat(_released(experiment)), torch.cat(_batched(experiment, 4))
    difference = float((one_by_one - together).abs().max() / one_by_one.abs().max())
    if not difference < SAME:
        raise SystemExit(
            f"Released and batched answer differently under the same keys: {difference:.1e} of the largest entry."
        )


def _seconds(experiment: Experiment, work: Callable[[], object]) -> float:
    def clock() -> float:
        if experiment.device.type == "cuda":
            torch.cuda.synchronize()
        return perf_counter()

    work()  # warm up
    begin = clock()
    work()
    return clock() - begin


def _sweep(config: SweepConfig, keys: int) -> float:
    """Seconds of a whole sweep in this process, nothing prepared beforehand."""
    settings = SweepConfig(**{**config.__dict__, "keys": keys})
    with tempfile.TemporaryDirectory() as folder:
        begin = perf_counter()
        sweep(settings, Path(folder) / "run", workers=1)
        return perf_counter() - begin


if __name__ == "__main__":
    main()
