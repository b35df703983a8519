"""What keys that change cost the model holder: the table of docs/derived-keys.md.

    python benchmarks/derived_keys.py [--passes 200] [--seconds 10 --schedule 1]

For each first layer: the milliseconds that encrypting it anew takes for a nonce and for a schedule, and those that it
takes to answer a query of --seconds: plain, under one key, and under the schedule. Medians of passes side by side.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import torch
from torch import nn

from wrongkey.evaluation.derived_keys import layer_for_request
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.model import first_layer
from wrongkey.keys.seed_key import SeedKey, new_nonce

RATE, FRAMES = 16_000, 100  # samples, and frames of asr-words, per second


def main() -> None:
    """Print a row for each layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the query")
    parser.add_argument("--schedule", type=float, default=1.0, help="seconds for which a matrix is used")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    samples, frames = int(asked.seconds * RATE), int(asked.seconds * FRAMES)
    layers = {
        "asv-raw10 (Conv1d 10/10)": (_of("asv-raw10"), KeyCut("samples", 10), torch.randn(1, 1, samples), RATE),
        "asv-raw3 (Conv1d 3/3)": (_of("asv-raw3"), KeyCut("samples", 3), torch.randn(1, 1, samples), RATE),
        "asr-words (Conv2d 3/3, tiles)": (
            _of("asr-words"), KeyCut("tiles", 3), torch.randn(1, 1, 48, frames // 3 * 3), FRAMES,
        ),
        "Conv1d 10/5, 512 channels (as HuBERT's)": (
            nn.Conv1d(1, 512, 10, stride=5, bias=False), KeyCut("samples", 10), torch.randn(1, 1, samples), RATE,
        ),
    }  # fmt: skip
    slots = round(asked.seconds / asked.schedule)
    heads = [
        "first layer",
        "M",
        "nonce, ms",
        f"{slots} slots, ms",
        "plain, ms",
        "one key, ms",
        f"under {slots} slots, ms",
    ]
    print("| " + " | ".join([*heads, "slots / plain", "slots / one key"]) + " |\n" + "|---" * 9 + "|")
    for name, (layer, cut, query, rate) in layers.items():
        print(row(name, layer, cut, query, rate, asked.schedule, asked.passes), flush=True)


def row(
    name: str, layer: nn.Module, cut: KeyCut, query: torch.Tensor, rate: float, schedule: float, passes: int
) -> str:
    """The table's row of one layer."""
    of_nonce = SeedKey.from_seed("rom+nonce", cut.block_size, seed=0, dims=cut.dims)
    of_slots = SeedKey.from_seed(f"rom+schedule={schedule:g}+nonce", cut.block_size, seed=0, dims=cut.dims)
    whole = of_nonce.derived.slots(cut.steps, rate, query.shape[-1])
    timetable = of_slots.derived.slots(cut.steps, rate, query.shape[-1])
    under_one = layer_for_request(layer, of_nonce, cut, whole, new_nonce())
    under_slots = layer_for_request(layer, of_slots, cut, timetable, new_nonce())
    seconds = side_by_side(
        {
            "nonce": lambda: layer_for_request(layer, of_nonce, cut, whole, new_nonce()),
            "slots": lambda: layer_for_request(layer, of_slots, cut, timetable, new_nonce()),
            "plain": lambda: layer(query),
            "one key": lambda: under_one(query),
            "under slots": lambda: under_slots(query),
        },
        passes,
    )
    ratios = (seconds["under slots"] / seconds[other] for other in ("plain", "one key"))
    cells = [name, str(cut.block_size), *(f"{1000 * each:.2f}" for each in seconds.values())]
    return "| " + " | ".join([*cells, *(f"{ratio:.1f}" for ratio in ratios)]) + " |"


@torch.inference_mode()
def side_by_side(calls: Mapping[str, Callable[[], object]], passes: int) -> dict[str, float]:
    """Median seconds of each call, the calls taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(passes):
        for name, call in calls.items():
            begin = perf_counter()
            call()
            taken[name].append(perf_counter() - begin)
    return {name: median(each) for name, each in taken.items()}


def _of(model: str) -> nn.Module:
    opened = open_model(model)
    return first_layer(opened.network, opened.first_layer)


if __name__ == "__main__":
    main()
