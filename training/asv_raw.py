"""Train a bundled raw-waveform speaker model: `python -m training.asv_raw --kernel 3 …` in the repository's root.

Two losses on crops of 1.7 s: the additive angular margin softmax over the training speakers (Deng et al.,
CVPR 2019), each speed a class of its own, and the cosine distance to the GE2E teacher's embedding of the whole
clean utterance. All that is random in a step depends on (seed, step) alone, so that an interrupted and resumed
training gives the same weights as an uninterrupted one.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import nn

from training.augment import augmented, emphasised, open_noises
from training.cards import card_figures, held_out_eer
from training.checkpoint import Checkpoint, seconds_of
from training.speech import SPEEDS, TrainingSpeech, gather_speech
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.models.bundled.asv_raw import (
    EMBEDDING,
    FIRST_CHANNELS,
    SAMPLE_RATE,
    STEM,
    RawSpeakerNet,
    load_asv_raw,
    weights_file,
)
from wrongkey.files import atomic_write, explained_errors

CROP = 27_000  # samples, 90 frames
SPEECHOCEAN, SPEECH_COMMANDS = "so-", "sc-"  # before the names of their speakers
CLASSES_SCALE, MARGIN, TEACHER_WEIGHT = 30.0, 0.2, 10.0


@dataclass(frozen=True)
class Recipe:
    """What decides the weights, beside the data."""

    kernel: int
    steps: int = 6000
    seed: int = 0
    batch: int = 48
    learning_rate: float = 2e-3
    weight_decay: float = 0.02


class Crops:
    """Draw batches of crops: a step's batch depends on (seed, step) alone.

    Parameters
    ----------
    speeds
        The same utterances at several speeds.
    noises
        Background noise, `(clips, samples)`.
    held_out
        Speakers that are never drawn.
    """

    def __init__(self, speeds: list[TrainingSpeech], noises: npt.NDArray[np.float32], held_out: Iterable[str] = ()):
        self.speeds, self.noises = speeds, noises
        self.speakers = sorted(set(speeds[0].speaker.tolist()) - set(held_out))
        self.utterances = [
            [np.flatnonzero(speech.speaker == speaker) for speaker in self.speakers] for speech in speeds
        ]
        amount = np.array([speeds[0].length[rows].sum() for rows in self.utterances[0]])
        self.hours = float(amount.sum()) / SAMPLE_RATE / 3600
        self.share = np.sqrt(amount) / np.sqrt(amount).sum()  # speakers with much speech are drawn more often
        self.classes = len(self.speakers) * len(speeds)
        self.centre = speeds[0].teacher.mean(axis=0)  # the part of an embedding that all speakers share

    def draw(self, seed: int, step: int, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return augmented crops `(batch, CROP)`, classes `(batch,)`, centred teacher embeddings `(batch, 256)`."""
        rng = np.random.default_rng((seed, step))
        waves = np.empty((batch, CROP), dtype=np.float32)
        classes = np.empty(batch, dtype=np.int64)
        targets = np.empty((batch, self.speeds[0].teacher.shape[1]), dtype=np.float32)
        for row in range(batch):
            speed = int(rng.integers(len(self.speeds)))
            speaker = int(rng.choice(len(self.speakers), p=self.share))
            utterance = int(rng.choice(self.utterances[speed][speaker]))
            waves[row] = crop(rng, self.speeds[speed].waveform(utterance))
            classes[row] = speed * len(self.speakers) + speaker
            targets[row] = self.speeds[speed].teacher[utterance] - self.centre
        waves = augmented(rng, emphasised(waves), self.noises)
        return torch.from_numpy(waves), torch.from_numpy(classes), torch.from_numpy(targets)


