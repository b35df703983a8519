"""Shuffling of waveform samples, from ciphertext alone: which element of a block is which sample?

The order is searched under which speech is most predictable from its past
(`wrongkey.attacks.waveforms.predictability`), over states of speech and with the covariances between successive blocks,
which tell time's direction and where a block begins. Each linear form that majorises the objective is a quadratic
assignment (`wrongkey.attacks.waveforms.order_search`); orders and forms are improved in turn. The objective has its
minimum at the truth with a wide margin, so the work is to get there: annealing from several starts, and rearrangements
out of orders that are right up to a pattern.

Where plain speech of other people is at hand, the first start is the order that agrees best with how the covariances of
its segments are distributed over lags (`wrongkey.attacks.waveforms.public_lags`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.waveforms.lag_covariances import (
    autocorrelations,
    block_rows,
    halves,
    lags_for,
    segment_covariances,
    states,
    stationarity,
)
from wrongkey.attacks.waveforms.order_search import (
    Order,
    PairCosts,
    anneal,
    pair_costs,
    pair_costs_by_lag,
    polish,
    rearrangements,
)
from wrongkey.attacks.waveforms.predictability import entropy_of_order, lag_weights, ordered
from wrongkey.attacks.waveforms.public_lags import LagLikelihoods, learned
from wrongkey.keys.schemes import Group

BLIND = "no other speech"  # variant of `Given`
JUDGED_ORDER = 8  # lags whose stationarity is judged
PREDICTION_ORDER = 16  # samples of the past
STATES = 8
SEGMENT, HOP = 0.064, 0.032  # seconds
PUBLIC_WINDOWS = (0.128, 0.064)  # seconds of the segments of other people's speech, one start each
PUBLIC_SECONDS = 150.0  # of other people's speech that are learned from
DECAYS = (0.9, 0.4)  # autocorrelations decay^k of the starts without other speech
ROUNDS = 2  # of all starts, from other random orders
ENUMERATED = 5  # largest block whose orders are all tried
STATIONARY = 0.85  # stationarity from which on an order is taken for the right one
AGREED = 0.6  # the same where two starts have led to it
PREDICTABLE = -0.1  # nats a sample below which the entropy of speech must lie


@dataclass(frozen=True)
class OrderFound:
    """order: element of the ciphertext at every place, `(M,)`. entropy: J there, nats a sample. stationarity: at the
    worst place, 0 to 1. starts: that were made, and reached: how many of them led to this order."""

    order: Order
    entropy: float
    stationarity: float
    starts: int
    reached: int = 1

    @property
    def success_claimed(self) -> bool:
        """Whether what is decrypted can be predicted and is stationary."""
        return self.entropy < PREDICTABLE and self.stationarity >= (STATIONARY if self.reached == 1 else AGREED)


class SampleOrder:
    """Orders the shuffled samples of a block."""

    name = "sample-order"
    family = 5
    threat = Threat(
        "Holds seconds of one victim's encrypted waveforms and, but for the cases without, plain speech of others.",
        frozenset({"ciphertext", "other speech"}),
    )

    def __init__(self) -> None:
        self._public: tuple[BackgroundSpeech, Setting, list[LagLikelihoods]] | None = None

    def inapplicable(self, setting: Setting) -> str | None:
        """Only a key that permutes samples of waveforms can be ordered."""
        if setting.blocks != "samples":
            return f"orders samples of waveforms, and these blocks are {setting.blocks} of spectrograms"
        if setting.scheme.group is not Group.PERMUTATIONS:
            return f"orders samples, and keys of {setting.scheme.name} need not be permutations of them"
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Seconds of ciphertext, with other people's speech and without."""
        return [Case(seconds=s) for s in (1, 2, 5, 10)] + [
            Case(seconds=s, variant=BLIND, needs=frozenset({"ciphertext"})) for s in (2, 5)
        ]

    def run(self, evidence: Evidence) -> Recovery:
        """The order of lowest entropy; believed where the speech that it decrypts is stationary."""
        setting = evidence.setting
        rows = block_rows(evidence.ciphertext, setting.block_size)
        public = [] if evidence.case.variant == BLIND or evidence.background is None else self._learned(evidence)
        found = recover_order(rows, setting.rate, public, evidence.seed)
        return Recovery(
            key=key_of_order(found.order),
            success_claimed=found.success_claimed,
            objective=found.entropy,
            measured={"stationarity": found.stationarity, "starts": float(found.starts)},
        )

    def _learned(self, evidence: Evidence) -> list[LagLikelihoods]:
        """What the other people's speech says, once for all trials that have the same."""
        setting, background = evidence.setting, evidence.background
        assert background is not None
        if self._public is None or self._public[0] is not background or self._public[1] is not setting:
            self._public = background, setting, public_likelihoods(background, setting)
        return self._public[2]


def public_likelihoods(background: BackgroundSpeech, setting: Setting) -> list[LagLikelihoods]:
    """Of the first queries of other people, for each of PUBLIC_WINDOWS."""
    used, samples = [], 0
    for query in background.queries:
        if samples < PUBLIC_SECONDS * setting.rate:
            used.append(query)
            samples += query.shape[-1]
    rows = block_rows(used, setting.block_size)
    windows = [seconds * setting.rate for seconds in PUBLIC_WINDOWS]
    return [learned(rows, window, window / 2) for window in windows]


