"""Phase reconstruction beside pghipy and tifresi: quality in dB, and time as ratios measured side by side.

``python -m benchmarks.phase [--corpus SPEC] [--utterances N] [--repeats N]`` prints a Markdown table: medians over
utterances, of the best of some repeats each, after one to compile. A library that is not installed is left out.

Ours and pghipy's integration read the same magnitudes. tifresi has its own transform, of the same hop and channels and
nearly the same window (a truncated Gaussian); its time is from a magnitude to a signal, and so is ours beside it.
Spectral convergence is that of each one's own transform; lower is better.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.tables import Table, add_json, show
from wrongkey.attacks.analyses.phase.gabor import Lattice, TorchGabor
from wrongkey.attacks.analyses.phase.pghi import pghi, pghi_phase
from wrongkey.attacks.analyses.phase.scores import spectral_convergence
from wrongkey.attacks.harness.listeners import RATE, chosen
from wrongkey.evaluation.corpora import load_audio, open_corpus

Array = NDArray[np.float64]
GABOR = TorchGabor(Lattice())
HOP, CHANNELS = GABOR.lattice.hop, GABOR.lattice.channels


def best(function: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def convergence(magnitude: Array, target: Array) -> float:
    """Spectral convergence in dB; lower is better."""
    return float(20 * np.log10(np.linalg.norm(magnitude - target) / np.linalg.norm(target)))


def pghipy_row(waveform: Array, repeats: int) -> dict[str, float]:
    """Our integration beside pghipy's, on the same magnitudes."""
    import pghipy

    magnitude = GABOR.analyse(torch.from_numpy(waveform)).abs()
    rows = np.ascontiguousarray(magnitude.numpy().T)

    def phase() -> Array:
        found: Array = pghipy.pghi(rows, CHANNELS, HOP, float(GABOR.lattice.gamma)).T
        return found

    bins, frames = np.ogrid[: GABOR.lattice.bins, : magnitude.shape[1]]
    turned = phase() - np.pi * bins - 2 * np.pi * (HOP * bins * frames % CHANNELS) / CHANNELS
    theirs = GABOR.synthesise(torch.polar(magnitude, torch.from_numpy(turned)), len(waveform))
    ours = pghi(magnitude, GABOR, len(waveform))
    return {
        "ours dB": spectral_convergence(ours, magnitude, GABOR),
        "theirs dB": spectral_convergence(theirs, magnitude, GABOR),
        "time": best(lambda: pghi_phase(magnitude, GABOR), repeats) / best(phase, repeats),
    }


def tifresi_row(waveform: Array, repeats: int) -> dict[str, float]:
    """Our reconstruction beside tifresi's, each with its own transform."""
    from tifresi.stft import GaussTruncTF

    magnitude = GABOR.analyse(torch.from_numpy(waveform)).abs()
    transform = GaussTruncTF(hop_size=HOP, stft_channels=CHANNELS)
    filled = np.pad(waveform, (0, GABOR.lattice.length(len(waveform)) - len(waveform)))
    own = transform.spectrogram(filled, normalize=True)  # its gradient needs a maximum of one
    ours, theirs = pghi(magnitude, GABOR, len(waveform)), transform.invert_spectrogram(own)
    return {
        "ours dB": spectral_convergence(ours, magnitude, GABOR),
        "theirs dB": convergence(np.abs(transform.dgt(theirs)), own),
        "time": best(lambda: pghi(magnitude, GABOR, len(waveform)), repeats)
        / best(lambda: transform.invert_spectrogram(own), repeats),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="bundled", help="as for 'wrongkey sweep'")
    parser.add_argument("--utterances", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    add_json(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = open_corpus(options.corpus)
    speech = [load_audio(u, RATE).astype(np.float64) for u in chosen(corpus, options.utterances, per_speaker=1)]
    cells = []
    for name, row in (("pghipy", pghipy_row), ("tifresi", tifresi_row)):
        if find_spec(name) is None:
            cells.append([name, "not installed", "", ""])
            continue
        rows = [row(waveform, options.repeats) for waveform in speech]
        middle = {metric: float(np.median([r[metric] for r in rows])) for metric in rows[0]}
        levels = (f"{middle[side]:.2f} dB" for side in ("ours dB", "theirs dB"))
        cells.append([f"{name} {version(name)}", *levels, f"{middle['time']:.2f}"])
    columns = ("beside", ">spectral convergence, ours", ">theirs", ">our time / theirs")
    note = f"{options.corpus}, {len(speech)} utterances, the best of {options.repeats} repeats each; medians."
    show(options.json, Table(columns, cells, note))


if __name__ == "__main__":
    main()
