"""Train `asr-words` on sequences of recorded words (see `word_sequences`) and measure it on unseen speakers.

    python -m training.asr_words --speech-commands DIR --esc50 DIR --out DIR

A checkpoint is written every 100 steps, and the same command continues from it.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import torch
from safetensors.torch import save
from scipy.signal import resample_poly
from torch import Tensor

from training.augment import augmented, emphasised, open_noises
from training.averaging import average_weights
from training.checkpoint import Checkpoint, seconds_of
from training.timing import least_milliseconds
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, load_audio, open_corpus
from wrongkey.evaluation.corpora.word_sequences import (
    MOST,
    WORDS,
    Word,
    joined,
    read_words,
    sequence,
    speakers_of,
    trimmed,
    write_sequences,
)  # fmt: skip
from wrongkey.evaluation.models.bundled.asr_words import (
    BINS,
    BLANK,
    KERNEL,
    LOG_MEL,
    NAME,
    SCALE,
    AsrWords,
    WordsNet,
    load_asr_words,
)  # fmt: skip
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.tasks.asr import SpeechRecognition
from wrongkey.files import atomic_write

SPEEDS = ((1, 1), (10, 9), (9, 10), (20, 17), (20, 23))  # (up, down) of the resampling
LONGEST = 9 * 16_000  # samples of a training sequence; a longer one is drawn again
SAVED_EVERY = 100
AVERAGE = 0.998  # of the moving average of the weights


@dataclass(frozen=True)
class Recipe:
    """What a training is: the same recipe and seed draw the same sequences."""

    steps: int = 2400
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    seed: int = 0


class Sequences:
    """Batches of augmented training sequences."""

    def __init__(self, words: dict[str, list[Word]], noises: np.ndarray) -> None:
        self.noises = np.tile(noises, (1, 2))  # clips of 5 s, longer than any sequence
        self.words = [
            [Word(word.text, speaker, wave, trimmed(wave)) for word in said for wave in (_at_speed(word.wave, speed),)]
            for speaker, said in words.items()
            for speed in SPEEDS
        ]

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw spectrograms `(batch, 48, frames)`, their frames and words `(batch,)`, and tokens `(batch, words)`."""
        count = int(rng.integers(1, MOST + 1))
        drawn = [self._sequence(rng, count) for _ in range(size)]
        longest = scipy.fft.next_fast_len(max(len(wave) for wave, _ in drawn), real=True)
        waves = np.stack([np.pad(wave, (0, longest - len(wave))) for wave, _ in drawn])
        waves = augmented(rng, emphasised(waves), self.noises)
        samples = torch.tensor([len(wave) for wave, _ in drawn])
        spectrograms, frames = spectrograms_of(torch.from_numpy(waves), samples)
        tokens = torch.tensor([[WORDS.index(word) + 1 for word in said] for _, said in drawn])
        return masked(rng, spectrograms), frames // KERNEL, tokens, torch.full((size,), count)

    def _sequence(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[str]]:
        while True:
            words = self.words[int(rng.integers(len(self.words)))]
            wave, said = sequence(rng, words, count)
            lead = np.zeros(int(rng.uniform(0, 0.3) * 16_000), dtype=np.float32)
            if len(wave) + 2 * len(lead) < LONGEST:
                return joined([lead, wave, lead], np.zeros(2, dtype=np.int64)), said


