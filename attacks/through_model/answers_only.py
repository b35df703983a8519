"""Attack 7: only the answers of the encrypted model to the adversary's own queries, under keys of their own choice.

The adversary encrypts background speech with a guessed key, asks the service, and measures how well its answers fit
what they know of that speech: a smooth loss of the answers (how much nearer the embeddings of one voice are than those
of two, how probable the right class is) needs fewer utterances than an error rate to tell which of two keys is better.
For random orthogonal keys the search is CMA-ES [1]_ over the N(N - 1)/2 coordinates around the best guess, in turn with
reflections in the eigenvectors of plain speech's covariance, which also lead to the other determinant. In finite
schemes it climbs from key to neighbouring key.

One query is one key asked about the whole probe set: `Recovery.measured` says how many utterances that is.

References
----------
.. [1] N. Hansen and A. Ostermeier, "Completely derandomized self-adaptation in evolution strategies", Evolutionary
   Computation 9, 2001.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.solvers.orthogonal_group import dimensions, geodesic, mirrors
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.attacks.through_model.answer_loss import Loss, answer_loss, only, works
from wrongkey.attacks.through_model.criterion import covariance
from wrongkey.attacks.through_model.search import guesses, neighbours
from wrongkey.attacks.through_model.settings import AnswersOnlySettings
from wrongkey.errors import BadInput
from wrongkey.keys.schemes import Scheme

DEFAULTS = AnswersOnlySettings()
QUERIES = (100, 1_000)  # a query is one key asked about all utterances
HILL = "hill climbing"  # the variant that takes single geodesic steps instead of CMA-ES


class AnswersOnly(AttackDefaults):
    """Finds a key by asking the encrypted model: no weights, no ciphertext."""

    name = "answers-only"
    family = 7
    claims = "use"
    most_trials = 2  # about 50 ms a query: a trial takes minutes
    threat = Threat(
        "Asks the encrypted model about other people's speech, encrypted with keys of their own, and sees its answers.",
        frozenset({"answers", "other speech"}),
    )

    def __init__(self, settings: AnswersOnlySettings = DEFAULTS) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """It asks a model, whichever it is."""
        return None if setting.model is not None else "It needs a model that answers, and none was given."

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Few queries and many; the latter by hill climbing, too, where keys form a continuum."""
        cases = [Case(queries=queries) for queries in QUERIES]
        if setting.scheme.finite(setting.size):
            return cases
        return [*cases, Case(queries=QUERIES[-1], variant=HILL)]

    def run(self, evidence: Evidence) -> Recovery:
        """Find the key with the least loss on half of the voices; success is claimed where it works on the other half.

        Raises BadInput where nothing answers or no labelled speech is given, where that is too little, and where the
        answers are not to the queries whose labels are known.
        """
        setting, background, seed, settings = evidence.setting, evidence.background, evidence.seed, self.settings
        if evidence.ask is None or background is None or setting.task is None:
            raise BadInput("The attack answers-only needs a model that answers, and labelled speech to ask it about.")
        budget = evidence.case.queries or QUERIES[0]
        asked = _asked(evidence.ask, background, setting, budget, seed, settings)
        guessed = min(max(int(settings.guessed * budget), 1), settings.most_guessed)
        starts = guesses(setting.scheme, setting.size, seed, guessed - 1)
        losses = asked(starts)
        order, baseline = np.argsort(losses), asked.held_out.copy()
        if setting.scheme.finite(setting.size):
            climb(asked, setting.scheme, starts[order], losses[order], seed, settings.drawn)
        else:
            eigenvectors = eigh(covariance(background.queries, setting))[1].flip(-1).mT
            search = hill_climb if evidence.case.variant == HILL else evolve
            for turn in count():
                if asked.left <= 0:
                    break
                reflect(asked, eigenvectors)
                sigma = settings.sigma if turn == 0 else settings.later_sigma
                search(asked, sigma, seed + turn, settings.converged)
        return Recovery(
            key=asked.best.numpy(),
            success_claimed=works(setting, background.labels, asked.best_answers, asked.held, baseline, seed, settings),
            objective=asked.best_loss,
            queries=asked.count,
            measured={
                "utterances of a query": asked.utterances,
                "held-out loss": asked.best_held_out,
                "least held-out loss of a random key": float(baseline.min()),
            },
        )


