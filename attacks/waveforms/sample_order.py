"""Shuffling of waveform samples from ciphertext alone: the attack finds which element of a block is which sample.

It searches the order under which speech is most predictable from its past
(`wrongkey.attacks.waveforms.predictability`), over states of speech and with the covariances between successive blocks,
which tell the direction of time and where a block begins. Each linear form that majorises the objective is a quadratic
assignment (`wrongkey.attacks.waveforms.order_search`); orders and forms are improved in turn. The objective has its
minimum at the truth with a wide margin, so what is left is to get there: annealing from several starts, and
rearrangements out of orders that are right up to a pattern.

With background speech, the first start is the order that agrees best with how the covariances of its segments are
distributed over lags (`wrongkey.attacks.waveforms.public_lags`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting
from wrongkey.attacks.waveforms.blind import BLIND, THREAT, cases_with_and_without_background
from wrongkey.attacks.waveforms.block_structure import block_structure
from wrongkey.attacks.waveforms.lag_covariances import (
    autocorrelations,
    block_rows,
    halves,
    lags_for,
    segment_covariances,
    states,
    stationarity,
)
from wrongkey.attacks.waveforms.lag_settings import LagSettings
from wrongkey.attacks.waveforms.learned_once import LearnedOnce
from wrongkey.attacks.waveforms.order_search import (
    Order,
    PairCosts,
    anneal,
    pair_costs,
    pair_costs_by_lag,
    polish,
    rearrangements,
)
from wrongkey.attacks.waveforms.predictability import ENTROPY_ROUNDING, entropy, lag_weights, ordered
from wrongkey.attacks.waveforms.public_lags import LagLikelihoods, learned
from wrongkey.keys.blocks import Blocks


@dataclass(frozen=True)
class SampleOrderSettings(LagSettings):
    """How orders are searched and judged: the fields of `LagSettings` and these.

    An annealing is given as its first temperature, its last temperature, and its moves per element of a block.
    Temperatures are in the units of the costs, nats per sample.

    Attributes
    ----------
    public_windows : tuple of float
        Lengths in seconds of the segments of background speech; each gives one start.
    public_annealing : tuple of float, float and int
        The annealing of a start from background speech.
    decay_annealing : tuple of float, float and int
        The annealing of a start without background speech.
    rounds : int
        How often every kind of start is made, from other random orders.
    enumerated : int
        The largest block size in samples of which all orders are tried.
    temperatures : tuple of float
        First and last of the temperatures of a descent; the linear form is renewed at each of them.
    stages : int
        How many temperatures there are, spaced geometrically.
    stage_moves : int
        Moves per element of a block at each temperature.
    cooling : float
        By this factor the temperature falls between two renewals of the linear form.
    rearranged_gain : float
        By this much, in nats per sample, the end of a rearrangement must lie lower for the descent to go on from it.
    moves : tuple of float
        Kinds of moves of an annealing: where the intervals of [0, 1) end into which a uniform number falls, in the
        sequence of `wrongkey.attacks.waveforms.order_search`, but for the last.
    rearranged_periods : tuple of int
        Periods of the patterns up to which an order may be right.
    rearranged : int
        Rearrangements, the most promising ones, that a descent continues from.
    rearranged_temperature : float
        The temperature of the annealing behind a rearrangement.
    rearranged_moves : int
        Moves per element of a block of this annealing.
    junctions : int
        The costliest junctions of an order at which polishing cuts it into pieces.
    junction_reach : int
        Places on each side of a junction whose pairs make its cost.
    polishing_gain : float
        By this much, at least, a change must lower the cost when an order is polished.
    stationary : float
        Success is claimed only if the stationarity, 0 to 1, reaches this.
    stationary_twice : float
        The same where two starts have led to the order.
    """

    public_seconds: float = 150.0
    public_windows: tuple[float, ...] = (0.128, 0.064)
    public_annealing: tuple[float, float, int] = (0.3, 0.003, 4000)
    decay_annealing: tuple[float, float, int] = (4.0, 0.1, 2000)
    rounds: int = 2
    enumerated: int = 5
    temperatures: tuple[float, float] = (1.0, 0.1)
    stages: int = 5
    stage_moves: int = 400
    cooling: float = 3.0
    moves: tuple[float, ...] = (0.25, 0.5, 0.6, 0.7, 0.8, 0.82, 0.98)
    rearranged_periods: tuple[int, ...] = (2, 3, 4)
    rearranged: int = 4
    rearranged_temperature: float = 0.2
    rearranged_moves: int = 100
    rearranged_gain: float = 1e-6
    junctions: int = 12
    junction_reach: int = 4
    polishing_gain: float = 1e-4
    stationary: float = 0.85
    stationary_twice: float = 0.6


@dataclass(frozen=True)
class RecoveredOrder:
    """An order of the samples of a block, and what supports it.

    Attributes
    ----------
    order : ndarray of int
        The element of the ciphertext at every place, `(M,)`.
    entropy : float
        J of what it decrypts, in nats per sample.
    stationarity : float
        At the worst place, 0 to 1.
    starts : int
        Starts that were made.
    reached : int
        Starts that led to this order.
    """

    order: Order
    entropy: float
    stationarity: float
    starts: int
    reached: int = 1

    def convincing(self, settings: SampleOrderSettings) -> bool:
        """Whether what is decrypted can be predicted and is stationary."""
        least = settings.stationary if self.reached == 1 else settings.stationary_twice
        return self.entropy < settings.predictable and self.stationarity >= least


class SampleOrder(AttackDefaults):
    """Finds the order of the shuffled samples of a block."""

    name = "sample-order"
    family = 5
    threat = THREAT

    def __init__(self, settings: SampleOrderSettings = SampleOrderSettings()) -> None:
        self.settings = settings
        self._public = LearnedOnce(partial(public_likelihoods, settings=settings))

    def inapplicable(self, setting: Setting) -> str | None:
        """Only a key that permutes samples of waveforms can be ordered."""
        if setting.blocks is not Blocks.SAMPLES:
            return f"This attack orders waveform samples, and these blocks are {setting.blocks} of spectrograms."
        if not setting.scheme.permutation:
            return f"This attack orders samples, and keys of {setting.scheme.name} are not permutations alone."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Seconds of ciphertext, with background speech and without."""
        return cases_with_and_without_background()

    def run(self, evidence: Evidence) -> Recovery:
        """The order of lowest entropy.

        Success is claimed where the speech that it decrypts is stationary, and the ciphertext is not.
        """
        setting, background = evidence.setting, evidence.background
        rows = block_rows(evidence.ciphertext, setting.block_size)
        public = []
        if background is not None and evidence.case.variant != BLIND:
            public = self._public(background, setting)
        recovered = recover_order(rows, setting.rate, public, evidence.seed, self.settings)
        key = key_of_order(recovered.order)
        structure = block_structure(rows, key, setting.rate, self.settings)
        return Recovery(
            key=key,
            success_claimed=recovered.convincing(self.settings) and structure.taken_away,
            objective=recovered.entropy,
            measured={
                "stationarity": recovered.stationarity,
                "stationarity of the ciphertext": structure.before,
                "starts": float(recovered.starts),
            },
        )