def recover_order(rows: Sequence[Matrix], rate: float, public: Sequence[LagLikelihoods], seed: int) -> OrderFound:
    """The order `(M,)` of shuffled block rows `(t, M)`, cut from waveforms of `rate` samples a second.

    Starts follow each other until one is believed, at most ROUNDS of each kind; the one of lowest entropy is returned.
    Raises BadInput for ciphertext that is too short or silent.
    """
    size = rows[0].shape[1] if rows else 0
    lags = max(1, lags_for(PREDICTION_ORDER, max(size, 1)))
    segments = segment_covariances(rows, lags, SEGMENT * rate, HOP * rate)
    search = _Search(*states(segments, STATES, seed), halves(segments), seed)
    if size <= ENUMERATED:
        orders = [np.array(order) for order in permutations(range(size))]
        best_order = min(orders, key=search.entropy)
        return search.found(best_order, 1)
    found: OrderFound | None = None
    for count, start in enumerate(_starts(rows, segments.mean(0), public, seed), start=1):
        here = search.found(search.descend(start()), count)
        if found is not None and np.array_equal(here.order, found.order):
            here = replace(here, reached=found.reached + 1)
        found = here if found is None or here.entropy <= found.entropy else replace(found, starts=count)
        if found.success_claimed:
            break
    assert found is not None
    return found


def key_of_order(order: Order) -> Matrix:
    """The permutation matrix K with `y[order[i]] = x[i]` for `y = x K`."""
    key = np.zeros((len(order), len(order)))
    key[np.arange(len(order)), order] = 1
    return key


class _Search:
    """Descent of the entropy from a start."""

    def __init__(self, covariances: Matrix, shares: Matrix, both: Matrix, seed: int) -> None:
        self.covariances, self.shares, self.both, self.seed = covariances, shares, both, seed
        self.size = covariances.shape[-1]
        self.rearranged = rearrangements(self.size) if self.size > ENUMERATED else np.empty((0, self.size), np.int64)

    def entropy(self, order: Order) -> float:
        return entropy_of_order(self.covariances, self.shares, order, PREDICTION_ORDER)

    def stationarity(self, order: Order) -> float:
        return float(stationarity(ordered(self.both, order), JUDGED_ORDER).min())

    def found(self, order: Order, starts: int) -> OrderFound:
        return OrderFound(order, self.entropy(order), self.stationarity(order), starts)

    def descend(self, order: Order) -> Order:
        """Annealing, then rearrangements while one leads lower."""
        order = self._polished(self._annealed(order, np.geomspace(1, 0.1, 5), 400))
        while (lower := self._rearranged(order)) is not None:
            order = lower
        return order

    def _pairs(self, order: Order) -> PairCosts:
        """The linear form at an order."""
        r = autocorrelations(ordered(self.covariances, order), PREDICTION_ORDER)
        return pair_costs(lag_weights(r, self.shares), self.covariances)

    def _annealed(self, order: Order, temperatures: Matrix, moves: int) -> Order:
        """Annealed on the linear form at the order before, `moves` an element at each temperature; the best met."""
        best, lowest = order, self.entropy(order)
        for temperature in temperatures:
            order = anneal(self._pairs(order), order, temperature, temperature / 3, moves * self.size, self.seed)
            if (entropy := self.entropy(order)) < lowest:
                best, lowest = order, entropy
        return best

    def _polished(self, order: Order) -> Order:
        """A local minimum of the entropy."""
        while True:
            lower = polish(self._pairs(order), order, 12)
            if self.entropy(lower) >= self.entropy(order) - 1e-9:
                return order
            order = lower

    def _rearranged(self, order: Order, tried: int = 4) -> Order | None:
        """A lower order from one of the rearrangements, the most promising first; None where none is lower."""
        lowest = self.entropy(order)
        entropies = [self.entropy(order[index]) for index in self.rearranged]
        for candidate in np.argsort(entropies)[:tried]:
            lower = self._polished(self._annealed(order[self.rearranged[candidate]], np.array([0.2]), 100))
            if self.entropy(lower) < lowest - 1e-6:
                return lower
        return None


def _starts(
    rows: Sequence[Matrix], pooled: Matrix, public: Sequence[LagLikelihoods], seed: int
) -> Iterator[Callable[[], Order]]:
    """Functions that return a start: from other people's speech first, then from decaying autocorrelations."""
    rng = np.random.default_rng(seed)
    size = pooled.shape[-1]
    decaying = [np.array([[decay**lag for lag in range(PREDICTION_ORDER + 1)]]) for decay in DECAYS]

    def likely(likelihoods: LagLikelihoods) -> Order:
        pairs = pair_costs_by_lag(likelihoods.pair_costs(rows))
        return anneal(pairs, rng.permutation(size), 0.3, 0.003, 4000 * size, int(rng.integers(2**32)))

    def smooth(autocorrelation: Matrix) -> Order:
        pairs = pair_costs(lag_weights(autocorrelation, np.ones(1), 0.01), pooled[None])
        return anneal(pairs, rng.permutation(size), 4.0, 0.1, 2000 * size, int(rng.integers(2**32)))

    for _ in range(ROUNDS):
        for likelihoods in public:
            yield lambda chosen=likelihoods: likely(chosen)  # type: ignore[misc]
        for autocorrelation in decaying:
            yield lambda chosen=autocorrelation: smooth(chosen)  # type: ignore[misc]
