"""Train `asc-convmixer` on the ESC-10 clips of ESC-50 and measure it on folds that it has not seen.

    python -m training.asc_convmixer --esc50 DIR --out DIR

Five trainings, each with one fold held out; the one without fold 5 is the model that ships. A checkpoint is written
every 20 epochs, and the same command continues from it.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from training.averaging import average_weights
from training.checkpoint import Checkpoint, seconds_of
from training.timing import least_milliseconds
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio
from wrongkey.evaluation.models.bundled.asc_convmixer import (
    BINS,
    FRAMES,
    NAME,
    SAMPLE_RATE,
    ConvMixer,
    front_end,
    load_asc_convmixer,
)
from wrongkey.files import atomic_write

SHIPPED = 5  # the fold that the shipped weights have not seen
SAVED_EVERY = 20
AVERAGE = 0.99  # of the moving average of the weights
SPEEDS = (1.0, 0.85, 1.18)  # a clip is also heard faster and slower (resampled)


@dataclass(frozen=True)
class Recipe:
    """What a training is; `fold` is held out."""

    fold: int
    epochs: int = 100
    batch: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Clips:
    """log_mel `(clips, versions, 64, 248)`, one version per speed; label, fold `(clips,)`; classes by label."""

    log_mel: Tensor
    label: Tensor
    fold: Tensor
    classes: tuple[str, ...]


def read_clips(esc50: Path, cache: Path) -> Clips:
    """Return every ESC-10 clip as the front end gives it, from the cache or computed now."""
    table = next((path for path in (esc50 / "esc50.csv", esc50 / "meta" / "esc50.csv") if path.is_file()), None)
    if table is None:
        raise BadInput(f"{esc50}: no esc50.csv there; give the folder of ESC-50.")
    with table.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["esc10"] == "True"]
    classes = tuple(sorted({row["category"] for row in rows}))
    if not cache.is_file():
        torch.save(torch.stack([versions(_audio(esc50, row["filename"])) for row in rows]), cache)
    log_mel = torch.load(cache, weights_only=True)
    if len(log_mel) != len(rows):
        raise BadInput(
            f"{cache} holds {len(log_mel)} clips, {table} names {len(rows)}: remove it or give another --out."
        )
    return Clips(
        log_mel,
        torch.tensor([classes.index(row["category"]) for row in rows]),
        torch.tensor([int(row["fold"]) for row in rows]),
        classes,
    )


def versions(wave: np.ndarray) -> Tensor:
    """Return one clip at every speed, `(speeds, 64, 248)`."""
    out = []
    for speed in SPEEDS:
        place = np.arange(0, len(wave) - 1, speed)
        played = torch.from_numpy(np.interp(place, np.arange(len(wave)), wave).astype(np.float32))
        out.append(front_end(played)[:, :FRAMES])
    return torch.stack(out)


def _audio(esc50: Path, filename: str) -> np.ndarray:
    files = sorted((esc50 / "audio").glob(f"{Path(filename).stem}.*"))
    if not files:
        raise BadInput(f"{esc50 / 'audio' / filename} does not exist: fetch ESC-50 again.")
    return load_audio(files[0], SAMPLE_RATE, channels="mix")


def augmented(rng: np.random.Generator, log_mel: Tensor) -> Tensor:
    """Augment spectrograms `(clips, 64, 248)`: rolled in time and by a few bins, filtered, masked, with some noise."""
    out = []
    for clip in log_mel:
        clip = clip.roll(int(rng.integers(FRAMES)), dims=1)
        clip = clip.roll(int(rng.integers(-3, 4)), dims=0)
        knots = torch.from_numpy(rng.normal(0, 0.3, (1, 1, 6))).float()
        clip = clip + torch.nn.functional.interpolate(knots, BINS, mode="linear", align_corners=True)[0].T
        for axis, widest in ((0, 12), (0, 12), (1, 50), (1, 50)):
            width = int(rng.integers(widest + 1))
            clip.narrow(axis, int(rng.integers(clip.shape[axis] - width + 1)), width).fill_(0.0)
        out.append(clip + float(rng.uniform(0, 0.3)) * torch.from_numpy(rng.standard_normal(clip.shape, np.float32)))
    return torch.stack(out)


def mixed(rng: np.random.Generator, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mix each clip and its target with a share of another (mixup, Zhang et al., ICLR 2018)."""
    share = torch.from_numpy(rng.beta(0.4, 0.4, len(x))).float()
    other = torch.from_numpy(rng.permutation(len(x)))
    x = share[:, None, None] * x + (1 - share)[:, None, None] * x[other]
    return x, share[:, None] * target + (1 - share)[:, None] * target[other]