def public_likelihoods(
    background: BackgroundSpeech, setting: Setting, settings: SampleOrderSettings
) -> list[LagLikelihoods]:
    """The densities in as much background speech as the settings say, for each window."""
    used, samples = [], 0
    for query in background.as_users:
        if samples < settings.public_seconds * setting.rate:
            used.append(query)
            samples += query.shape[-1]
    rows = block_rows(used, setting.block_size)
    return [learned(rows, seconds * setting.rate, settings) for seconds in settings.public_windows]


def recover_order(
    rows: Sequence[Matrix], rate: float, public: Sequence[LagLikelihoods], seed: int, settings: SampleOrderSettings
) -> RecoveredOrder:
    """The order `(M,)` of shuffled block rows `(t, M)`, cut from waveforms of `rate` samples per second.

    One start follows the other until an order is convincing; the one of lowest entropy is returned. Raises BadInput for
    ciphertext that is too short or silent.
    """
    size = rows[0].shape[1] if rows else 0
    lags = max(1, lags_for(settings.prediction_order, max(size, 1)))
    segments = segment_covariances(rows, lags, settings.segment * rate, settings.hop * rate, settings.gate)
    search = OrderSearch(segments, seed, settings)
    if size <= settings.enumerated:
        orders = [np.array(order) for order in permutations(range(size))]
        return search.recovered(min(orders, key=search.entropy), 1)
    best: RecoveredOrder | None = None
    for count, start in enumerate(_starts(rows, segments.mean(0), public, seed, settings), start=1):
        new = search.recovered(search.descend(start()), count)
        best = new if best is None else _better(best, new)
        if best.convincing(settings):
            break
    assert best is not None
    return best


def _better(best: RecoveredOrder, new: RecoveredOrder) -> RecoveredOrder:
    """The order of lower entropy, with the starts that were made and those that led to it."""
    if np.array_equal(new.order, best.order):
        new = replace(new, reached=best.reached + 1)
    return new if new.entropy <= best.entropy else replace(best, starts=new.starts)


def key_of_order(order: Order) -> Matrix:
    """The permutation matrix K with `y[order[i]] = x[i]` for `y = x K`."""
    key = np.zeros((len(order), len(order)))
    key[np.arange(len(order)), order] = 1
    return key


