"""What overlapping windows cost and what they show of the key: the tables of docs/windows.md.

    python benchmarks/windows.py cost [--keys 50]
    python benchmarks/windows.py shown --corpus kaldi:DIR [--utterances 8] [--kernel 10 --stride 5]
    python benchmarks/windows.py attacked --corpus kaldi:DIR --only FILE [--schemes rom shuffling] [--seconds 5]

`cost` asks a model whose first layer has kernel 10 and stride 5, on the bundled voices, under keys of windows and under
keys of lifted blocks of 10 samples in turn. `shown` overhears windows of speech under a ROM key and solves y_t V =
y_(t + 1) U. `attacked` runs `shared-samples` on windows stored in 16 bits, with a speaker and key for each try.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["cost", "shown", "attacked"])
    parser.add_argument("--model", default="tests.toys:overlapping")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--keys", type=int, default=50)
    parser.add_argument("--utterances", type=int, default=8)
    parser.add_argument("--kernel", type=int, default=10)
    parser.add_argument("--stride", type=int, default=5, help="less than the kernel")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--schemes", nargs="+", default=["rom"])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--tries", type=int, default=31)
    options = parser.parse_args()
    windows = options.kernel, options.stride
    if not 0 < options.stride < options.kernel:
        parser.error("--stride must be less than --kernel.")
    if options.table == "cost":
        cost(options.model, options.corpus, options.keys)
    elif options.table == "shown":
        shown(options.corpus, options.utterances, *windows)
    else:
        for scheme in options.schemes:
            print(attacked(options.corpus, options.only, scheme, *windows, options.seconds, options.tries), flush=True)


def cost(model: str, corpus: str, count: int) -> None:
    """Seconds per key of the engine, and of the provider's encrypted model: windows and lifted blocks of one size."""
    import torch

    from wrongkey.evaluation.config import SweepConfig
    from wrongkey.evaluation.experiment import Experiment
    from wrongkey.evaluation.models.registry import open_model
    from wrongkey.evaluation.windows import windowed

    torch.set_num_threads(1)
    block = windowed(open_model(model)).block_size
    schemes = {"windows": "rom+windows", "lifted blocks": "rom"}
    asked = {
        name: Experiment(SweepConfig(model, corpus, scheme, block=block, replicates=0, device="cpu"))
        for name, scheme in schemes.items()
    }
    print("| sent | samples | engine, s per key | encrypted model, s | largest difference under the correct key |")
    print("| :--- | ---: | ---: | ---: | ---: |")
    for experiment in asked.values():
        experiment.tune()
    for _ in range(2):
        for name, experiment in asked.items():
            keys = experiment.incorrect.batch(0, count)
            begin = perf_counter()
            experiment.answers(keys)
            each = (perf_counter() - begin) / count
            begin = perf_counter()
            correct = experiment.explicit(experiment.correct)
            provider = perf_counter() - begin
            samples = sum(group.segments.numel() for group in experiment.engine.queries.groups)
            plain = experiment.plain()
            assert isinstance(plain, torch.Tensor) and isinstance(correct, torch.Tensor)
            difference = float((correct - plain).abs().max() / plain.abs().max())
            print(f"| {name} | {samples:,} | {each:.4f} | {provider:.3f} | {difference:.1e} |", flush=True)


def shown(corpus: str, utterances: int, kernel: int, stride: int) -> None:
    """How far the equations between neighbouring windows determine the key, by the bits of a sample."""
    import torch

    from wrongkey.attacks.solvers.window_chains import window_chains
    from wrongkey.evaluation.corpora import load_audio, open_corpus
    from wrongkey.evaluation.spacing import evenly_spaced
    from wrongkey.keys import draw_keys
    from wrongkey.keys.windows import Windows

    windows = Windows(kernel, stride)
    spoken = evenly_spaced(open_corpus(corpus).utterances, utterances, begin="first")
    print("| samples stored in | gap of the singular values | key error but for s x s |")
    print("| :--- | ---: | ---: |")
    for bits in ("float64", "float32", "16 bit"):
        found = []
        for index, utterance in enumerate(spoken):
            (key,) = draw_keys("rom", kernel, 0, index, 1)
            speech = torch.from_numpy(load_audio(utterance, 16_000)).double()
            chains = window_chains([stored(windows.cut(speech).numpy().reshape(-1, kernel) @ key, bits)], [stride])
            unknown = (key @ chains.basis)[:stride, :stride]
            error = np.linalg.norm(chains.merged(unknown) - key) / np.linalg.norm(key)
            found.append((chains.gap, float(error)))
        print(f"| {bits} | {' | '.join(f'{value:.1e}' for value in np.median(found, axis=0))} |", flush=True)


def attacked(corpus: str, only: Path | None, scheme: str, kernel: int, stride: int, seconds: float, tries: int) -> str:
    """A row of how often `shared-samples` finds the key of windows, and says so."""
    import torch

    from wrongkey.attacks.base import Case, Evidence, Setting
    from wrongkey.attacks.harness.scores import key_error
    from wrongkey.attacks.waveforms.shared_samples import SharedSamples
    from wrongkey.evaluation.corpora import load_audio, open_corpus
    from wrongkey.evaluation.metrics.signal_to_noise import snr
    from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
    from wrongkey.keys import draw_keys, get_scheme
    from wrongkey.keys.key_cut import KeyCut
    from wrongkey.keys.windows import Windows

    torch.set_num_threads(1)
    windows, opened = Windows(kernel, stride), open_corpus(corpus)
    heard = opened.only_listed(only) if only else opened
    setting = Setting(get_scheme(f"{scheme}+windows"), KeyCut("samples", kernel), 16_000 * windows.factor)
    found = []
    for number in range(tries):
        speaker = heard.speakers[number % len(heard.speakers)]
        speech = np.concatenate([load_audio(one, 16_000) for one in heard.utterances if one.speaker == speaker])
        plain = windows.cut(torch.from_numpy(speech[: int(seconds * 16_000)]).double()).numpy().reshape(-1, kernel)
        (key,) = draw_keys(setting.scheme, kernel, 0, number, 1)
        sent = torch.from_numpy(stored(plain @ key, "16 bit")).flatten()
        begin = process_time()
        recovery = SharedSamples().run(Evidence(setting, Case(), number, ciphertext=(sent,)))
        taken = process_time() - begin
        assert recovery.key is not None
        decrypted = sent.reshape(-1, kernel) @ torch.from_numpy(recovery.key.T)
        level = snr(torch.from_numpy(plain).flatten(), decrypted.flatten(), "samples")
        right = key_error(recovery.key, key, "samples") < RECOVERED or level >= DECRYPTED
        found.append((right, recovery.success_claimed is True, not right and recovery.success_claimed, level, taken))
    broken, claimed, false, levels, times = map(np.array, zip(*found, strict=True))
    low, middle, high = np.quantile(levels, [0.25, 0.5, 0.75])
    asked, counts = f"{scheme} | {kernel}, {stride} | {seconds:g} s", f"{broken.sum()} of {tries} | {claimed.sum()}"
    return f"| {asked} | {counts} | {false.sum()} | {middle:.0f} [{low:.0f}, {high:.0f}] | {np.median(times):.2f} |"


def stored(sent: Matrix, bits: str) -> Matrix:
    """Ciphertext `(t, k)` as a file holds it: 16 bits span the largest sample."""
    if bits != "16 bit":
        return sent.astype(bits).astype(np.float64)
    scale = 2**15 / np.abs(sent).max()
    return np.round(sent * scale) / scale


if __name__ == "__main__":
    main()
