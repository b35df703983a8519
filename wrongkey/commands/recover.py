"""``wrongkey recover``: speech out of encrypted recordings whose key nobody gives."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.commands import recover_parts
from wrongkey.commands.recovered_files import (
    compared,
    cut_to_length,
    draw_spectrograms,
    figure_files,
    make_folder,
    result_words,
    save_figure,
    write_wavs,
)
from wrongkey.errors import BadInput
from wrongkey.files import user_path
from wrongkey.flags import scheme_name
from wrongkey.terminal import conclude, note

if TYPE_CHECKING:
    from wrongkey.attacks.recover import Recovered
    from wrongkey.keys import SecretKey

EVIDENCE = "evidence.png"
EPILOG = (
    "Several recordings count as one voice under one key; of schemes with +nonce or +schedule, what each key encrypted "
    "is attacked by itself, and claiming some of them is success. Exit code: 0 success claimed, 1 not, 2 bad input."
)


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "recover",
        help="attack encrypted recordings without their key",
        description="Find the key of encrypted recordings from ciphertext alone, and decrypt them.",
        epilog=EPILOG,
    )
    parser.add_argument("files", nargs="+", type=user_path, metavar="CIPHERTEXT", help="encrypted audio, mono")
    parser.add_argument(
        "--scheme", type=scheme_name, required=True, help="how the key was drawn: see 'wrongkey schemes'"
    )
    parser.add_argument("--block", type=int, metavar="M", help="block size in samples (default: as ciphertext shows)")
    parser.add_argument(
        "-o", "--out", type=user_path,
        help="WAV file (32-bit float), or a folder for several (default: NAME-recovered.wav beside each recording)",
    )  # fmt: skip
    parser.add_argument("--key-out", type=user_path, metavar="FILE", help="write the key: .npz or .safetensors")
    parser.add_argument("--figures", type=user_path, metavar="FOLDER", help="draw spectrograms and the evidence (PNG)")
    parser.add_argument(
        "--original", type=user_path, metavar="FILE",
        help="the recording before encryption, to compare with; the attack does not see it",
    )  # fmt: skip
    parser.add_argument("--anyway", action="store_true", help="write the best guess where success is not claimed")
    parser.add_argument("--channels", default="refuse", choices=["refuse", "mix"], help="what to do with stereo")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Attack, print what came of it, and write what was found."""
    import numpy as np
    import torch

    from wrongkey.attacks.recover import recover
    from wrongkey.commands.windows_comment import segments_of
    from wrongkey.keys.family import get_scheme

    torch.set_num_threads(1)  # more make small factorisations slower
    outs = _outs(options)
    _refuse_existing(options, outs)
    changing = get_scheme(options.scheme).derived is not None
    if changing:
        recover_parts.check(options)
    recordings, rate = _read(options)
    original = _original(options, rate)
    if changing:
        return recover_parts.run(options, outs, recordings, rate, original)
    windows = [_windows(options.scheme, file) for file in options.files]
    pieces = [
        list(segments_of(file, said, samples)[2]) if said else [samples]
        for file, said, samples in zip(options.files, windows, recordings, strict=True)
    ]
    kernels = [int(said["kernel"]) for said in windows if said]
    block = kernels[0] if options.block is None and kernels else options.block
    found = recover(list(chain(*pieces)), rate, options.scheme, block)
    ends = np.cumsum([len(parts) for parts in pieces])
    plain = [
        _plain(file, found.key, samples, said, found.plain[end - 1])
        for file, samples, said, end in zip(options.files, recordings, windows, ends, strict=True)
    ]
    score = None if original is None else compared(original, plain[0])

    written: dict[str, list[str]] = {"plain": [], "key": [], "figures": []}
    if found.success_claimed or options.anyway:
        written["plain"] = write_wavs(outs, plain, rate)
        if options.key_out:
            make_folder(options.key_out)
            found.key.save(options.key_out, overwrite=options.overwrite)
            written["key"].append(str(options.key_out))
    if options.figures:
        written["figures"] = _draw(options, found, recordings, plain, original, rate)
    if options.json:
        _print_json(options, found, score, written)
    else:
        _print(options, found, score, written)
    return 0 if found.success_claimed else 1


def _outs(options: argparse.Namespace) -> list[Path]:
    """Where the decrypted recordings go."""
    out, several = options.out, len(options.files) > 1
    names = [f"{file.stem}-recovered.wav" for file in options.files]
    if out is None:
        outs = [file.with_name(name) for file, name in zip(options.files, names, strict=True)]
    elif several or out.is_dir():
        if out.suffix.lower() == ".wav" and not out.is_dir():
            raise BadInput(f"{out} is one file for {len(options.files)} recordings: give -o a folder.")
        outs = [out / name for name in names]
    else:
        if out.suffix.lower() != ".wav":
            raise BadInput(f"{out} would hold wav data: give it the ending .wav.")
        outs = [out]
    twice = [path for path, count in Counter(outs).items() if count > 1]
    if twice:
        raise BadInput(f"Two recordings would be decrypted to {twice[0]}: give each once, under its own name.")
    return outs