@dataclass
class Asked:
    """The oracle, with an exact count of queries and the best key so far.

    Attributes
    ----------
    ask : callable
        Answers of the model under keys `(n, N, N)`.
    loss : callable
        Loss of answers on the utterances of an index.
    learned, held : Tensor
        Index of the utterances to search with, and of the others.
    budget, count : int
        Queries that may be asked, and that were.
    size : int
        N.
    best, best_loss, best_held_out, best_answers
        The best key, its losses on both sets of utterances, and the answers under it.
    held_out : Matrix
        Losses on the held-out utterances of every key asked, in order.
    """

    ask: Callable[[Matrix], object]
    loss: Loss
    learned: Tensor
    held: Tensor
    budget: int
    size: int
    count: int = 0
    best_loss: float = float("inf")
    best_held_out: float = float("inf")
    best_answers: object = None
    best: Tensor = field(default_factory=lambda: torch.empty(0))
    held_out: Matrix = field(default_factory=lambda: np.empty(0))

    @property
    def left(self) -> int:
        """Queries that may still be asked."""
        return self.budget - self.count

    @property
    def utterances(self) -> int:
        """Utterances of one query."""
        return len(self.learned) + len(self.held)

    def __call__(self, keys: Tensor) -> Matrix:
        """Return the losses `(n,)` of keys `(n, N, N)`; keys for which no query is left are not asked: infinite."""
        losses = np.full(len(keys), np.inf)
        affordable = keys[: max(self.left, 0)]
        if not len(affordable):
            return losses
        answers = self.ask(affordable.numpy())
        losses[: len(affordable)] = self.loss(answers, self.learned)
        held_out = self.loss(answers, self.held)
        self.count += len(affordable)
        self.held_out = np.concatenate([self.held_out, held_out])
        least = int(losses.argmin())
        if losses[least] < self.best_loss:
            self.best, self.best_loss = affordable[least].clone(), float(losses[least])
            self.best_held_out, self.best_answers = float(held_out[least]), only(answers, least)
        return losses


def evolve(asked: Asked, sigma: float, seed: int, converged: float) -> None:
    """Run CMA-ES over the coordinates around the best key, until it has converged or no query is left."""
    import cma

    centre = asked.best
    options = {"seed": seed + 1, "verbose": -9, "tolx": converged / 10, "maxfevals": asked.left}
    strategy = cma.CMAEvolutionStrategy(np.zeros(max(dimensions(asked.size), 2)), sigma, options)
    while asked.left > 0 and not strategy.stop() and strategy.sigma > converged:
        points = strategy.ask()
        coordinates = torch.from_numpy(np.stack(points))[:, : dimensions(asked.size)]
        losses = asked(geodesic(centre.expand(len(points), -1, -1), coordinates))
        if not np.isfinite(losses).all():
            break
        strategy.tell(points, losses.tolist())


def hill_climb(asked: Asked, sigma: float, seed: int, converged: float) -> None:
    """Take single random geodesic steps from the best key, kept where the loss falls.

    Their length follows the share that succeeds (the 1/5 rule; Rechenberg, "Evolutionsstrategie", 1973), until its
    standard deviation is below `converged` a coordinate.
    """
    generator = torch.Generator().manual_seed(seed)
    deviation = sigma
    while asked.left > 0 and deviation > converged:
        coordinates = deviation * torch.randn(dimensions(asked.size), generator=generator, dtype=torch.float64)
        before = asked.best_loss
        asked(geodesic(asked.best, coordinates)[None])
        deviation *= 1.5 if asked.best_loss < before else 1.5**-0.25


def reflect(asked: Asked, directions: Tensor) -> None:
    """Ask about `-K̂` and `(I - 2 u uᵀ) K̂` for each unit row `u (m, N)`, each time of the best key so far."""
    for mirror in mirrors(directions):
        asked((mirror @ asked.best)[None])


def climb(asked: Asked, scheme: Scheme, starts: Tensor, losses: Matrix, seed: int, drawn: int) -> None:
    """Move from each start `(n, N, N)` in turn to its neighbours in random order, where they lower its loss `(n,)`.

    No key is asked twice. drawn: as in `neighbours`.
    """
    rng, known = np.random.default_rng(seed), {key.numpy().tobytes() for key in starts}
    for here, loss in zip(starts, losses, strict=True):
        moved = True
        while moved:
            moved = False
            changed = [key for key in neighbours(scheme, here, rng, drawn) if key.numpy().tobytes() not in known]
            for i in rng.permutation(len(changed)):
                if asked.left <= 0:
                    return
                known.add(changed[i].numpy().tobytes())
                lower = float(asked(changed[i][None])[0])
                if lower < loss:
                    here, loss, moved = changed[i], lower, True
                    break


def _asked(
    ask: Callable[[Matrix], object],
    background: BackgroundSpeech,
    setting: Setting,
    budget: int,
    seed: int,
    settings: AnswersOnlySettings,
) -> Asked:
    """The oracle of a trial, its probe set split into voices (or utterances) to search with and others."""
    labels = background.labels
    voices = list(labels) if setting.task == "asv" else [str(i) for i in range(len(labels))]
    names = np.unique(voices)
    if len(names) < 4:
        raise BadInput(f"{len(names)} speakers or utterances are too few to search with half of them: give 4 or more.")
    half = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
    held = torch.from_numpy(np.isin(voices, half))
    return Asked(
        ask=ask,
        loss=answer_loss(setting, labels, settings),
        learned=(~held).nonzero()[:, 0],
        held=held.nonzero()[:, 0],
        budget=budget,
        size=setting.size,
    )