def train(recipe: Recipe, clips: Clips, folder: Path, stop_at: int | None = None) -> ConvMixer:
    """Train on every fold but one, or go on from the checkpoint; return the moving average of the weights.

    `stop_at` is an epoch before the last to stop at. BadInput is raised for an unfit checkpoint.
    """
    torch.manual_seed(recipe.seed)
    network = ConvMixer(len(clips.classes))
    average = copy.deepcopy(network)
    chosen = torch.nonzero(clips.fold != recipe.fold)[:, 0].numpy()
    per_epoch = len(chosen) // recipe.batch
    optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, recipe.epochs * per_epoch, pct_start=0.2
    )
    parts: dict[str, Any] = {"network": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    checkpoint = Checkpoint(folder / f"{NAME}-fold{recipe.fold}.checkpoint.pt", asdict(recipe), parts)
    checkpoint.resume()
    last = stop_at or recipe.epochs
    for epoch in range(checkpoint.done, last):
        rng = np.random.default_rng([recipe.seed, epoch])
        for batch in np.split(rng.permutation(chosen)[: per_epoch * recipe.batch], per_epoch):
            loss = _step(network, optimiser, clips, rng, batch, recipe.smoothing)
            schedule.step()
            average_weights(average, network, min(AVERAGE, (epoch + 1) / (epoch + 10)))
        if (epoch + 1) % SAVED_EVERY == 0 or epoch + 1 == last:
            checkpoint.save(epoch + 1)
            print(f"fold {recipe.fold}, epoch {epoch + 1}: loss {loss:.3f}, {checkpoint.seconds:.0f} s", flush=True)
    return average.eval()


def _step(
    network: ConvMixer,
    optimiser: torch.optim.Optimizer,
    clips: Clips,
    rng: np.random.Generator,
    batch: np.ndarray,
    smoothing: float,
) -> float:
    speeds = rng.integers(len(SPEEDS), size=len(batch))
    x = augmented(rng, clips.log_mel[batch, speeds])
    target = torch.nn.functional.one_hot(clips.label[batch], len(clips.classes)).float()
    x, target = mixed(rng, x, target)
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(x)
    loss = torch.nn.functional.cross_entropy(logits.float(), target, label_smoothing=smoothing)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


@torch.inference_mode()
def held_out(network: ConvMixer, clips: Clips, fold: int) -> dict[str, Any]:
    """Return the accuracy in percent on a fold, its number of clips and the confusions, most frequent first."""
    chosen = clips.fold == fold
    label, guess = clips.label[chosen], network.eval()(clips.log_mel[chosen, 0]).argmax(1)
    wrong: dict[str, int] = {}
    for a, b in zip(label[label != guess].tolist(), guess[label != guess].tolist(), strict=True):
        pair = f"{clips.classes[a]} taken for {clips.classes[b]}"
        wrong[pair] = wrong.get(pair, 0) + 1
    accuracy = 100 * float((label == guess).double().mean())
    confusions = dict(sorted(wrong.items(), key=lambda item: -item[1]))
    return {"accuracy_percent": accuracy, "clips": int(chosen.sum()), "confusions": confusions}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 when done, 2 for bad input."""
    parser = argparse.ArgumentParser(description="Train the bundled classifier of sound events.")
    parser.add_argument("--esc50", type=Path, required=True, help="ESC-50 (only its ESC-10 clips are used)")
    parser.add_argument("--out", type=Path, required=True, help="weights, checkpoints and cache go here")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if given.epochs < 1:
            raise BadInput(f"--epochs {given.epochs}: give a number of epochs of at least 1.")
        given.out.mkdir(parents=True, exist_ok=True)
        clips = read_clips(given.esc50, given.out / "clips.pt")
        figures: dict[str, Any] = {"folds": {}, "seconds": 0.0}
        for fold in (SHIPPED, 1, 2, 3, 4):
            recipe = Recipe(fold, epochs=given.epochs, seed=given.seed)
            network = train(recipe, clips, given.out)
            figures["folds"][str(fold)] = held_out(network, clips, fold)
            print(fold, figures["folds"][str(fold)], flush=True)
            figures["seconds"] += seconds_of(given.out / f"{NAME}-fold{fold}.checkpoint.pt")
            if fold == SHIPPED:
                weights = given.out / f"{NAME}.safetensors"
                tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
                about = {"classes": json.dumps(clips.classes), "held_out_fold": str(fold)}
                with atomic_write(weights) as file:
                    file.write(save(tensors, about))
        accuracies = [fold["accuracy_percent"] for fold in figures["folds"].values()]
        figures |= asdict(recipe) | {
            "fold": SHIPPED,
            "five_folds_mean_percent": float(np.mean(accuracies)),
            "five_folds_sd_percent": float(np.std(accuracies, ddof=1)),
            "parameters": sum(p.numel() for p in ConvMixer(len(clips.classes)).parameters()),
            "weights_bytes": weights.stat().st_size,
            "milliseconds_one_core": least_milliseconds(
                load_asc_convmixer(path=weights).classify, torch.randn(1, BINS, FRAMES)
            ),
            "milliseconds_front_end": least_milliseconds(front_end, torch.randn(5 * SAMPLE_RATE)),
        }
        weights.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
        print(weights)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
