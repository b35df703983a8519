"""How often `wrongkey recover` claims success without it: the table of docs/attacks.md.

    python benchmarks/false_claims.py --corpus kaldi:DIR --only adults.txt [--music FOLDER] [--rows right blocks ...]

A claim is false where the decrypted audio is not the plain speech (an SNR below 20 dB), or nothing was encrypted.
Every try has a speaker, key and seed of its own. Beside the claims of recover stand those of the suite's polyphase, and
those it would make from bands, agreement and harmonics alone, without the structure of blocks. False ones are in
brackets.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wrongkey.attacks.recover import Recovered, recover
from wrongkey.attacks.waveforms.polyphase import enough_linked
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance, load_audio, open_corpus
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED
from wrongkey.keys import correct_key, draw_keys, encrypt_query
from wrongkey.keys.labels import PAPER

RATE = 16_000
WRONG_SCHEMES = (("rom", "flipping"), ("rom", "shuffling"), ("shuffling", "flipping"), ("flipping", "shuffling"))
WRONG_BLOCKS = (
    *((5, 3), (7, 5), (7, 3), (10, 3), (10, 7), (10, 9), (5, 4)),
    *((6, 4), (10, 5), (20, 10), (20, 12), (20, 19)),
)
Waveforms = list[NDArray[np.floating]]


@dataclass(frozen=True)
class Cell:
    """A row of the table: what the recordings are, and as what they are attacked."""

    name: str
    taken_as: tuple[str, int]
    encrypt: Callable[[NDArray[np.floating], int], NDArray[np.floating]] | None  # of a waveform and a seed
    seconds: float = 5.0
    source: str = "speech"


def under(scheme: str, size: int) -> Callable[[NDArray[np.floating], int], NDArray[np.floating]]:
    return lambda wave, seed: encrypt_query(wave, correct_key(scheme, size, seed), blocks="samples")


def fresh_keys(size: int) -> Callable[[NDArray[np.floating], int], NDArray[np.floating]]:
    """A key of its own for every block."""

    def encrypt(wave: NDArray[np.floating], seed: int) -> NDArray[np.floating]:
        rows = wave[: len(wave) // size * size].reshape(-1, 1, size)
        return (rows @ draw_keys("rom", size, seed, 0, len(rows))).ravel()

    return encrypt


def fresh_signs(size: int) -> Callable[[NDArray[np.floating], int], NDArray[np.floating]]:
    """One ROM key, and a sign of its own for every block."""

    def encrypt(wave: NDArray[np.floating], seed: int) -> NDArray[np.floating]:
        secret = under("rom", size)(wave, seed).reshape(-1, size)
        return (secret * np.random.default_rng(seed).choice([-1.0, 1.0], (len(secret), 1))).ravel()

    return encrypt


def permuted_blocks(size: int) -> Callable[[NDArray[np.floating], int], NDArray[np.floating]]:
    """One ROM key, and the blocks in another order."""
    return lambda wave, seed: (
        np.random.default_rng(seed).permutation(under("rom", size)(wave, seed).reshape(-1, size)).ravel()
    )


def cells(row: str) -> Iterator[Cell]:
    if row == "right":
        for size, seconds in product((3, 5, 10, 20, 32), (2, 5, 10, 25)):
            yield Cell(f"rom {size}, {seconds} s", ("rom", size), under("rom", size), seconds)
    if row == "multiples":
        for size, taken in ((5, 10), (4, 12), (10, 20)):
            yield Cell(f"rom {size}", ("rom", taken), under("rom", size))
    if row == "blocks":
        for size, taken in WRONG_BLOCKS:
            yield Cell(f"rom {size}", ("rom", taken), under("rom", size))
    if row == "finite":
        for scheme, (size, taken) in product(("flipping", "shuffling"), ((5, 3), (10, 7), (10, 5), (6, 4), (20, 12))):
            yield Cell(f"{scheme} {size}", (scheme, taken), under(scheme, size))
    if row == "schemes":
        for (scheme, other), size in product(WRONG_SCHEMES, (5, 10)):
            yield Cell(f"{scheme} {size}", (other, size), under(scheme, size))
    if row == "plain":
        for scheme, size in product(PAPER, (3, 10)):
            yield Cell("plain speech", (scheme, size), None)
    if row == "changing":
        for name, encrypt in (("keys", fresh_keys), ("signs", fresh_signs), ("order of blocks", permuted_blocks)):
            for size in (3, 10):
                yield Cell(f"rom {size}, fresh {name}", ("rom", size), encrypt(size))
    if row in ("noise", "music"):
        for scheme, size in product(PAPER, (3, 10)):
            yield Cell(f"plain {row}", (scheme, size), None, source=row)
    if row == "music":
        for size, taken in ((5, 3), (5, 5), (10, 7), (10, 10)):
            yield Cell(f"music, rom {size}", ("rom", taken), under("rom", size), source=row)


ROWS = ("right", "multiples", "blocks", "finite", "schemes", "plain", "changing", "noise", "music")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--music", type=Path, help="a folder of audio files")
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--match", default="", help="only recordings whose name holds this text")
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = open_corpus(options.corpus)
    if options.only:
        corpus = corpus.only_listed(options.only)
    speakers = [[u for u in corpus.utterances if u.speaker == speaker] for speaker in corpus.speakers]
    files = sorted(options.music.iterdir()) if options.music else []
    print("recordings; taken as; tries; recover claims; polyphase claims; without the structure; seconds each")
    for row in options.rows:
        for cell in cells(row):
            if options.match in cell.name and (cell.source != "music" or files):
                print(tried(cell, speakers, files, options.tries, options.seed), flush=True)


def tried(
    cell: Cell, speakers: Sequence[Sequence[Utterance]], files: Sequence[Path], tries: int, first_seed: int
) -> str:
    """One row of the table."""
    begin, claims, false, refused = time.perf_counter(), np.zeros(3, int), np.zeros(3, int), 0
    for number in range(tries):
        seed = first_seed + number
        plain = list(recordings(cell, speakers[number % len(speakers)], files, seed))
        secret = [wave if cell.encrypt is None else cell.encrypt(wave, seed) for wave in plain]
        try:
            found = recover(secret, RATE, *cell.taken_as, seed=seed)
        except BadInput:
            refused += 1
            continue
        made = np.array(claims_of(found))
        claims += made
        false += made & (cell.encrypt is None or not right(plain, found))
    of = f"{tries}" + (f" ({refused} refused)" if refused else "")
    counts = "; ".join(f"{made} ({wrong})" for made, wrong in zip(claims, false, strict=True))
    return (
        f"{cell.name}; {' '.join(map(str, cell.taken_as))}; {of}; {counts}; {(time.perf_counter() - begin) / tries:.1f}"
    )


def claims_of(found: Recovered) -> tuple[bool, bool, bool]:
    """Whether recover claims success, polyphase in the suite, and polyphase without the structure of blocks."""
    measured = found.measured
    consistent = (
        found.attack == "polyphase"
        and measured["linked bands"] >= enough_linked(1, measured["filled bands"], DEFAULTS)
        and measured["agreement"] >= DEFAULTS.agreed
        and measured.get("harmonics", inf) >= DEFAULTS.harmonics
    )
    return found.success_claimed, consistent and found.structure.taken_away, consistent


def recordings(
    cell: Cell, utterances: Sequence[Utterance], files: Sequence[Path], seed: int
) -> Iterator[NDArray[np.floating]]:
    """Plain recordings of `cell.seconds` in all."""
    left = round(cell.seconds * RATE)
    if cell.source == "noise":
        yield np.random.default_rng(seed).standard_normal(left)
    elif cell.source == "music":
        yield load_audio(files[seed * 37 % len(files)], RATE)[:left]
    else:
        for utterance in utterances:
            wave = load_audio(utterance, RATE)[:left]
            left -= len(wave)
            yield wave
            if left < RATE / 10:
                break


def right(plain: Waveforms, found: Recovered) -> bool:
    """Whether the decrypted audio is the plain speech."""
    pairs = [(one[: len(other)], other[: len(one)]) for one, other in zip(plain, found.plain, strict=True)]
    one, other = (torch.from_numpy(np.concatenate(waves).astype(float)) for waves in zip(*pairs, strict=True))
    return snr(one, other, "samples") >= DECRYPTED


if __name__ == "__main__":
    main()
