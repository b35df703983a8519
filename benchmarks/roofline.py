"""How near the networks come to what one core can do.

``python -m benchmarks.roofline [NETWORK …] [--whisper FOLDER]``

For each bundled model, RawNeXt at its published size (random weights) and, where a folder is given, Whisper's encoder:

- operations of one row (a segment; torch.utils.flop_counter), and the bytes that its operators read and write if
  nothing stays in a cache;
- the time of a row at the best of a few batch sizes, and so the rate;
- the rate of matrix products alone, of the very shapes that the network needs: each convolution, linear layer and
  attention as the product that it comes down to, its operands laid out as a product likes them best, by the faster of
  PyTorch's two libraries: the BLAS (MKL) of `torch.mm`, and oneDNN with packed weights.
  The share reached is that time beside the network's own; that of the BLAS alone stands beside it, since eager linear
  layers use no other. What is missing is everything else: copies, activations, normalisation.

The largest rate of all, of a square product that fits a cache, and the rate of a copy in memory are measured first.
One core, one thread, float32; the best of several measurements each.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.networks import BATCHES, best, networks, rows_of, unpacked
from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation.hardware import keep_freed_memory
from wrongkey.evaluation.models import packed_linear
from wrongkey.evaluation.models.offered import BUNDLED

SQUARE = 512  # rows of the product that shows the core's largest rate
COPIED = 2**26  # float32 entries of the copy: 256 MB, which no cache holds
COLUMNS = (
    *("network", ">rows", ">operations, GFLOP a row", ">bytes, MB a row", ">operations a byte", ">ms a row"),
    *(">GFLOP/s", ">products alone, GFLOP/s", ">share reached", ">of the BLAS's"),
)
Product = tuple[int, int, int, int]  # (b, m, k) @ (b, k, n)
aten = torch.ops.aten


class _Least:
    """How long a measurement takes at least."""

    seconds = 0.2


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call,unused-ignore]
    """The matrix products within a block, by shape, and the bytes that all its operators read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.products: Counter[Product] = Counter()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, and note it; where no gradients are kept, linear layers arrive whole and are taken apart."""
        with self:
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        found = func(*args, **(kwargs or {}))
        read, made = _tensors((args, kwargs)), _tensors(found)
        if not func.is_view:
            self.bytes += sum(one.numel() * one.element_size() for one in (*read, *made))
        if (product := _product(func.overloadpacket, args, found)) is not None:
            self.products[product] += 1
        return found


def _product(operator: Any, args: Any, found: Any) -> Product | None:
    """The product that an operator comes down to; None for others."""
    if operator in (aten.addmm, aten.baddbmm):
        args = args[1:]
    if operator in (aten.mm, aten.addmm):
        return 1, *args[0].shape, args[1].shape[1]
    if operator in (aten.bmm, aten.baddbmm):
        return *args[0].shape, args[1].shape[2]
    if operator is aten.convolution:
        x, weight, groups = args[0], args[1], args[8]
        transposed = args[6]
        places = len(x) * prod((x if transposed else found).shape[2:])
        if transposed:  # every input place gives a kernel of outputs
            return groups, prod(weight.shape[1:]), weight.shape[0] // groups, places
        return groups, weight.shape[0] // groups, prod(weight.shape[1:]), places
    return None


def _tensors(tree: Any) -> list[Tensor]:
    return [one for one in tree_leaves(tree) if isinstance(one, Tensor)]


def main() -> None:
    """Write the table."""
    options = _options()
    _Least.seconds = options.least
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    keep_freed_memory()  # as a sweep does
    a, b = torch.randn(SQUARE, SQUARE), torch.randn(SQUARE, SQUARE)
    blas, peak = (2 * SQUARE**3 / _best(way) / 1e9 for way in (lambda: a @ b, _packed(a, b)))
    source, target = torch.zeros(COPIED), torch.empty(COPIED)
    copied = 8 * COPIED / _best(lambda: target.copy_(source)) / 1e9
    note = (
        f"One core's largest rate, in a product of {SQUARE} x {SQUARE}: {blas:.0f} GFLOP/s by the BLAS, {peak:.0f} by "
        f"oneDNN with packed weights; a copy in memory moves {copied:.1f} GB/s."
    )
    print(note, flush=True)
    rows = []
    for one in networks(options.networks, options.whisper):
        rows.append(_row(one.name, one.ask, one.row))
        print(*rows[-1], flush=True)
    show(options.json, Table(COLUMNS, rows, note))


@torch.inference_mode()  # not where networks are made: weights made in it are not packed
def _row(name: str, ask: Callable[[Tensor], Any], row: Tensor) -> list[str]:
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), unpacked():
        ask(row)
    operations = counter.get_total_flops()
    taken, batch = min((_best(partial(ask, rows_of(row, b))) / b, b) for b in BATCHES)
    with Operators() as operators, sdpa_kernel(SDPBackend.MATH), unpacked():
        ask(rows_of(row, batch))
    seconds = {shape: (count, *_multiplied(shape)) for shape, count in operators.products.items()}
    blas = sum(count * slower for count, slower, _ in seconds.values()) / batch
    products = sum(count * faster for count, _, faster in seconds.values()) / batch
    counted = sum(count * 2 * prod(shape) for shape, count in operators.products.items()) / batch
    if not 0.99 < counted / operations < 1.01:
        raise SystemExit(
            f"{name} makes {counted:,.0f} operations in products of {operations:,} in all: teach _product."
        )
    moved = operators.bytes / batch
    return [
        *(name, f"{batch}", f"{operations / 1e9:.3f}", f"{moved / 1e6:.1f}", f"{operations / moved:.1f}"),
        *(f"{1e3 * taken:.2f}", f"{operations / taken / 1e9:.1f}", f"{counted / products / 1e9:.1f}"),
        *(f"{100 * products / taken:.0f} %", f"{100 * blas / taken:.0f} %"),
    ]


def _multiplied(shape: Product) -> tuple[float, float]:
    """Seconds of a product by the BLAS, and by the faster of both libraries; each in the faster of the two orders.

    The orders: rows of the left operand, or those of the right one, first.
    """
    groups, m, k, n = shape
    left, right = torch.randn(groups, m, k), torch.randn(groups, k, n)
    out, mirrored = torch.empty(groups, m, n), torch.empty(groups, n, m)
    other = torch.randn(groups, n, k), torch.randn(groups, k, m)
    ways: list[Callable[[], Tensor]] = [
        lambda: torch.bmm(left, right, out=out),
        lambda: torch.bmm(*other, out=mirrored),
    ]
    blas = min(map(_best, ways))
    if groups > 1:  # oneDNN packs one matrix
        return blas, blas
    return blas, min(blas, *(_best(_packed(*pair)) for pair in ((left[0], right[0]), (other[0][0], other[1][0]))))


def _packed(left: Tensor, right: Tensor) -> Callable[[], Tensor]:
    """The product `(m, k) @ (k, n)` by oneDNN, the right operand packed beforehand; by the BLAS where it packs none."""
    if not packed_linear.PACKS:
        return lambda: left @ right
    weight = torch.ops.mkldnn._reorder_linear_weight(right.t().contiguous(), len(left))
    return lambda: torch.ops.mkldnn._linear_pointwise(left, weight, None, "none", [], "")


def _best(work: Callable[[], Any]) -> float:
    return best(work, _Least.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*BUNDLED, "rawnext"], help="bundled models and rawnext (all)")
    parser.add_argument("--whisper", type=Path, help="folder of a Whisper checkpoint")
    parser.add_argument("--least", type=float, default=_Least.seconds, help="seconds of a measurement")
    add_json(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
