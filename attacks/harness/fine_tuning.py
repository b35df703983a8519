"""What owners may do before they encrypt: train a public model a little further, so that its kernels are not public.

The training is short and needs no labels: the model learns to answer noisy speech as it answered clean speech before.
What matters to the attacks is how far the first layer's kernels move, which follows from the learning rate and the
number of steps.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.attacks.base import BackgroundSpeech
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.compatibility import keyed_weights

STEPS = 100
BATCH = 8  # pieces of speech per step
LEARNING_RATE = 1e-4
NOISE_DB = (5.0, 20.0)  # signal-to-noise ratios of the noisy speech
LONGEST = 300_000  # numbers of a piece; longer pieces are left out
NUMBERS = ("embed", "encode", "classify")  # functions of a model that answer numbers


def fine_tuned(model: Model, background: BackgroundSpeech, what: str, seed: int) -> Model:
    """A copy of a model after a short, seeded training on background speech.

    Parameters
    ----------
    model : Model
        The public model.
    background : BackgroundSpeech
        What it is trained on; labels are not used.
    what : str
        "first layer fine-tuned" trains only the weights that carry the key. "all fine-tuned" trains everything, and
        batch norms take the statistics of the new speech. " N steps" after either trains N steps instead of 100.
    seed : int
        The seed of batches and noise.

    Returns
    -------
    Model
        The trained copy, in evaluation mode.

    Raises
    ------
    BadInput
        For other words, no speech, pieces that are too long to learn from, and a model that answers no numbers to learn
        from.
    """
    steps = steps_of(what)
    if not background.queries:
        raise BadInput("Fine-tuning was given no speech: name background speech with --background CORPUS.")
    tuned = copy.deepcopy(model)
    answer, reference = _answer(tuned), _answer(model)
    parameters = _trained(tuned, what)
    training = torch.optim.AdamW(parameters, LEARNING_RATE)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(seed)
        learned = steps == 0
        for _ in range(steps):
            training.zero_grad()
            groups = _batch(model, background.queries, rng)
            learned = learned or bool(groups)
            for group in groups:
                with torch.no_grad():
                    target = reference(group)
                loss = _distance(answer(_noisy(group, rng)), target) * len(group) / BATCH
                if not loss.requires_grad:
                    raise BadInput(f"Model {model.name} gives no gradients to its weights: it cannot be fine-tuned.")
                loss.backward()  # type: ignore[no-untyped-call]
            training.step()
    if not learned:
        raise BadInput(
            f"Fine-tuning learns from pieces of at most {LONGEST:,} numbers, and {model.name} cuts this speech into "
            "longer ones: give shorter background utterances."
        )
    tuned.network.eval().requires_grad_(False)
    return tuned


def steps_of(what: str) -> int:
    """Training steps that the words ask for. Raises BadInput for words that are not known.

    Examples
    --------
    >>> steps_of("all fine-tuned"), steps_of("first layer fine-tuned 20 steps")
    (100, 20)
    """
    found = re.fullmatch(r"(?:first layer|all) fine-tuned(?: (\d+) steps)?", what)
    if found is None:
        raise BadInput(
            f"Fine-tuning {what!r} is not known: say 'first layer fine-tuned' or 'all fine-tuned', with ' N steps' "
            "after it for another number."
        )
    return int(found[1] or STEPS)


def _trained(tuned: Model, what: str) -> list[nn.Parameter]:
    network = tuned.network.eval().requires_grad_(False)
    if what.startswith("all"):
        network.train()
        parameters = [parameter for parameter in network.parameters() if parameter.is_floating_point()]
    else:
        layer = network.get_submodule(tuned.first_layer)
        parameters = [layer.get_parameter(name) for name in keyed_weights(layer)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters


def _answer(model: Model) -> Callable[[Tensor], Tensor]:
    """The function of a model that answers numbers, without the decorator that keeps gradients from it."""
    for name in NUMBERS:
        method = getattr(model, name, None)
        if method is not None:
            bound = hasattr(method, "__func__")
            function = inspect.unwrap(method.__func__ if bound else method)
            return partial(function, model) if bound else function
    raise BadInput(f"Model {model.name} answers only texts, and fine-tuning learns from numbers: give it `encode`.")


def _batch(model: Model, queries: Sequence[Tensor], rng: np.random.Generator) -> list[Tensor]:
    """Pieces of some queries, stacked where their shapes are equal."""
    by_shape: dict[tuple[int, ...], list[Tensor]] = {}
    for index in rng.integers(len(queries), size=BATCH):
        pieces = model.segments(queries[int(index)])
        piece = pieces[int(rng.integers(len(pieces)))]
        if piece.numel() <= LONGEST:
            by_shape.setdefault(tuple(piece.shape), []).append(piece)
    return [torch.stack(members) for members in by_shape.values()]


def _noisy(pieces: Tensor, rng: np.random.Generator) -> Tensor:
    decibel = torch.from_numpy(rng.uniform(*NOISE_DB, len(pieces))).to(pieces)
    scale = pieces.flatten(1).square().mean(1).sqrt() * 10 ** (-decibel / 20)
    return pieces + torch.randn_like(pieces) * scale.reshape(-1, *[1] * (pieces.ndim - 1))


def _distance(answers: Tensor, target: Tensor) -> Tensor:
    """Squared distance relative to the target's spread: the same for every kind of answer."""
    return (answers - target).square().mean() / target.var().clamp(min=1e-8)
