"""What `torch.compile` would gain and cost, beside the network as PyTorch runs it and as wrongkey asks it.

``python -m benchmarks.compiled [NETWORK …] [--whisper FOLDER] [--compilers default freezing any-batch] [--rows 112]``

For each network, at the batch size that is best for wrongkey's own way, milliseconds of a row:

- eager: PyTorch's own operators;
- packed: as wrongkey asks it, by `wrongkey.evaluation.models.packed_linear` where the network has such layers;
- compiled: by inductor with its default settings; with `freezing`, without which it packs no weights (in float32 for
  MKL); and frozen for any batch, where it packs them for oneDNN (torch/_inductor/fx_passes/mkldnn_fusion.py; of a batch
  of one row it makes a fixed one);
- bfloat16, eager, where the processor multiplies in it (AVX512_BF16 or AMX).

The compiler's seconds are those of the first call, by the clock, with an empty cache, and less the first call of a
trivial function before it: what the compiler itself takes to start stands below the table. It pays after the keys in
which the seconds are won back, of the faster of eager and packed, where a key asks about so many rows. Compiled answers
must be the eager ones. One core, one thread; each number is the best of several calls, in alternation with the others.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch._inductor.utils import fresh_inductor_cache

from benchmarks.networks import BATCHES, Network, best, networks, rows_of, unpacked
from benchmarks.tables import Table, add_json, show
from wrongkey.errors import in_one_line
from wrongkey.evaluation.hardware import TOLERANCE, keep_freed_memory
from wrongkey.evaluation.models.modules import copied, move
from wrongkey.evaluation.models.packed_linear import PACKS, PackedLinear

COMPILERS: dict[str, dict[str, Any]] = {
    "default": {"dynamic": False},
    "freezing": {"dynamic": False, "options": {"freezing": True}},
    "any-batch": {"dynamic": True, "options": {"freezing": True}},
}
NETWORKS = ("asv-raw10", "asr-words", "rawnext")
UTTERANCES = 112  # of the bundled corpus
ROUNDS = 3
NONE = "–"
Ask = Callable[[], Any]


def main() -> None:
    """Write the table."""
    options = _options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    keep_freed_memory()
    compilers = options.compilers if shutil.which(os.environ.get("CXX", "g++")) else []
    note = f"A key asks about {options.rows} rows."
    if compilers:
        _, started = _compiled(torch.sin, torch.zeros(1), COMPILERS["default"])
        note = f"{note} torch.compile takes {started:.0f} s to start in a process, before the first network."
    else:
        note = f"{note} Nothing was compiled: there is no C++ compiler (g++, or the one that CXX names)."
    rows = []
    for one in networks(options.networks, options.whisper):
        rows.append(_row(one, compilers, options))
        print(*rows[-1], flush=True)
    columns = ["network", ">rows a pass", ">eager, ms a row", ">packed"]
    for name in compilers:
        columns += [f">compiled ({name})", ">compiler, s", ">pays after keys"]
    show(options.json, Table([*columns, ">bfloat16"], rows, note))


@torch.inference_mode()  # not where networks are made: weights made in it are not packed
def _row(one: Network, compilers: list[str], options: argparse.Namespace) -> list[str]:
    batch = min(BATCHES, key=lambda b: best(partial(one.ask, rows_of(one.row, b)), options.least) / b)
    x = rows_of(one.row, batch)
    ways: dict[str, Ask] = {"eager": partial(one.ask, x)}
    if PACKS and any(isinstance(layer, PackedLinear) for layer in _layers(one)):
        ways["packed"] = partial(one.ask, x)
    taken, failed = {}, {}
    for name in compilers:
        try:
            ways[name], taken[name] = _compiled(one.ask, x, COMPILERS[name])
        except Exception as error:  # a compiler may fail in any way: the others are measured
            failed[name] = f"fails ({type(error).__name__})"
            print(f"{one.name}, {name}: {in_one_line(error)}", flush=True)
        else:
            with unpacked():
                _check_same(f"{one.name}, {name}", ways[name](), ways["eager"]())
    if _multiplies_in_bfloat16():
        ways["bfloat16"] = _in_bfloat16(one, x)
    measured: dict[str, float] = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            with _as_measured(name):
                measured[name] = min(measured[name], best(way, options.least) / batch)
    cells = [one.name, f"{batch}", _ms(measured, "eager"), _ms(measured, "packed")]
    own = min(measured["eager"], measured.get("packed", float("inf")))
    for name in compilers:
        if name in failed:
            cells += [failed[name], NONE, NONE]
            continue
        won = options.rows * (own - measured[name])  # seconds of each key
        pays = f"{ceil(taken[name] / won):,}" if won > 0 else "never"
        cells += [_ms(measured, name), f"{taken[name]:.1f}", pays]
    return [*cells, _ms(measured, "bfloat16")]


def _ms(measured: dict[str, float], name: str) -> str:
    return f"{1e3 * measured[name]:.2f}" if name in measured else NONE


def _layers(one: Network) -> Iterator[nn.Module]:
    network: nn.Module = one.model.network
    return network.modules()


def _compiled(ask: Callable[[Tensor], Any], x: Tensor, settings: dict[str, Any]) -> tuple[Ask, float]:
    """The function compiled for such a batch, and the seconds of its first call, where no kernel is kept from before.

    It is to be asked as it was compiled: without packed layers, which no compiler sees through.
    """
    torch._dynamo.reset()
    compiled = partial(torch.compile(ask, **settings), x)
    with fresh_inductor_cache(), unpacked():  # type: ignore[no-untyped-call,unused-ignore]
        begin = perf_counter()
        compiled()
        return compiled, perf_counter() - begin


def _as_measured(name: str) -> AbstractContextManager[Any]:
    """Only what is called packed has packed layers."""
    return nullcontext() if name == "packed" else unpacked()


def _check_same(name: str, found: Tensor, eager: Tensor) -> None:
    """Raises SystemExit where compiled answers differ by more than rounding."""
    difference = float((found - eager).abs().max() / eager.abs().max())
    if not difference < TOLERANCE["float32"]:
        raise SystemExit(f"{name}: compiled answers differ from the eager ones by {difference:.1e} of the largest.")


def _multiplies_in_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _in_bfloat16(one: Network, x: Tensor) -> Ask:
    model = copied(one.model)
    move(model, None, torch.bfloat16)
    return partial(getattr(model, one.way), x.bfloat16())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*NETWORKS], help="bundled models and rawnext")
    parser.add_argument("--whisper", type=Path, help="folder of a Whisper checkpoint, whose encoder is asked")
    parser.add_argument("--compilers", nargs="+", choices=COMPILERS, default=[*COMPILERS])
    parser.add_argument("--rows", type=int, default=UTTERANCES, help="that a key asks about")
    parser.add_argument("--least", type=float, default=0.2, help="seconds of a measurement")
    add_json(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
