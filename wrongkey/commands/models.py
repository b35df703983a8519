"""``wrongkey models``: the models that can be named, or the card of one."""

from __future__ import annotations

import argparse
from typing import Any

from wrongkey.terminal import say


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser("models", help="list models, or print a model card")
    parser.add_argument("name", nargs="?", help="print the card of this bundled model")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the list of models, or one card."""
    from wrongkey.evaluation.models.offered import BUNDLED, LOADERS
    from wrongkey.evaluation.models.registry import model_card, registered

    if options.name:
        say(*model_card(options.name).splitlines())
        return 0
    for name, (task, _) in BUNDLED.items():
        say(f"{name:14} bundled, {task}; its card: wrongkey models {name}")
    for prefix, (_, what) in LOADERS.items():
        say(f"{prefix + ':…':14} {what}")
    for name in registered():
        say(f"{name:14} registered by an installed package")
    say("package.module:factory  your own, see docs/extending.md")
    return 0
