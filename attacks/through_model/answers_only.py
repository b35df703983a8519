"""Attack 7: only the answers of the encrypted model to one's own speech, under keys of one's own choice.

The adversary encrypts other people's speech with a guessed key, asks the service, and looks how well its answers suit
what he knows of that speech: a smooth loss of the answers (how much nearer the embeddings of one voice are than those
of two, how sure the right class is) says sooner than an error rate which of two keys is the better one. For random
orthogonal keys the search is CMA-ES (Hansen and Ostermeier, 2001) over the N(N - 1)/2 coordinates around the best
guess, in turn with reflections in the eigenvectors of plain speech's covariance, which lead to the other determinant
too. In finite schemes it climbs by single changes.

One query is one key asked about the whole probe set: `Recovery.measured` says how many utterances that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.solvers.orthogonal_group import dimensions, geodesic, mirrors
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.attacks.through_model.answer_loss import Loss, answer_loss, only, works
from wrongkey.attacks.through_model.criterion import covariance
from wrongkey.attacks.through_model.search import guesses, neighbours
from wrongkey.errors import BadInput
from wrongkey.keys.schemes import SCHEMES, Scheme

AMOUNTS = (100, 1_000)
GUESSED, MOST_GUESSED = 0.25, 200  # queries that go to random keys; the best of them is where the search begins
SIGMA, LATER_SIGMA = 0.3, 0.15  # first standard deviation of a coordinate, in radians
CONVERGED = 3e-3  # deviation at which a run of CMA-ES ends
SPREAD = 0.3  # first step of hill climbing, relative to √N
HILL = "hill climbing"  # the variant that takes single geodesic steps instead of CMA-ES


class AnswersOnly:
    """Finds a key by asking the encrypted model: no weights, no ciphertext."""

    name = "answers-only"
    family = 7
    most_trials = 2  # some 50 ms a query: a trial takes minutes
    threat = Threat(
        "Asks the encrypted model about other people's speech, encrypted with keys of his own, and sees its answers.",
        frozenset({"answers", "other speech"}),
    )

    def inapplicable(self, setting: Setting) -> str | None:
        return None if setting.model is not None else "it needs a model that answers"

    def cases(self, setting: Setting) -> Sequence[Case]:
        finite = setting.scheme.monomial
        plain = [Case(queries=queries) for queries in AMOUNTS]
        return plain if finite else [*plain, Case(queries=AMOUNTS[-1], variant=HILL)]

    def run(self, evidence: Evidence) -> Recovery:
        """The key with the least loss on half of the voices; believed where it works on the other half, too.

        Raises BadInput where the answers are not to the queries whose labels are known.
        """
        asked = _asked(evidence)
        setting, seed = evidence.setting, evidence.seed
        assert evidence.background is not None
        guessed = min(max(int(GUESSED * asked.budget), 1), MOST_GUESSED)
        finite = setting.scheme.monomial
        starts = guesses(setting.scheme if finite else SCHEMES["rom"], setting.size, seed, guessed - 1, None)
        losses = asked(starts)
        order, baseline = np.argsort(losses), asked.held_out.copy()
        if finite:
            climb(asked, setting.scheme, starts[order], losses[order], seed)
        else:
            eigenvectors = eigh(covariance(evidence.background.queries, setting))[1].flip(-1).mT
            search = hill_climb if evidence.case.variant == HILL else evolve
            for turn in count():
                if asked.left <= 0:
                    break
                reflect(asked, eigenvectors)
                search(asked, SIGMA if turn == 0 else LATER_SIGMA, seed + turn)
        return Recovery(
            key=asked.best.numpy(),
            success_claimed=works(setting, evidence.background.labels, asked.best_answers, asked.held, baseline, seed),
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

    loss: of answers on the utterances of an index. learned, held: index of those searched with, and of the others.
    held_out: losses on the latter of every key asked, in order.
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
        return self.budget - self.count

    @property
    def utterances(self) -> int:
        return len(self.learned) + len(self.held)

    def __call__(self, keys: Tensor) -> Matrix:
        """Losses `(n,)` of keys `(n, N, N)`; infinite for those that no query is left for, which are not asked."""
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


def evolve(asked: Asked, sigma: float, seed: int) -> None:
    """CMA-ES over the coordinates around the best key, until it has converged or no query is left."""
    import cma

    centre = asked.best
    options = {"seed": seed + 1, "verbose": -9, "tolx": CONVERGED / 10, "maxfevals": asked.left}
    strategy = cma.CMAEvolutionStrategy(np.zeros(max(dimensions(asked.size), 2)), sigma, options)
    while asked.left > 0 and not strategy.stop() and strategy.sigma > CONVERGED:
        points = strategy.ask()
        coordinates = torch.from_numpy(np.stack(points))[:, : dimensions(asked.size)]
        losses = asked(geodesic(centre.expand(len(points), -1, -1), coordinates))
        if not np.isfinite(losses).all():
            break
        strategy.tell(points, losses.tolist())


def hill_climb(asked: Asked, sigma: float, seed: int) -> None:
    """Single random geodesic steps from the best key, kept where the loss falls; their length follows the share that
    succeeds (the 1/5 rule; Rechenberg, 1973), until it is below `CONVERGED` a coordinate."""
    generator = torch.Generator().manual_seed(seed)
    deviation = sigma
    while asked.left > 0 and deviation > CONVERGED:
        coordinates = deviation * torch.randn(dimensions(asked.size), generator=generator, dtype=torch.float64)
        before = asked.best_loss
        asked(geodesic(asked.best, coordinates)[None])
        deviation *= 1.5 if asked.best_loss < before else 1.5**-0.25


def reflect(asked: Asked, directions: Tensor) -> None:
    """Asks about `-K̂` and `(I - 2 u uᵀ) K̂` for each unit row `u (m, N)`, each of the best key by then."""
    for mirror in mirrors(directions):
        asked((mirror @ asked.best)[None])


def climb(asked: Asked, scheme: Scheme, starts: Tensor, losses: Matrix, seed: int) -> None:
    """From each start `(n, N, N)` in turn, single changes in random order, kept where they lower its loss `(n,)`.

    No key is asked twice.
    """
    rng, known = np.random.default_rng(seed), {key.numpy().tobytes() for key in starts}
    for here, loss in zip(starts, losses, strict=True):
        moved = True
        while moved:
            moved = False
            changed = [key for key in neighbours(scheme, here) if key.numpy().tobytes() not in known]
            for i in rng.permutation(len(changed)):
                if asked.left <= 0:
                    return
                known.add(changed[i].numpy().tobytes())
                lower = float(asked(changed[i][None])[0])
                if lower < loss:
                    here, loss, moved = changed[i], lower, True
                    break


def _asked(evidence: Evidence) -> Asked:
    """The oracle of a trial, its probe set split into voices (or utterances) to search with and others."""
    setting, background = evidence.setting, evidence.background
    if evidence.ask is None or background is None or setting.task is None:
        raise BadInput("Attack answers-only needs a model that answers, and speech with labels to ask it about.")
    hands = list(background.labels) if setting.task == "asv" else [str(i) for i in range(len(background.labels))]
    names = np.unique(hands)
    if len(names) < 4:
        raise BadInput(f"{len(names)} speakers or utterances are too few to search with half of them: give 4 or more.")
    half = np.random.default_rng(evidence.seed).permutation(names)[: len(names) // 2]
    held = torch.from_numpy(np.isin(hands, half))
    return Asked(
        ask=evidence.ask,
        loss=answer_loss(setting, background.labels),
        learned=(~held).nonzero()[:, 0],
        held=held.nonzero()[:, 0],
        budget=evidence.case.queries or AMOUNTS[0],
        size=setting.size,
    )
