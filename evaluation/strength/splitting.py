"""Multilevel splitting: the probability of a score that random draws all but never reach.

A population of keys is drawn from the law. The score at or below which `share` of them lie is the next level: the keys
below it are copied until there are as many as before, and each copy makes some Metropolis moves, which leave the law
invariant and are refused where they leave the level. The probability of the goal is the product of the shares that were
kept, times the share of the last population that reaches it (subset simulation, Au and Beck 2001; Botev and Kroese
2012). One run reads every goal on its way down to the lowest one.

Scores are pairs of an error and a tie breaker, compared as Python compares tuples. The levels are nested sets
{score ≤ threshold}, and a goal is exactly {error ≤ goal}, whatever the tie breaker is: it only makes levels where many
keys have one error. A space in which many keys have one *score* gives levels of other shares than `share`, which is
what is multiplied.

The chains of a level depend on nothing but its number, so that any of them can be computed anywhere. The scale of the
moves falls within a level, so that some suit it, and follows their acceptance from one level to the next. Where the
acceptance stays low though the scale is small, as in a finite space near its best keys, a level makes more moves; and a
level whose chains hardly moved is followed by one of the same threshold, which keeps them all.

References: S.-K. Au, J. L. Beck, "Estimation of small failure probabilities in high dimensions by subset simulation",
Probabilistic Engineering Mechanics 16(4), 2001. Z. I. Botev, D. P. Kroese, "Efficient Monte Carlo simulation via the
generalized splitting method", Statistics and Computing 22, 2012.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp

import numpy as np
from numpy.typing import NDArray

from wrongkey.evaluation.strength.moves import Array, Law, States
from wrongkey.evaluation.strength.streams import words_of
from wrongkey.keys.schemes import Matrices

Score = Callable[[Matrices], tuple[Array, Array]]  # errors and tie breakers (n,) of keys (n, N, N)
Pair = tuple[float, float]  # error and tie breaker

FIRST_SCALE = 0.5
SPAN = 4.0  # from the largest to the smallest scale of the moves of a level
LEAST_SCALE = 1e-4
ACCEPTANCE = 0.35  # that the scale aims at
GAIN = 3.0  # of the scale's logarithm per unit of acceptance
MOST_MOVES = 10  # times the plan's
MOST_TIED = 0.5  # share of keys that a level may keep where many have one score
MOST_LEVELS = 400
ENOUGH_MOVED = 1.0  # moves that a chain accepts at a threshold, on average, before the next one
LEAST_MOVED = 0.5  # with fewer, what follows is worth nothing
MOST_REPEATS = 4  # further levels of one threshold
ROUNDED = 1e-9  # of an error beyond a goal


@dataclass(frozen=True)
class Plan:
    """What a run of splitting is made of.

    Attributes
    ----------
    population : int
        Keys of a level.
    share : float
        Share of them that the next level keeps.
    moves : int
        Metropolis moves of every key at a level, where about `ACCEPTANCE` of them are accepted; more where fewer are.
    goals : tuple of float
        Errors whose probability is asked, in any order.
    label : str
        Of the random streams; runs of one label are equal.
    """

    population: int
    share: float
    moves: int
    goals: tuple[float, ...]
    label: str

    @property
    def kept(self) -> int:
        """Keys of a population that the next level keeps where no two have one score."""
        return ceil(self.share * self.population)


@dataclass(frozen=True)
class Population:
    """Keys with their scores.

    Attributes
    ----------
    states : States
        `(n, words)`.
    error, tie : Array
        `(n,)`, their scores.
    ancestor : NDArray
        `(n,)`, the numbers of the keys of the first population that they descend from.
    accepted : NDArray
        `(n,)`, moves of this level that were accepted.
    """

    states: States
    error: Array
    tie: Array
    ancestor: NDArray[np.int64]
    accepted: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.error)

    def __getitem__(self, some: slice | NDArray[np.int64]) -> Population:
        return Population(self.states[some], self.error[some], self.tie[some], self.ancestor[some], self.accepted[some])

    @classmethod
    def joined(cls, parts: Sequence[Population]) -> Population:
        """Several populations as one, in order."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def order(self) -> NDArray[np.intp]:
        """Positions of the keys by their scores."""
        return np.lexsort((self.tie, self.error))