def _refuse_existing(options: argparse.Namespace, outs: Sequence[Path]) -> None:
    """Before any work: what is in the way."""
    key = options.key_out
    if key is not None and key.suffix not in (".npz", ".safetensors"):
        raise BadInput(f"{key}: a key file ends in .npz or .safetensors.")
    if options.figures and options.figures.exists() and not options.figures.is_dir():
        raise BadInput(f"{options.figures} is a file: give --figures a folder.")
    figures = [*figure_files(options), options.figures / EVIDENCE] if options.figures else []
    for path in [*outs, *([key] if key else []), *figures]:
        if os.path.lexists(path) and not options.overwrite:  # a link that leads nowhere exists too
            raise BadInput(f"{path} exists: choose another name, or add --overwrite.")
    if options.overwrite and {path.resolve() for path in outs} & {file.resolve() for file in options.files}:
        raise BadInput("A recording would be overwritten by its own decryption: choose another -o.")


def _read(options: argparse.Namespace) -> tuple[list[Any], int]:
    """The recordings, and the one rate that all of them have."""
    from wrongkey.evaluation.corpora import load_audio, sample_rate

    first, rates = options.files[0], [sample_rate(file) for file in options.files]
    for file, rate in zip(options.files, rates, strict=True):
        if rate != rates[0]:
            raise BadInput(f"{file} has {rate} Hz and {first} has {rates[0]} Hz: give recordings of one rate.")
    recordings = [load_audio(file, rates[0], options.channels) for file in options.files]
    for file, samples in zip(options.files, recordings, strict=True):
        if not samples.any():
            raise BadInput(f"{file} is silent: give recordings of encrypted speech.")
    return recordings, rates[0]


def _original(options: argparse.Namespace, rate: int) -> Any:
    """The recording before encryption; None where it is not given."""
    from wrongkey.evaluation.corpora import load_audio, sample_rate

    if options.original is None:
        return None
    if len(options.files) > 1:
        raise BadInput("--original is the plain speech of one recording, and several are given.")
    if sample_rate(options.original) != rate:
        raise BadInput(f"{options.original} has another rate than {options.files[0]}: give what was encrypted.")
    return load_audio(options.original, rate, options.channels)


def _windows(scheme: str, file: Path) -> re.Match[str] | None:
    """What the file's comment tells of its windows; None where the scheme sends none, or there is no such comment."""
    from wrongkey.commands.windows_comment import COMMENT
    from wrongkey.evaluation.corpora.audio import comment
    from wrongkey.evaluation.windows import sends_windows

    return COMMENT.search(comment(file)) if sends_windows(scheme) else None


def _plain(file: Path, key: SecretKey, samples: Any, windows: re.Match[str] | None, plain: Any) -> Any:
    """The decrypted recording: `plain`, or its windows joined as the comment says; notes what is left out."""
    from wrongkey.commands.windows_comment import speech_of
    from wrongkey.keys import decrypt_query

    left = len(samples) % key.size
    if left:
        note(f"{file}: {len(samples)} samples are not whole blocks of {key.size}; the last {left} are left out.")
    if windows:
        return speech_of(file, windows, decrypt_query(samples[: len(samples) - left], key))
    return cut_to_length(file, plain)


def _draw(
    options: argparse.Namespace,
    found: Recovered,
    recordings: Sequence[Any],
    plain: Sequence[Any],
    original: Any,
    rate: int,
) -> list[str]:
    """Spectrograms of every recording, and the curve of evidence: names of the files."""
    from wrongkey.attacks.recover import structure_curve
    from wrongkey.reports.figures.recovered import block_structure_figure

    encrypted = f"{found.key.scheme}, M = {found.key.block_size}"
    drawn = draw_spectrograms(options, encrypted, found.success_claimed, recordings, plain, original, rate)
    curve = structure_curve(found, recordings, rate)
    result = result_words(found.success_claimed)
    evidence = block_structure_figure(*curve, found.key.block_size, found.key.scheme, result)
    return [*drawn, save_figure(options.figures / EVIDENCE, evidence)]


def _print(options: argparse.Namespace, found: Recovered, score: float | None, written: dict[str, list[str]]) -> None:
    what = f"{found.key.scheme} key for blocks of {found.key.block_size} samples"
    article = "an" if what[0] in "aeiou" else "a"
    lines = [
        f"Success claimed: {found.attack} found {article} {what} in {found.seconds:.1f} s of ciphertext."
        if found.success_claimed
        else f"No success claimed: {found.attack} found no {what} in {found.seconds:.1f} s of ciphertext."
    ]
    lines += [f"  {sentence}" for sentence in found.evidence]
    if score is not None:
        lines.append(f"  Compared with {options.original}: an SNR of {score:.1f} dB.")
    lines += [name for names in written.values() for name in names]
    if not found.success_claimed:
        lines.append(
            "What was written is a guess, and most likely wrong."
            if options.anyway
            else "No audio and no key were written; --anyway writes the best guess."
        )
    conclude(*lines)


def _print_json(
    options: argparse.Namespace, found: Recovered, score: float | None, written: dict[str, list[str]]
) -> None:
    import json
    from dataclasses import asdict

    conclude(
        json.dumps(
            {
                "success_claimed": found.success_claimed,
                "evidence": found.evidence,
                "attack": found.attack,
                "scheme": found.key.scheme,
                "block_size": found.key.block_size,
                "ciphertext": [str(file) for file in options.files],
                "seconds": found.seconds,
                "block_from_ciphertext": found.block_from_ciphertext,
                "period": found.period,
                "attempts": [asdict(one) for one in found.attempts],
                "stationarity": {"before": found.structure.before, "after": found.structure.after},
                "predictable": dict(zip(("before", "after"), found.predictable, strict=True)),
                "measured": dict(found.measured),
                "snr": score,
                **written,
            }
        )
    )
