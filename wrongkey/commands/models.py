"""``wrongkey models``: the models that can be named, or the card of one. Imports no torch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from wrongkey.flags import add_json
from wrongkey.terminal import answer, say


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser("models", help="list models, or print a model card")
    parser.add_argument("name", nargs="?", help="print the card of this bundled model")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the list of models, or one card."""
    from wrongkey.evaluation.models.offered import BUNDLED, LOADERS, model_card, registered

    if options.name:
        card = model_card(options.name)
        if options.json:
            answer({"name": options.name, "card": card, **_measured(options.name)})
        else:
            say(*card.splitlines())
        return 0
    bundled = {name: {"task": task, **_measured(name)} for name, (task, _) in BUNDLED.items()}
    if options.json:
        adapters = {prefix: what for prefix, (_, what) in LOADERS.items()}
        answer({"bundled": bundled, "adapters": adapters, "registered": registered()})
        return 0
    for name, about in bundled.items():
        size = f"{about['parameters']:,} parameters, {about['weights_bytes'] / 1e6:.1f} MB"
        say(f"{name:14} bundled, {about['task']}, {size}; its card: wrongkey models {name}")
    for prefix, (_, what) in LOADERS.items():
        say(f"{prefix + ':…':14} {what}")
    for name in registered():
        say(f"{name:14} registered by an installed package")
    say("package.module:factory  your own, see docs/extending.md")
    return 0


def _measured(name: str) -> dict[str, Any]:
    """What was measured of a bundled model, as it lies beside its weights."""
    from wrongkey.evaluation.models.offered import WEIGHTS

    measured: dict[str, Any] = json.loads(Path(WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    return measured