def spectrograms_of(waves: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the front end gives for pre-emphasised waves `(batch, samples)`, zero-padded, and their frames."""
    log_mel = LOG_MEL(waves)
    frames = (1 + samples // LOG_MEL.hop) // KERNEL * KERNEL
    inside = (torch.arange(log_mel.shape[-1]) < frames[:, None])[:, None]
    mean = (log_mel * inside).sum(-1, keepdim=True) / frames[:, None, None]
    whole = int(frames.max())
    return (((log_mel - mean) / SCALE) * inside)[..., :whole], frames


def masked(rng: np.random.Generator, spectrograms: Tensor) -> Tensor:
    """Zero two bands of up to 8 bins and two gaps of up to 0.12 s (SpecAugment, Park et al., Interspeech 2019)."""
    for row in spectrograms:
        for axis, widest in ((0, 8), (0, 8), (1, 12), (1, 12)):
            width = int(rng.integers(widest + 1))
            start = int(rng.integers(max(row.shape[axis] - width, 1)))
            row.narrow(axis, start, width).zero_()
    return spectrograms


def train(recipe: Recipe, data: Sequences, folder: Path) -> WordsNet:
    """Train, or go on from the checkpoint in `folder`; return the moving average of the weights."""
    torch.manual_seed(recipe.seed)
    network = WordsNet()
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, recipe.steps, pct_start=0.15)
    parts: dict[str, Any] = {"network": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    checkpoint = Checkpoint(folder / f"{NAME}.checkpoint.pt", asdict(recipe), parts)
    checkpoint.resume()
    for step in range(checkpoint.done, recipe.steps):
        loss = _step(network, optimiser, data, np.random.default_rng([recipe.seed, step]), recipe.batch)
        schedule.step()
        average_weights(average, network, min(AVERAGE, (step + 1) / (step + 10)))
        if (step + 1) % SAVED_EVERY == 0 or step + 1 == recipe.steps:
            checkpoint.save(step + 1)
            print(f"step {step + 1} of {recipe.steps}: loss {loss:.3f}, {checkpoint.seconds:.0f} s", flush=True)
    return average.eval()


def _step(
    network: WordsNet, optimiser: torch.optim.Optimizer, data: Sequences, rng: np.random.Generator, batch: int
) -> float:
    spectrograms, frames, tokens, words = data.batch(rng, batch)
    network.train()
    log_probabilities = network(spectrograms).log_softmax(-1).transpose(0, 1)
    loss = torch.nn.functional.ctc_loss(log_probabilities, tokens, frames, words, BLANK, zero_infinity=True)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return float(loss.detach())


def _at_speed(wave: np.ndarray, speed: tuple[int, int]) -> np.ndarray:
    up, down = speed
    return wave if up == down else np.asarray(resample_poly(wave, up, down), dtype=np.float32)


@torch.inference_mode()
def word_errors(model: AsrWords, corpus: Corpus) -> dict[str, float]:
    """Return the WER in percent with its parts in words, pooled over a corpus."""
    task = SpeechRecognition.of(corpus.utterances, "basic", 200, 0)
    waveforms = (torch.from_numpy(load_audio(u)) for u in corpus.utterances)
    heard = [Hypothesis(model.transcribe(model.segments(model.front_end(w)))[0]) for w in waveforms]
    scores = task.scores([heard])
    row = task.measure(scores)[0]
    counts = dict(zip(("substitutions", "deletions", "insertions", "hits"), scores[0].sum(0).tolist(), strict=False))
    return {
        "wer_percent": row["value"],
        "ci_low": row["ci_low"],
        "ci_high": row["ci_high"],
        "words": row["n"],
        **counts,
    }


def write_figures(weights: Path, recipe: Recipe, speech_commands: Path, folder: Path) -> None:
    """Measure the weights on unseen speakers and on the bundled sequences, and write the figures beside them."""
    model = load_asr_words(path=weights)
    sets = {}
    for part, count in (("validation", 250), ("test", 500)):
        place = folder / f"{part}-sequences"
        write_sequences(place, read_words(speech_commands, part), count, seed=0)
        sets[part] = open_corpus(place)
    bundled = open_corpus("bundled")
    sets["bundled"] = bundled.only([u.id for u in bundled.utterances if "-words" in u.id])
    names = open_corpus(speech_commands).speakers
    with torch.inference_mode():
        figures = asdict(recipe) | {
            "parameters": sum(p.numel() for p in WordsNet().parameters()),
            "weights_bytes": weights.stat().st_size,
            "training_seconds": seconds_of(folder / f"{NAME}.checkpoint.pt"),
            "speakers": {part: len(speakers_of(part, names)) for part in ("train", "validation", "test")},
            "milliseconds_4s_one_core": least_milliseconds(model.encode, torch.randn(1, BINS, 400 // KERNEL * KERNEL)),
            **{part: word_errors(model, corpus) for part, corpus in sets.items()},
        }
    weights.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 when done, 2 for bad input."""
    parser = argparse.ArgumentParser(description="Train the bundled recogniser of command words.")
    parser.add_argument("--speech-commands", type=Path, required=True, help="Speech Commands, as a Kaldi folder")
    parser.add_argument("--esc50", type=Path, required=True, help="ESC-50 (only ESC-10 clips are used, as noise)")
    parser.add_argument("--out", type=Path, required=True, help="weights, checkpoint and test sets go here")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if given.steps < 1:
            raise BadInput(f"--steps {given.steps}: give a number of training steps of at least 1.")
        given.out.mkdir(parents=True, exist_ok=True)
        recipe = Recipe(steps=given.steps, seed=given.seed)
        data = Sequences(read_words(given.speech_commands, "train"), open_noises(given.esc50))
        network = train(recipe, data, given.out)
        weights = given.out / f"{NAME}.safetensors"
        about = {"words": " ".join(WORDS), "kernel": str(KERNEL)}
        tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        with atomic_write(weights) as file:
            file.write(save(tensors, about))
        write_figures(weights, recipe, given.speech_commands, given.out)
        print(weights)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