@dataclass(frozen=True)
class Level:
    """One population in numbers: all that estimates are made of, and what the next level needs.

    Attributes
    ----------
    threshold : tuple or None
        The score that the population lies at or below; None for the first.
    scale, acceptance : float or None
        The largest scale of the moves that made it, and the share that was accepted; None for the first.
    moves : int
        Of every key; 0 in the first.
    moved : float or None
        Of them and those of levels of the same threshold before it, how many a chain accepted on average.
    repeats : int
        Levels of the same threshold before it.
    evaluations : int
        Scores that it took.
    share : float
        Share of it that lies at or below `following`.
    following : tuple or None
        The next level's threshold, or its own once more; None where all keys have one score.
    following_scale : float
        Of the next level's moves.
    following_moves : int
        How many these are.
    ancestors : int
        Distinct ancestors in the first population.
    hits, hit_ancestors, families : list
        For each goal, the keys that reach it, their distinct ancestors, and the sum of the squared shares of these.
    best : tuple
        Its least score.
    """

    threshold: Pair | None
    scale: float | None
    acceptance: float | None
    moves: int
    moved: float | None
    repeats: int
    evaluations: int
    share: float
    following: Pair | None
    following_scale: float
    following_moves: int
    ancestors: int
    hits: list[int]
    hit_ancestors: list[int]
    families: list[float]
    best: Pair

    @property
    def repeated(self) -> bool:
        """Whether the next level has the same threshold, because the chains did not move enough."""
        return self.following is not None and self.following == self.threshold


@dataclass(frozen=True)
class Chains:
    """The chains `[start, start + count)` of a level, and all that their computation needs.

    Attributes
    ----------
    level : int
        The level's number, from 0.
    parents : Population or None
        Where the chains begin, one key for each; None in the first level, whose keys are drawn.
    threshold : tuple or None
        The level's.
    scale : float
        Of the first move.
    moves : int
        Of every chain.
    moved, repeats : float, int
        Moves accepted at this threshold before, by a chain on average, and levels of it.
    """

    level: int
    start: int
    count: int
    parents: Population | None = None
    threshold: Pair | None = None
    scale: float = FIRST_SCALE
    moves: int = 0
    moved: float = 0.0
    repeats: int = 0

    def part(self, start: int, stop: int) -> Chains:
        """Some of these chains, by their numbers at the level."""
        parents = None if self.parents is None else self.parents[start - self.start : stop - self.start]
        return replace(self, start=start, count=stop - start, parents=parents)


Grow = Callable[[Chains], Population]


def split(
    grow: Grow, plan: Plan, levels: Sequence[Level] = (), population: Population | None = None
) -> Iterator[tuple[Level, Population]]:
    """Yield each level that a run still needs, with its population, until every goal is read or nothing falls further.

    Parameters
    ----------
    grow
        Computes chains, as `grown` does.
    plan
        What the run is made of.
    levels, population
        The levels that are known already, and the population of the last of them.
    """
    known = list(levels)
    while not finished(known, plan):
        chains = following(plan, known, population)
        population = grow(chains)
        known.append(described(plan, chains, population))
        yield known[-1], population


def finished(levels: Sequence[Level], plan: Plan) -> bool:
    """Whether every goal can be read from these levels, or no further level can be made."""
    if not levels:
        return False
    last = levels[-1]
    read = all(reading(levels, goal, plan) is not None for goal in range(len(plan.goals)))
    stuck = last.moved is not None and not last.repeated and last.moved < LEAST_MOVED
    return read or stuck or last.following is None or len(levels) >= MOST_LEVELS


def reading(levels: Sequence[Level], goal: int, plan: Plan) -> int | None:
    """The first level after which the next would lie in a goal, given by its place; None where none does."""
    for number, level in enumerate(levels):
        within = level.following is not None and level.following[0] <= plan.goals[goal] + ROUNDED
        if not level.repeated and (within or level.hits[goal] >= plan.kept):
            return number
    return None


