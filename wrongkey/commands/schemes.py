"""``wrongkey schemes``: the schemes and options that can be named, or what one of them is."""

from __future__ import annotations

import argparse
from typing import Any

from wrongkey.flags import add_json
from wrongkey.terminal import answer, say


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser("schemes", help="list schemes and options, or describe one")
    parser.add_argument("name", nargs="?", help="describe this scheme, with its options")
    parser.add_argument("--block", type=int, default=10, metavar="M", help="block size of the description (default 10)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the list, or what one scheme is."""
    if options.name:
        facts = _facts(options.name, options.block)
        shown = {**facts, "bits": "a continuum of unknown volume" if facts["bits"] is None else facts["bits"]}
        answer(facts) if options.json else say(*(f"{name:12} {value}" for name, value in shown.items()))
        return 0
    from wrongkey.keys.spec import BASES, OPTIONS

    if options.json:
        answer(
            {
                "bases": {name: base.meaning for name, base in BASES.items()},
                "options": {name: {"value": one.value, "meaning": one.meaning} for name, one in OPTIONS.items()},
            }
        )
        return 0
    for name, base in BASES.items():
        say(f"{name:20} {base.meaning}")
    say("package.module:name   your own, see docs/extending.md", "Options follow a scheme, each after a plus sign:")
    for name, option in OPTIONS.items():
        say(f"+{name + (f'={option.value}' if option.value else ''):19} {option.meaning}")
    say("For example: rom+turns=4, shuffling+signs=8, rom+nonce (docs/schemes.md).")
    return 0


def _facts(name: str, block_size: int) -> dict[str, Any]:
    from wrongkey.keys import get_scheme
    from wrongkey.keys.blocks import check_block
    from wrongkey.keys.labels import scheme_label
    from wrongkey.keys.volume import countable_bits

    check_block(block_size, 1)
    scheme = get_scheme(name)
    size = scheme.span * block_size
    bits = countable_bits(scheme, size)  # None of a continuum of unknown volume
    return {
        "name": scheme.name,
        "label": scheme_label(scheme.name),
        "group": scheme.group.value,
        "blocks": scheme.span,
        "block size": block_size,
        "size": size,
        "bits": None if bits is None else round(bits, 1),
    }
