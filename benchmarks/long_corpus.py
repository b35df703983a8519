"""What a long corpus takes of the memory: ``python -m benchmarks.long_corpus`` (2,000 utterances, some minutes).

Makes a corpus of the bundled synthetic speech, each time at another speed and level, and sweeps it twice with two
workers: with the segments in the memory of every process, and in files that all of them map (``--memory 0``). Prints
the largest proportional set size of each process (PSS: of a page that n processes share, each counts one n-th), and
whether the scores are equal. Needs Linux. The model is small: what is measured is the memory of segments.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import pandas as pd
import psutil
import soundfile
import torch
from scipy.signal import resample_poly
from torch import Tensor, nn

from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation.corpora import load_audio, open_corpus

ROOT = Path(__file__).parents[1]
RATE = 16_000
PIECES, PIECE = 2, 2 * RATE  # segments of an utterance, and their samples: a quarter of a megabyte
SPEEDS = (90, 95, 97, 99, 101, 103, 105, 110)  # percent
EVERY = 0.5  # seconds between two looks at the processes


class Small:
    """A model that is asked about long segments, and computes little."""

    name, sample_rate, first_layer = "small", RATE, "0"

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv1d(1, 8, 20, stride=20), nn.Tanh()).eval().requires_grad_(False)

    def segments(self, query: Tensor) -> Tensor:
        """The waveform, repeated, in pieces."""
        return query.repeat(-(-PIECES * PIECE // len(query)))[: PIECES * PIECE].reshape(PIECES, PIECE)

    def embed(self, queries: Tensor) -> Tensor:
        """Mean and deviation over time."""
        frames = self.network(queries[:, None])
        return torch.cat([frames.mean(-1), frames.std(-1)], dim=-1)


def make() -> Small:
    """The model, for ``--model``."""
    return Small()


def write_corpus(folder: Path, utterances: int) -> None:
    """Write utterances of the bundled corpus again and again, each at another speed and level."""
    bundled = open_corpus("bundled").utterances
    for number in range(utterances):
        utterance = bundled[number % len(bundled)]
        turn = number // len(bundled)
        waveform = resample_poly(load_audio(utterance, RATE), 100, SPEEDS[turn % len(SPEEDS)])
        level = 0.5 * 0.97**turn / max(np.abs(waveform).max(), 1e-9)
        file = folder / str(utterance.speaker) / f"{number:06d}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, level * waveform, RATE)


def swept(corpus: Path, out: Path, memory: str, keys: int) -> tuple[list[int], float]:
    """Sweep the corpus; the largest PSS of the caller and of each worker, the largest first, and the seconds."""
    command = f"sweep --model benchmarks.long_corpus:make --corpus {corpus} --recordings synthetic --replicates 0"
    command += f" --device cpu --keys {keys} --workers 2 --media none --memory {memory} --out {out}"
    begin = perf_counter()
    caller = subprocess.Popen([sys.executable, "-m", "wrongkey", *command.split()], cwd=ROOT)
    largest: dict[int, int] = {}
    while caller.poll() is None:
        for process in _family(caller.pid):
            try:
                largest[process.pid] = max(largest.get(process.pid, 0), process.memory_full_info().pss)
            except psutil.Error:  # it has just ended
                continue
        sleep(EVERY)
    if caller.returncode:
        raise SystemExit(f"The sweep failed: {command}")
    return sorted(largest.values(), reverse=True), perf_counter() - begin


def _family(caller: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(caller), *psutil.Process(caller).children(recursive=True)]
    except psutil.Error:
        return []


def scores(out: Path) -> pd.DataFrame:
    """All score rows, in order."""
    table = pd.concat(pd.read_parquet(file) for file in sorted((out / "scores").glob("*.parquet")))
    return table.sort_values(["condition", "metric", "key_index"], ignore_index=True)


def main() -> None:
    """Measure and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=2000)
    parser.add_argument("--keys", type=int, default=8)
    add_json(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "speech"
        write_corpus(corpus, options.utterances)
        segments = options.utterances * PIECES * PIECE * 4
        print(f"{options.utterances:,} utterances, {segments / 1e6:,.0f} MB of segments")
        found, rows = [], list[list[str]]()
        first: tuple[int, float] | None = None
        for name, memory in (("in memory", "1TB"), ("mapped", "0")):
            out = Path(folder) / memory
            sizes, seconds = swept(corpus, out, memory, options.keys)
            found.append(scores(out))
            each = ", ".join(f"{size / 1e6:,.0f}" for size in sizes[:4])
            print(f"{name}: largest PSS of each process {each} MB; {seconds:.0f} s", flush=True)
            first = first or (sum(sizes), seconds)
            ratios = (f"{sum(sizes) / first[0]:.2f}", f"{seconds / first[1]:.2f}")
            rows.append([name, each, f"{seconds:.0f}", *ratios])
    note = (
        f"{options.utterances:,} utterances, {segments / 1e6:,.0f} MB of segments, a caller and two workers; scores "
        f"equal bit for bit: {'yes' if found[0].equals(found[1]) else 'no'}."
    )
    columns = ("segments", ">largest PSS of each process, MB", ">s", ">memory / in memory", ">time / in memory")
    show(options.json, Table(columns, rows, note))


if __name__ == "__main__":
    main()