def crop(rng: np.random.Generator, waveform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cut CROP samples at a random place; a shorter utterance is repeated from a random place."""
    if len(waveform) >= CROP:
        start = int(rng.integers(len(waveform) - CROP + 1))
        return waveform[start : start + CROP]
    return np.resize(np.roll(waveform, -int(rng.integers(len(waveform)))), CROP)


class Student(nn.Module):
    """The network with the parts that only training needs: speaker prototypes and a map to the teacher's space."""

    def __init__(self, kernel: int, classes: int, teacher_size: int) -> None:
        super().__init__()
        self.network = RawSpeakerNet(kernel)
        self.prototypes = nn.Parameter(torch.randn(classes, EMBEDDING) * 0.1)
        self.to_teacher = nn.Linear(EMBEDDING, teacher_size)

    def losses(
        self, waves: torch.Tensor, classes: torch.Tensor, targets: torch.Tensor, margin: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the margin softmax and the teacher loss, both scalars."""
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast; weights and losses stay in float32
            embedding = self.network(waves)
        embedding = embedding.float()
        cosine = nn.functional.normalize(embedding) @ nn.functional.normalize(self.prototypes).T
        own = nn.functional.one_hot(classes, len(self.prototypes)).bool()
        angle = torch.acos(cosine[own].clamp(-1 + 1e-6, 1 - 1e-6))
        cosine = cosine.masked_scatter(own, torch.cos((angle + margin).clamp(max=torch.pi)))
        speaker = nn.functional.cross_entropy(CLASSES_SCALE * cosine, classes)
        teacher = 1 - nn.functional.cosine_similarity(self.to_teacher(embedding), targets).mean()
        return speaker, teacher


def schedule(step: int, steps: int, peak: float) -> float:
    """Return the learning rate: a linear rise over the first 5 %, then half a cosine down to a hundredth."""
    rise = max(1, steps // 20)
    if step < rise:
        return peak * (step + 1) / rise
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))))


def train(
    recipe: Recipe, crops: Crops, folder: Path, checkpoint_seconds: float = 60.0, stop_at: int | None = None
) -> RawSpeakerNet:
    """Train, or go on from the checkpoint in `folder`, and return the network in eval mode.

    Parameters
    ----------
    recipe, crops
        How and on what to train.
    folder
        Where the checkpoint lies.
    checkpoint_seconds
        The least time between two checkpoints.
    stop_at
        A step at which to end early, with a checkpoint.

    Raises
    ------
    BadInput
        If the checkpoint is damaged or belongs to another recipe.
    """
    torch.manual_seed(recipe.seed)
    student = Student(recipe.kernel, crops.classes, crops.speeds[0].teacher.shape[1])
    optimiser = torch.optim.AdamW(student.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    parts = {"student": student, "optimiser": optimiser}
    checkpoint = Checkpoint(folder / f"asv-raw{recipe.kernel}.checkpoint.pt", asdict(recipe), parts)
    checkpoint.resume()
    student.train()
    last = recipe.steps if stop_at is None else min(stop_at, recipe.steps)
    for step in range(checkpoint.done, last):
        for group in optimiser.param_groups:
            group["lr"] = schedule(step, recipe.steps, recipe.learning_rate)
        margin = MARGIN * min(1.0, 4 * step / recipe.steps)
        speaker, teacher = student.losses(*crops.draw(recipe.seed, step, recipe.batch), margin=margin)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(speaker + TEACHER_WEIGHT * teacher)
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        done = step + 1
        if done % 50 == 0:
            print(f"step {done} speaker loss {speaker.item():.3f} teacher loss {teacher.item():.4f}", flush=True)
        if done == last or checkpoint.age > checkpoint_seconds:
            checkpoint.save(done)
    return student.network.eval()


def write_weights(network: RawSpeakerNet, recipe: Recipe, folder: Path) -> Path:
    """Write the safetensors file of a network, batch norms not folded, the recipe in its metadata."""
    path = weights_file(f"asv-raw{recipe.kernel}", folder)
    metadata = {key: str(value) for key, value in asdict(recipe).items()}
    metadata |= {
        "first_channels": str(FIRST_CHANNELS[recipe.kernel]),
        "stem": json.dumps(STEM[recipe.kernel]),
    }
    with atomic_write(path, mode=0o644) as file:
        file.write(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, metadata))
    return path


def write_figures(
    weights: Path, recipe: Recipe, folder: Path, speechocean: Path, crops: Crops, teacher: Path | None
) -> None:
    """Write the model card's figures as JSON beside the weights."""
    name = f"asv-raw{recipe.kernel}"
    model = load_asv_raw(name, path=weights)
    held_out = [speaker.removeprefix(SPEECHOCEAN) for speaker in hold_out(crops.speeds[0])]
    figures = asdict(recipe) | {
        "parameters": sum(parameter.numel() for parameter in RawSpeakerNet(recipe.kernel).parameters()),
        "training_speakers": len(crops.speakers),
        "training_hours": crops.hours,
        "training_seconds": seconds_of(folder / f"{name}.checkpoint.pt"),
        "weights_bytes": weights.stat().st_size,
        "held_out_eer_percent": held_out_eer(model, open_corpus(speechocean / "train"), held_out),
    }
    figures |= card_figures(model, speechocean, teacher)
    weights.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


def hold_out(speech: TrainingSpeech) -> list[str]:
    """Return every twelfth speechocean762 speaker: they are not trained on, and the recipe is chosen by them."""
    return sorted({s for s in speech.speaker.tolist() if s.startswith(SPEECHOCEAN)})[5::12]


def make_folder(folder: Path) -> None:
    """Make the folder for what training writes; BadInput if that is impossible."""
    with explained_errors(folder, "give a folder that can be written", action="made"):
        folder.mkdir(parents=True, exist_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0 when done, 2 for bad input."""
    parser = argparse.ArgumentParser(description="Train a bundled raw-waveform speaker model.")
    parser.add_argument("--kernel", type=int, choices=sorted(STEM), required=True, help="kernel and stride of layer 1")
    parser.add_argument("--speechocean", type=Path, required=True, help="speechocean762 (its train/ is read)")
    parser.add_argument("--speech-commands", type=Path, required=True, help="Speech Commands, as a Kaldi folder")
    parser.add_argument("--esc50", type=Path, required=True, help="ESC-50 (only ESC-10 clips are used, as noise)")
    parser.add_argument("--out", type=Path, required=True, help="weights, checkpoint and cache go here")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--cache", type=Path, help="decoded speech, shared by several runs (default: OUT/cache)")
    parser.add_argument("--teacher", type=Path, help="GE2E's pretrained.pt (default: the resemblyzer wheel's)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        recipe = Recipe(given.kernel, given.steps, given.seed)
        if given.steps < 1:
            raise BadInput(f"--steps {given.steps}: give a number of training steps of at least 1.")
        make_folder(given.out)
        corpora = {SPEECHOCEAN: given.speechocean / "train", SPEECH_COMMANDS: given.speech_commands}
        noises = open_noises(given.esc50)
        speeds = gather_speech(corpora, SPEEDS, given.cache or given.out / "cache", given.teacher)
        crops = Crops(speeds, noises, hold_out(speeds[0]))
        network = train(recipe, crops, given.out)
        weights = write_weights(network, recipe, given.out)
        write_figures(weights, recipe, given.out, given.speechocean, crops, given.teacher)
        print(weights)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
