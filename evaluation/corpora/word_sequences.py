"""Sequences of recorded command words: what `asr-words` is trained on, and a fixed test set as a Kaldi folder.

One sequence is 3 to 7 recordings of single words by one speaker of Speech Commands, joined with pauses or small
overlaps. Speakers are split into three parts by a seeded shuffle of their names; no speaker is in two parts.

    python -m wrongkey.evaluation.corpora.word_sequences --speech-commands DIR --part test --sequences 500 --seed 0
    --out DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wrongkey.encoded_audio import encoded
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.files import atomic_write, explained_errors

Wave = npt.NDArray[np.float32]
SAMPLE_RATE = 16_000
WORDS = ("YES", "NO", "UP", "DOWN", "LEFT", "RIGHT", "ON", "OFF", "STOP", "GO")
PARTS = {"train": (0.0, 0.7), "validation": (0.7, 0.8), "test": (0.8, 1.0)}  # shares of the shuffled speakers
LEAST, MOST = 3, 7  # words of a sequence
GAP = (-0.04, 0.4)  # seconds between two words; below zero they overlap
TRIMMED = 0.7  # share of the sequences whose words are cut to what is loud, as in one breath
LOUD = 0.05  # of the loudest 20 ms (root mean square): what trimming keeps
MARGIN = 800  # samples that trimming leaves on either side


@dataclass(frozen=True)
class Word:
    """One recording of one word."""

    text: str
    speaker: str
    wave: Wave
    trimmed: Wave


def speakers_of(part: str, speakers: Sequence[str]) -> list[str]:
    """The speakers of a part, by a shuffle that depends on their names alone."""
    if part not in PARTS:
        raise BadInput(f"Part {part!r} is unknown: choose {', '.join(PARTS)}.")
    shuffled = np.random.default_rng(0).permutation(sorted(set(speakers)))
    first, last = (round(share * len(shuffled)) for share in PARTS[part])
    return [str(speaker) for speaker in shuffled[first:last]]


def read_words(folder: Path, part: str) -> dict[str, list[Word]]:
    """Every recording of the ten words by the speakers of a part, by speaker."""
    corpus = open_corpus(folder)
    chosen = set(speakers_of(part, corpus.speakers))
    words: dict[str, list[Word]] = {}
    for utterance in corpus.utterances:
        if utterance.speaker in chosen and utterance.text in WORDS:
            wave = load_audio(utterance, SAMPLE_RATE)
            words.setdefault(utterance.speaker, []).append(Word(utterance.text, utterance.speaker, wave, trimmed(wave)))
    if not words:
        raise BadInput(f"{folder} holds none of the words {', '.join(WORDS)}: give the folder of Speech Commands.")
    return words


def trimmed(wave: Wave) -> Wave:
    """A recording from a little before its first loud 20 ms to a little after its last."""
    frames = wave[: len(wave) // 320 * 320].reshape(-1, 320)
    if not len(frames):
        return wave
    level = np.sqrt(np.square(frames).mean(axis=1))
    loud = np.flatnonzero(level > LOUD * level.max())
    return wave[max(loud[0] * 320 - MARGIN, 0) : (loud[-1] + 1) * 320 + MARGIN] if len(loud) else wave


def sequence(rng: np.random.Generator, words: Sequence[Word], count: int) -> tuple[Wave, list[str]]:
    """`count` recordings of one speaker, joined: samples and texts. Fewer recordings than that are said again."""
    chosen = rng.choice(len(words), count, replace=len(words) < count)
    short = rng.random() < TRIMMED
    pieces = [words[i].trimmed if short else words[i].wave for i in chosen]
    gaps = (rng.uniform(*GAP, count - 1) * SAMPLE_RATE).astype(int)
    return joined(pieces, gaps), [words[i].text for i in chosen]


def joined(pieces: Sequence[Wave], gaps: npt.NDArray[np.int64]) -> Wave:
    """Recordings one after another, silent for `gaps[i]` samples behind the i-th, or overlapping where negative."""
    starts = [0]
    for piece, gap in zip(pieces, gaps, strict=False):
        starts.append(max(starts[-1] + len(piece) + int(gap), starts[-1]))
    out = np.zeros(max(s + len(p) for s, p in zip(starts, pieces, strict=True)), dtype=np.float32)
    for start, piece in zip(starts, pieces, strict=True):
        out[start : start + len(piece)] += piece
    return out


def write_sequences(folder: Path, words: dict[str, list[Word]], sequences: int, seed: int) -> None:
    """A Kaldi data folder of FLAC files: `sequences` of them, one speaker after another."""
    rng, speakers = np.random.default_rng(seed), sorted(words)
    lines: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    for number in range(sequences):
        speaker = speakers[number % len(speakers)]
        wave, said = sequence(rng, words[speaker], int(rng.integers(LEAST, MOST + 1)))
        wave /= max(1.0, float(np.abs(wave).max()) / 0.99)
        name = f"{speaker}-{number:04d}"
        with atomic_write(folder / "audio" / f"{name}.flac") as flac:
            flac.write(encoded(wave, SAMPLE_RATE, "FLAC", "PCM_16"))
        for file, value in zip(lines, (f"audio/{name}.flac", " ".join(said), speaker), strict=True):
            lines[file].append(f"{name} {value}\n")
    for file, rows in lines.items():
        (folder / file).write_text("".join(sorted(rows)))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when done, 2 for bad input."""
    parser = argparse.ArgumentParser(description="Write sequences of recorded words as a Kaldi data folder.")
    parser.add_argument("--speech-commands", type=Path, required=True, help="Speech Commands, as a Kaldi folder")
    parser.add_argument("--part", default="test", help=f"{', '.join(PARTS)} (speakers; default test)")
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        if given.sequences < 1:
            raise BadInput(f"--sequences {given.sequences}: give 1 or more.")
        words = read_words(given.speech_commands, given.part)
        with explained_errors(given.out, "choose another --out, or make space"):
            write_sequences(given.out, words, given.sequences, given.seed)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
