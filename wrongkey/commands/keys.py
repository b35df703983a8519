"""``wrongkey keys``: draw a secret key, show a key file, count a key space."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import BLOCKS
from wrongkey.files import user_path
from wrongkey.flags import add_json, scheme_name
from wrongkey.terminal import answer, conclude, say

if TYPE_CHECKING:
    from wrongkey.keys import SeedKey


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser("keys", help="draw, show and count keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    draw = actions.add_parser("draw", help="a new secret key from the operating system's entropy")
    _add_block(draw)
    draw.add_argument("-o", "--out", type=user_path, required=True, help="key file, .npz or .safetensors, mode 0600")
    draw.add_argument(
        "--seed", type=int, help="a reproducible key for experiments; anyone who knows the seed knows the key"
    )
    draw.add_argument("--index", type=int, help="number of an incorrect key of that seed (default: the correct one)")
    draw.add_argument("--overwrite", action="store_true", help="replace an existing key file")
    draw.set_defaults(run=run_draw)

    show = actions.add_parser("show", help="what a key file holds (not the secret itself)")
    show.add_argument("file", type=user_path)
    show.add_argument("--matrix", action="store_true", help="print the secret matrix, or seed, as well")
    add_json(show)
    show.set_defaults(run=run_show)

    space = actions.add_parser("space", help="how many keys there are (paper, section III-C)")
    _add_block(space)
    space.add_argument("--tolerance", type=float, default=0.1, help="relative key error that tells ROM keys apart")
    add_json(space)
    space.set_defaults(run=run_space)


def _add_block(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheme", type=scheme_name, required=True, help="rom, flipping, rom+turns=4, …: see 'wrongkey schemes'"
    )
    parser.add_argument("--block", type=int, required=True, metavar="M", help="block size")
    parser.add_argument("--blocks", choices=BLOCKS, help="how the key cuts a query (default samples)")
    parser.add_argument("--dims", type=int, choices=[1, 2], help=argparse.SUPPRESS)  # as --blocks was called


def _dims(options: argparse.Namespace) -> int:
    """Dimensions of a block: 2 of tiles, 1 of samples and of frames."""
    dims = None if options.blocks is None else 2 if options.blocks == "tiles" else 1
    if None not in (dims, options.dims) and dims != options.dims:
        raise BadInput(f"--dims {options.dims} is not that of --blocks {options.blocks}: leave --dims out.")
    return dims or options.dims or 1


def run_draw(options: argparse.Namespace) -> int:
    """Draw a key and write its file."""
    from wrongkey.keys import SecretKey, SeedKey, get_scheme
    from wrongkey.keys.family import known_scheme

    if options.seed is None and options.index is not None:
        raise BadInput("--index numbers the keys of a seed: give --seed as well, or neither.")
    kind = SecretKey if get_scheme(options.scheme).derived is None else SeedKey
    if kind is SeedKey and known_scheme(options.scheme) is None:
        raise BadInput(
            f"The file of a seed names no module to import, so that no command could use a key of {options.scheme}: "
            "draw it in Python (wrongkey.keys.SeedKey)."
        )
    if options.seed is None:
        key = kind.draw(options.scheme, options.block, _dims(options))
    else:
        key = kind.from_seed(options.scheme, options.block, _dims(options), seed=options.seed, index=options.index)
    key.save(options.out, overwrite=options.overwrite)
    conclude(f"{options.out}: {key}")
    return 0


def run_show(options: argparse.Namespace) -> int:
    """Print what a key file holds; the matrix, or the seed, only with ``--matrix``."""
    import numpy as np

    from wrongkey.keys import SeedKey, load_key

    key = load_key(options.file)
    if isinstance(key, SeedKey):
        return _show_seed(key, options)
    identity = np.eye(key.size)
    measured = (
        {"residual": float(np.abs(key.matrix @ key.matrix.T - identity).max())}
        if key.orthogonal
        else {"condition": key.condition}
    )
    from_plain = float(np.linalg.norm(key.matrix - identity) / np.sqrt(key.size))
    if options.json:
        shown = {name: getattr(key, name) for name in ("scheme", "block_size", "dims", "span", "size", "checksum")}
        secret = {"matrix": key.matrix.tolist()} if options.matrix else {}
        answer({**shown, **measured, "from_plain": from_plain, **secret})
        return 0
    say(f"scheme       {key.scheme}")
    together = f", {key.span} blocks together" if key.span > 1 else ""
    say(f"block size   {key.block_size} ({key.dims}-D{together}, N = {key.size})")
    say(f"checksum     {key.checksum}")
    if key.orthogonal:
        say(f"residual     {measured['residual']:.1e} (largest entry of K Kt - I)")
    else:
        say(f"condition    {key.condition:.1f} (largest ratio of two singular values; the key is not orthogonal)")
    say(f"from plain   {from_plain:.3f} (|K - I| / sqrt N, 0 to 2)")
    if options.matrix:
        say(*np.array2string(key.matrix, precision=6, suppress_small=True, threshold=key.matrix.size + 1).splitlines())
    return 0


def _show_seed(key: SeedKey, options: argparse.Namespace) -> int:
    """Print what the file of a seed holds."""
    derived, secret = key.derived, key.seed.tobytes().hex()
    if options.json:
        shown = {name: getattr(key, name) for name in ("scheme", "block_size", "dims", "size", "checksum")}
        shown |= {"base": derived.base.name, "hold_seconds": derived.hold, "nonce": derived.nonce}
        answer({**shown, **({"seed": secret} if options.matrix else {})})
        return 0
    say(f"scheme       {key.scheme}")
    say(f"block size   {key.block_size} ({key.dims}-D, N = {key.size})")
    say(f"checksum     {key.checksum}")
    each = ["every nonce"] * derived.nonce + ([] if derived.hold is None else [f"every {derived.hold:g} s of a query"])
    say(f"matrices     of {derived.base.name}, another for {' and '.join(each)}, from a seed of 256 bits")
    if options.matrix:
        say(f"seed         {secret}")
    return 0


def run_space(options: argparse.Namespace) -> int:
    """Print the size of a key space."""
    from wrongkey.keys import get_scheme
    from wrongkey.keys.space import key_space

    space = key_space(options.scheme, options.block, _dims(options), options.tolerance)
    if options.json:
        answer(asdict(space))
        return 0
    say(f"{space.scheme}, M = {space.block_size}, {space.dims}-D, N = {space.size}")
    if space.count is not None:
        count = f"{space.count:,}" if space.bits < 64 else f"about 2^{space.bits:.1f}"
        say(f"{count} keys, {space.bits:.1f} bits")
    else:
        formula = "N(N - 1)/2 = " if space.dimension == space.size * (space.size - 1) // 2 else ""
        say(f"a continuum of dimension {formula}{space.dimension}")
        say(f"{space.bits:.1f} bits: keys that differ by {space.tolerance} in |K - K'| / sqrt N, one guess in 2^bits")
    if (derived := get_scheme(options.scheme).derived) is not None:
        one = key_space(derived.base, options.block, _dims(options), options.tolerance).bits
        say(f"the keys are seeds; the matrix of one nonce or slot is a {derived.base.name} key of {one:.1f} bits")
    return 0
