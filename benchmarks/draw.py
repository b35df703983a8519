"""How fast keys are drawn: ``python benchmarks/draw.py``. Ratios to one batched QR of the same size in the same run."""

from __future__ import annotations

from time import perf_counter

import torch

from wrongkey.keys import draw_keys

CASES = (("rom", 100, 1_000), ("rom", 3, 100_000), ("shuffling", 100, 10_000), ("flipping", 100, 10_000))


def main() -> None:
    """Print the ratios."""
    torch.linalg.qr(torch.randn(10, 10, 10, dtype=torch.float64))  # warm up
    for scheme, size, count in CASES:
        begin = perf_counter()
        draw_keys(scheme, size, 0, 0, count)
        drawn = perf_counter() - begin
        matrices = torch.randn(count, size, size, dtype=torch.float64)
        begin = perf_counter()
        torch.linalg.qr(matrices)
        factorised = perf_counter() - begin
        print(f"{count:,} {scheme} keys of N = {size}: {drawn:.2f} s, {drawn / factorised:.2f} x a batched QR")


if __name__ == "__main__":
    main()