def following(plan: Plan, levels: Sequence[Level], population: Population | None) -> Chains:
    """The chains of the next level: the first's, or copies of the keys of the last that lie at or below the next."""
    if not levels or population is None:
        return Chains(0, 0, plan.population)
    last = levels[-1]
    assert last.following is not None
    survivors = np.flatnonzero(below(population.error, population.tie, last.following))
    shuffled = words_of(f"{plan.label}/{len(levels)}/order", 0, len(survivors), 1)[:, 0].argsort(kind="stable")
    copies = survivors[shuffled][np.arange(plan.population) % len(survivors)]
    again = (last.moved or 0.0, last.repeats + 1) if last.repeated else (0.0, 0)
    about = (last.following, last.following_scale, last.following_moves, *again)
    return Chains(len(levels), 0, plan.population, population[copies], *about)


def grown(law: Law, score: Score, plan: Plan, chains: Chains) -> Population:
    """Compute chains: draw the keys of a first level, move those of another."""
    label = f"{plan.label}/{chains.level}"
    if chains.parents is None or chains.threshold is None:
        states = law.draw(words_of(label, chains.start, chains.count, law.drawn))
        error, tie = score(law.matrices(states))
        numbers = np.arange(chains.start, chains.start + chains.count)
        return Population(states, error, tie, numbers, np.zeros_like(numbers))
    found = chains.parents
    states, error, tie = found.states.copy(), found.error.copy(), found.tie.copy()
    accepted = np.zeros(chains.count, dtype=np.int64)
    for move in range(chains.moves):
        words = words_of(f"{label}/{move}", chains.start, chains.count, law.moved)
        proposed = law.move(states, words, chains.scale * SPAN ** -(move / chains.moves))
        new_error, new_tie = score(law.matrices(proposed))
        inside = below(new_error, new_tie, chains.threshold)
        states[inside], error[inside], tie[inside] = proposed[inside], new_error[inside], new_tie[inside]
        accepted += inside
    return Population(states, error, tie, found.ancestor, accepted)


def described(plan: Plan, chains: Chains, population: Population) -> Level:
    """A population in numbers."""
    n = len(population)
    order = population.order()
    following, moved = _following(plan, population, order), None
    if chains.threshold is not None:
        moved = chains.moved + float(population.accepted.mean())
        if moved < ENOUGH_MOVED and chains.repeats < MOST_REPEATS:
            following = chains.threshold
    inside = 0 if following is None else int(below(population.error, population.tie, following).sum())
    first = chains.threshold is None
    acceptance = None if first else float(population.accepted.mean() / chains.moves)
    scale, moves = chains.scale, plan.moves
    if acceptance is not None:
        scale *= exp(GAIN * (acceptance - ACCEPTANCE))
        moves = ceil(min(max(ACCEPTANCE / max(acceptance, 1e-9), 1.0), MOST_MOVES) * plan.moves)
    reached = [population.ancestor[population.error <= goal + ROUNDED] for goal in plan.goals]
    counts = [np.unique(some, return_counts=True)[1] for some in reached]
    return Level(
        threshold=chains.threshold,
        scale=None if first else chains.scale,
        acceptance=acceptance,
        moves=chains.moves,
        moved=moved,
        repeats=chains.repeats,
        evaluations=n * max(chains.moves, 1),
        share=inside / n,
        following=following,
        following_scale=min(max(scale, LEAST_SCALE), 1.0),
        following_moves=moves,
        ancestors=len(np.unique(population.ancestor)),
        hits=[len(some) for some in reached],
        hit_ancestors=[len(some) for some in counts],
        families=[float(((some / some.sum()) ** 2).sum()) if len(some) else 0.0 for some in counts],
        best=_pair(population, order[0]),
    )


def below(error: Array, tie: Array, threshold: Pair) -> NDArray[np.bool_]:
    """Which scores lie at or below a threshold."""
    return (error < threshold[0]) | ((error == threshold[0]) & (tie <= threshold[1]))


def _following(plan: Plan, population: Population, order: NDArray[np.intp]) -> Pair | None:
    """The next level's threshold: the quantile, or the next lower score where too many keys have that one."""
    quantile = _pair(population, order[plan.kept - 1])
    if below(population.error, population.tie, quantile).mean() <= MOST_TIED:
        return quantile
    lower = [pair for place in order[: plan.kept] if (pair := _pair(population, place)) < quantile]
    if lower:
        return lower[-1]
    return quantile if _pair(population, order[-1]) > quantile else None


def _pair(population: Population, place: np.intp) -> Pair:
    return float(population.error[place]), float(population.tie[place])
