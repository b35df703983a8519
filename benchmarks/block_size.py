r"""How often the block size is found in ciphertext, and where there is none: the tables of docs/attacks.md.

    python -m benchmarks.block_size found --corpus kaldi:DIR --only adults.txt [--seconds 1 2 5] [--sizes 2 3 ... 64]
    python -m benchmarks.block_size nothing --corpus kaldi:DIR --only adults.txt --esc50 DIR [--inputs 200]

Every try has a speaker, or a sound, and a key of its own. A key that repeats itself within its block has a shorter
period, which is then the right answer; under one that leaves speech stationary "none" is.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.conditions import spoken
from benchmarks.null_cases import RATE, Sounds, keystream
from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.block_size import period_of
from wrongkey.evaluation.corpora import Corpus, open_corpus
from wrongkey.keys import SecretKey, encrypt_query

SIZES = (2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 20, 32, 48, 64)


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["found", "nothing"])
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--esc50", type=Path, help="folder of ESC-50")
    parser.add_argument("--schemes", nargs="+", default=["rom", "shuffling", "flipping", "rom+turns=2"])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--seconds", nargs="+", type=float, default=[1.0, 2.0, 5.0])
    parser.add_argument("--tries", type=int, default=3, help="for each block size")
    parser.add_argument("--inputs", type=int, default=200, help="for each kind of nothing")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    options = parser.parse_args()
    corpus = open_corpus(options.corpus)
    if options.only:
        corpus = corpus.only_listed(options.only)
    if options.table == "nothing":
        nothing(Sounds(corpus, options.esc50, round(options.seconds[-1] * RATE)), options.first, options.inputs)
        return
    print("| scheme | seconds | right | another | none | not right: M, period of the key, found |")
    print("|:---|---:|---:|---:|---:|:---|")
    for scheme in options.schemes:
        for seconds in options.seconds:
            print(found(corpus, scheme, seconds, options.sizes, options.tries), flush=True)


def found(corpus: Corpus, scheme: str, seconds: float, sizes: Sequence[int], tries: int) -> str:
    """A line of the table for encrypted speech."""
    outcomes: Counter[str] = Counter()
    failed = []
    for size in sizes:
        for number in range(tries):
            key = SecretKey.from_seed(scheme, size, seed=1000 * size + number)
            speaker = corpus.speakers[(size + 11 * number) % len(corpus.speakers)]
            speech = spoken(corpus, speaker, round(seconds * RATE))
            period = period_of([encrypt_query(speech, key)], RATE).samples
            right = period_of_key(key.matrix)
            outcome = "right" if period == right else "none" if period is None else "another"
            outcomes[outcome] += 1
            if outcome != "right":
                failed.append(f"{size}, {right}, {period}")
    counts = " | ".join(str(outcomes[one]) for one in ("right", "another", "none"))
    return f"| {scheme} | {seconds:g} | {counts} | {'; '.join(failed) or '-'} |"


def period_of_key(key: Matrix) -> int | None:
    """The period of stationary sound under a key `(N, N)`: the least shift of many blocks that it commutes with.

    Up to a sign, which no covariance sees. None where that is one sample: the sound stays stationary.
    """
    size = len(key)
    many = np.kron(np.eye(3), key)
    for shift in (divisor for divisor in range(1, size + 1) if size % divisor == 0):
        here = many[size : 2 * size]
        moved = np.roll(many, shift, axis=(0, 1))[size : 2 * size]
        if np.allclose(here, moved) or np.allclose(here, -moved):
            return shift if shift > 1 else None
    return size


def nothing(sounds: Sounds, first: int, inputs: int) -> None:
    """How often a period is found where nothing was encrypted in blocks."""
    kinds = {
        "plain speech": sounds.voice,
        "white noise": lambda number: np.random.default_rng(number).standard_normal(sounds.samples),
        "stream cipher": lambda number: keystream(sounds.voice(number), number),
        "sounds of ESC-50": sounds.clip,
    }
    for kind, made in kinds.items():
        if kind == "sounds of ESC-50" and sounds.esc50 is None:
            continue
        waves: islice[tuple[int, NDArray[np.floating]]] = islice(((n, made(n)) for n in count(first)), inputs)
        periods = [(number, period_of([wave], RATE).samples) for number, wave in waves]
        false = [f"{number}: {period}" for number, period in periods if period is not None]
        print(f"{kind}: {len(false)} of {inputs} ({', '.join(false) or '-'})", flush=True)


if __name__ == "__main__":
    main()
