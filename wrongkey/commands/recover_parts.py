"""``wrongkey recover`` where keys change: what each of them encrypted is attacked, reported and written by itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.commands.recovered_files import compared, cut_to_length, draw_spectrograms, write_wavs
from wrongkey.commands.seeds import SEGMENT
from wrongkey.errors import BadInput
from wrongkey.terminal import conclude

if TYPE_CHECKING:
    from wrongkey.attacks.recover_changing import Part, RecoveredParts


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be written, before any work."""
    if options.key_out:
        raise BadInput(
            f"--key-out {options.key_out}: a key of {options.scheme} is a seed, and attacks find matrices of its parts "
            "alone: leave --key-out out."
        )


def run(options: argparse.Namespace, outs: Sequence[Path], recordings: Sequence[Any], rate: int, original: Any) -> int:
    """Attack, print what came of it, and write the parts whose keys are believed; silence stands for the others."""
    from wrongkey.attacks.recover_changing import recover_changing
    from wrongkey.evaluation.corpora.audio import comment

    said = [SEGMENT.search(comment(file)) for file in options.files]
    segments = [int(one[1]) if one else None for one in said]
    found = recover_changing(recordings, rate, options.scheme, options.block, segments=segments)
    plain = [
        cut_to_length(file, _without_filling(samples, queries, segment))
        for file, samples, queries, segment in zip(
            options.files, found.plain(guesses=options.anyway), found.queries, segments, strict=True
        )
    ]
    score = None if original is None else compared(original, plain[0])
    written: dict[str, list[str]] = {"plain": [], "key": [], "figures": []}
    if found.success_claimed or options.anyway:
        written["plain"] = write_wavs(outs, plain, rate)
    if options.figures:
        written["figures"] = draw_spectrograms(
            options,
            f"{options.scheme}, M = {found.block_size}",
            found.success_claimed,
            recordings,
            plain,
            original,
            rate,
        )
    if options.json:
        _print_json(options, found, rate, score, written)
    else:
        _print(options, found, rate, score, written)
    return 0 if found.success_claimed else 1


def _without_filling(samples: Any, queries: Sequence[Any], segment: int | None) -> Any:
    """A recording without the zeros that filled each of its queries to whole blocks."""
    import numpy as np

    if segment is None or len(queries) < 2:
        return samples
    return np.concatenate([samples[one.begin : min(one.begin + segment, one.end)] for one in queries])


def _where(options: argparse.Namespace, part: Part, rate: int) -> str:
    """Such as "a.wav, 0.0 to 1.0 s", with the number of further pieces under the same key."""
    first, *others = part.pieces
    more = f", and {len(others)} more under the same key" if others else ""
    return f"{options.files[first.number]}, {first.begin / rate:.1f} to {first.end / rate:.1f} s{more}"


def _print(
    options: argparse.Namespace, found: RecoveredParts, rate: int, score: float | None, written: dict[str, list[str]]
) -> None:
    believed = sum(part.believed for part in found.parts)
    lines = [
        f"{'Success' if believed else 'No success'} claimed: {believed} of {len(found.parts)} {options.scheme} keys "
        f"for blocks of {found.block_size} samples found, each from what it encrypted."
    ]
    for part in found.parts:
        if part.found is None:
            lines.append(f"  {_where(options, part, rate)}: not attacked. {part.why_not}")
        else:
            outcome = "found by" if part.believed else "not found by"
            lines.append(
                f"  {_where(options, part, rate)}: {outcome} {part.found.attack} in {part.found.seconds:.1f} s. "
                f"{part.found.evidence[0]}"
            )
    if score is not None:
        lines.append(f"  Compared with {options.original}: an SNR of {score:.1f} dB, under one sign for all parts.")
    lines += [name for names in written.values() for name in names]
    if believed < len(found.parts):
        others = "Of the other parts a guess was written, most likely wrong." if options.anyway else _NOT_WRITTEN
        lines.append(others if believed or options.anyway else "No audio was written; --anyway writes the best guess.")
    conclude(*lines)


_NOT_WRITTEN = "Of the other parts silence was written; --anyway writes the best guess."


def _print_json(
    options: argparse.Namespace, found: RecoveredParts, rate: int, score: float | None, written: dict[str, list[str]]
) -> None:
    import json

    parts = [
        {
            "pieces": [
                {"file": str(options.files[one.number]), "begin": one.begin / rate, "end": one.end / rate}
                for one in part.pieces
            ],
            "success_claimed": part.believed,
            "attack": part.found.attack if part.found else None,
            "seconds": part.found.seconds if part.found else None,
            "evidence": part.found.evidence if part.found else [part.why_not],
        }
        for part in found.parts
    ]
    conclude(
        json.dumps(
            {
                "success_claimed": found.success_claimed,
                "scheme": options.scheme,
                "block_size": found.block_size,
                "block_from_ciphertext": options.block is None,
                "ciphertext": [str(file) for file in options.files],
                "parts": parts,
                "snr": score,
                **written,
            }
        )
    )
