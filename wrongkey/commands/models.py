"""``wrongkey models``: the models at hand, or the card of one."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("models", help="list models, or print a model card")
    parser.add_argument("name", nargs="?", help="print the card of this bundled model")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from evaluation.models.protocol import BUNDLED, model_card, registered

    if options.name:
        print(model_card(options.name))
        return 0
    for name in BUNDLED:
        print(f"{name:12} bundled speaker verification, first layer kernel = stride = {name.removeprefix('asv-raw')}")
    print("rawnext:FILE a RawNeXt checkpoint (Kim et al., 2022), kernel = stride = 3")
    for name in registered():
        print(f"{name:12} registered by an installed package")
    print("package.module:factory  your own, see docs/extending.md")
    return 0
