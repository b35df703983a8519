"""How fast keys are drawn: ``python -m benchmarks.draw``. Ratios to one batched QR of the same size in the same run."""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import torch

from benchmarks.tables import Table, add_json, show
from wrongkey.keys import draw_keys

CASES = (("rom", 100, 1_000), ("rom", 3, 100_000), ("shuffling", 100, 10_000), ("flipping", 100, 10_000))


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=int, default=1, help="draw one of so many keys")
    parser.add_argument("--rounds", type=int, default=3)
    add_json(parser)
    options = parser.parse_args()
    torch.linalg.qr(torch.randn(10, 10, 10, dtype=torch.float64))  # warm up
    rows = []
    for scheme, size, keys in CASES:
        count = max(1, keys // options.share)
        drawn, factorised = zip(*(_seconds(scheme, size, count) for _ in range(options.rounds)), strict=True)
        ratio = median(one / other for one, other in zip(drawn, factorised, strict=True))
        rows.append([scheme, f"{size}", f"{count:,}", f"{median(drawn):.2f}", f"{ratio:.2f}"])
    note = f"{torch.get_num_threads()} thread(s); medians of {options.rounds} rounds."
    show(options.json, Table(("scheme", ">N", ">keys", ">s", ">/ a batched QR"), rows, note))


def _seconds(scheme: str, size: int, count: int) -> tuple[float, float]:
    """Of drawing keys, and of as many QR factorisations."""
    begin = perf_counter()
    draw_keys(scheme, size, 0, 0, count)
    drawn = perf_counter() - begin
    matrices = torch.randn(count, size, size, dtype=torch.float64)
    begin = perf_counter()
    torch.linalg.qr(matrices)
    return drawn, perf_counter() - begin


if __name__ == "__main__":
    main()