class OrderSearch:
    """Descent of the entropy from a start."""

    def __init__(self, segments: Matrix, seed: int, settings: SampleOrderSettings) -> None:
        self.covariances, self.shares = states(
            segments, settings.states, seed, settings.least_segments, settings.clustering_rounds
        )
        self.both = halves(segments, settings.judged_run)
        self.random, self.settings = np.random.default_rng((seed, 1)), settings  # other numbers than the starts'
        self.size = segments.shape[-1]
        self.rearrangements: NDArray[np.int64] | None = None

    def entropy(self, order: Order) -> float:
        """J of what an order decrypts."""
        return entropy(self._autocorrelations(order), self.shares, self.settings.white_noise)

    def stationarity(self, order: Order) -> float:
        """Of what an order decrypts, at the worst place."""
        return float(stationarity(ordered(self.both, order), self.settings.judged_order).min())

    def recovered(self, order: Order, starts: int) -> RecoveredOrder:
        """The order, and what supports it after so many starts."""
        return RecoveredOrder(order, self.entropy(order), self.stationarity(order), starts)

    def descend(self, order: Order) -> Order:
        """Annealing, then rearrangements while one leads lower."""
        temperatures = np.geomspace(*self.settings.temperatures, self.settings.stages)
        order = self.polished(self._annealed(order, temperatures, self.settings.stage_moves))
        while (lower := self._rearranged(order)) is not None:
            order = lower
        return order

    def _autocorrelations(self, order: Order) -> Matrix:
        return autocorrelations(ordered(self.covariances, order), self.settings.prediction_order)

    def _pairs(self, order: Order) -> PairCosts:
        """The linear form at an order."""
        weights = lag_weights(self._autocorrelations(order), self.shares, self.settings.white_noise)
        return pair_costs(weights, self.covariances)

    def _annealed(self, order: Order, temperatures: Sequence[float] | Matrix, moves: int) -> Order:
        """The best order of an annealing whose linear form is renewed at each temperature; `moves` per element."""
        best, lowest = order, self.entropy(order)
        for hot in temperatures:
            cold = hot / self.settings.cooling
            seed = int(self.random.integers(2**32))  # starts that share one agree more often than independent ones
            order = anneal(self._pairs(order), order, hot, cold, moves * self.size, seed, self.settings.moves)
            here = self.entropy(order)
            if here < lowest:
                best, lowest = order, here
        return best

    def polished(self, order: Order) -> Order:
        """A local minimum of the entropy."""
        settings = self.settings
        while True:
            lower = polish(
                self._pairs(order), order, settings.junctions, settings.junction_reach, settings.polishing_gain
            )
            if self.entropy(lower) >= self.entropy(order) - ENTROPY_ROUNDING:
                return order
            order = lower

    def _rearranged(self, order: Order) -> Order | None:
        """A lower order from one of the rearrangements, the most promising first; None where none is lower."""
        if self.rearrangements is None:
            self.rearrangements = rearrangements(self.size, self.settings.rearranged_periods)
        lowest = self.entropy(order)
        candidates = [order[index] for index in self.rearrangements]
        entropies = [self.entropy(candidate) for candidate in candidates]
        for best in np.argsort(entropies)[: self.settings.rearranged]:
            temperatures = [self.settings.rearranged_temperature]
            lower = self.polished(self._annealed(candidates[best], temperatures, self.settings.rearranged_moves))
            if self.entropy(lower) < lowest - self.settings.rearranged_gain:
                return lower
        return None


def _starts(
    rows: Sequence[Matrix],
    pooled: Matrix,
    public: Sequence[LagLikelihoods],
    seed: int,
    settings: SampleOrderSettings,
) -> Iterator[Callable[[], Order]]:
    """Functions that return a start: from background speech first, then from decaying autocorrelations."""
    rng = np.random.default_rng(seed)
    size = pooled.shape[-1]

    def annealed(pairs: PairCosts, annealing: tuple[float, float, int]) -> Order:
        hot, cold, moves = annealing
        order = rng.permutation(size)
        return anneal(pairs, order, hot, cold, moves * size, int(rng.integers(2**32)), settings.moves)

    def likely(likelihoods: LagLikelihoods) -> Order:
        return annealed(pair_costs_by_lag(likelihoods.pair_costs(rows)), settings.public_annealing)

    def smooth(decay: float) -> Order:
        r = np.array([[decay**lag for lag in range(settings.prediction_order + 1)]])
        weights = lag_weights(r, np.ones(1), settings.decay_white_noise)
        return annealed(pair_costs(weights, pooled[None]), settings.decay_annealing)

    for _ in range(settings.rounds):
        yield from (partial(likely, likelihoods) for likelihoods in public)
        yield from (partial(smooth, decay) for decay in settings.decays)
