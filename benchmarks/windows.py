"""What overlapping windows cost and what they show of the key: the tables of docs/windows.md.

    python benchmarks/windows.py cost [--keys 50]
    python benchmarks/windows.py shown --corpus kaldi:DIR [--utterances 8] [--kernel 10 --stride 5]

`cost` asks a model whose first layer has kernel 10 and stride 5, on the bundled voices, under keys of windows and under
keys of lifted blocks of 10 samples in turn. `shown` overhears windows of speech under a ROM key and solves y_t V =
y_(t + 1) U.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["cost", "shown"])
    parser.add_argument("--model", default="tests.toys:overlapping")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--keys", type=int, default=50)
    parser.add_argument("--utterances", type=int, default=8)
    parser.add_argument("--kernel", type=int, default=10)
    parser.add_argument("--stride", type=int, default=5, help="a divisor of the kernel")
    options = parser.parse_args()
    if options.kernel % options.stride:
        parser.error("--stride must divide --kernel.")
    if options.table == "cost":
        cost(options.model, options.corpus, options.keys)
    else:
        shown(options.corpus, options.utterances, options.kernel, options.stride)


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

    from wrongkey.evaluation.corpora import load_audio, open_corpus
    from wrongkey.evaluation.spacing import evenly_spaced
    from wrongkey.keys import draw_keys
    from wrongkey.keys.windows import Windows

    windows = Windows(kernel, stride)
    spoken = evenly_spaced(open_corpus(corpus).utterances, utterances, begin="first")
    print("| samples stored in | singular value k + s | the next | ratio | key error but for s x s |")
    print("| :--- | ---: | ---: | ---: | ---: |")
    for bits in ("float64", "float32", "16 bit"):
        found = []
        for index, utterance in enumerate(spoken):
            (key,) = draw_keys("rom", kernel, 0, index, 1)
            speech = torch.from_numpy(load_audio(utterance, 16_000)).double()
            sent = stored(windows.cut(speech).numpy().reshape(-1, kernel) @ key, bits)
            values, recovered = solved(sent, stride)
            last, null = values[kernel + stride - 1] / values[0], values[kernel + stride] / values[0]
            found.append((last, null, last / null, key_error(recovered, key, stride)))
        print(f"| {bits} | {' | '.join(f'{value:.1e}' for value in np.median(found, axis=0))} |", flush=True)


def stored(sent: Matrix, bits: str) -> Matrix:
    """Ciphertext `(t, k)` as a file holds it: 16 bits span the largest sample."""
    if bits != "16 bit":
        return sent.astype(bits).astype(np.float64)
    scale = 2**15 / np.abs(sent).max()
    return np.round(sent * scale) / scale


def solved(sent: Matrix, stride: int) -> tuple[Matrix, Matrix]:
    """Singular values of (y_t, -y_(t + 1)), and a key that agrees with its null space.

    The null space holds (V, U), the last and the first k - s columns of the transposed key, up to one orthogonal matrix
    on their right, which V Uᵀ = Kᵀ S K does not see: S moves a window's samples s on. What is orthogonal to its range,
    the span of Kᵀ e_j for j < s, is known but for s x s; its images under Kᵀ S K are the other rows of the key.
    """
    kernel = sent.shape[1]
    _, values, rows = np.linalg.svd(np.hstack([sent[:-1], -sent[1:]]), full_matrices=False)
    null = rows[kernel + stride :].T * np.sqrt(2)
    shift = null[:kernel] @ null[kernel:].T  # Kᵀ S K
    first = np.linalg.svd(shift)[0][:, kernel - stride :]  # nothing is moved there
    chain = [first]
    while len(chain) * stride < kernel:
        chain.append(shift @ chain[-1])
    return values, np.hstack(chain)[:, :kernel].T


def key_error(recovered: Matrix, key: Matrix, stride: int) -> float:
    """Relative error of a key after the best orthogonal matrix of s x s, the same for every s of its rows."""
    pairs = zip(np.split(recovered, len(key) // stride), np.split(key, len(key) // stride), strict=True)
    left, _, right = np.linalg.svd(sum((mine @ theirs.T for mine, theirs in pairs), np.zeros((stride, stride))))
    turned = np.kron(np.eye(len(key) // stride), left @ right).T @ recovered
    return float(np.linalg.norm(turned - key) / np.linalg.norm(key))


if __name__ == "__main__":
    main()
