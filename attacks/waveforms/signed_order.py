"""The attack `signed-order`: a permutation of a block's samples with signs, from ciphertext alone.

Absolute values come first. Under signs and a permutation an entry of a lag covariance keeps its absolute value, and
neighbours covary most: an order is annealed on absolute covariances, as if all correlations were positive. Then signs
are searched in that order (`wrongkey.attacks.waveforms.sign_chain`), the order under these signs
(`wrongkey.attacks.waveforms.sample_order`), and so on in turn, while the entropy of what they decrypt falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Matrix, Recovery, Setting
from wrongkey.attacks.waveforms.blind import ALONE
from wrongkey.attacks.waveforms.block_structure import block_structure
from wrongkey.attacks.waveforms.lag_covariances import block_rows, lags_for, segment_covariances, states
from wrongkey.attacks.waveforms.order_search import Order, anneal, pair_costs
from wrongkey.attacks.waveforms.predictability import lag_weights
from wrongkey.attacks.waveforms.sample_order import OrderSearch, SampleOrderSettings, key_of_order
from wrongkey.attacks.waveforms.sign_chain import (
    UNDECIDED,
    RecoveredSigns,
    SignChainSettings,
    recover_signs,
    signed,
)
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.schemes import Group

SECONDS = (2.0, 5.0, 10.0)  # of ciphertext
TURN_ROUNDING = 1e-6  # an entropy after another turn is lower only by more than this


@dataclass(frozen=True)
class SignedOrderSettings(SampleOrderSettings, SignChainSettings):
    """How signs and orders are searched in turn: the fields of both attacks and these.

    Attributes
    ----------
    largest : int
        The largest block size in samples.
    orders : int
        Orders at most from which signs and order are searched in turn.
    turns : int
        How often at most.
    """

    largest: int = 128
    orders: int = 8
    turns: int = 6


@dataclass(frozen=True)
class SignedOrderFound:
    """An order of the samples of a block `(M,)`, and the signs in that order."""

    order: Order
    signs: RecoveredSigns

    @property
    def key(self) -> Matrix:
        """The matrix K `(M, M)`."""
        return self.signs.signs[:, None] * key_of_order(self.order)


class SignedOrder(AttackDefaults):
    """Finds the order and the signs of the samples of a block, up to a common sign."""

    name = "signed-order"
    family = 5
    threat = ALONE

    def __init__(self, settings: SignedOrderSettings = SignedOrderSettings()) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Only a key that permutes samples of waveforms and turns their signs."""
        if setting.blocks is not Blocks.SAMPLES:
            return f"This attack orders waveform samples, and these blocks are {setting.blocks} of spectrograms."
        if not 2 <= setting.size <= self.settings.largest:
            return f"This attack takes blocks of 2 to {self.settings.largest} samples, not of {setting.size}."
        if setting.scheme.group is not Group.SIGNED_PERMUTATIONS:
            return f"This attack finds permutations with signs, and keys of {setting.scheme.name} are no such thing."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Seconds of ciphertext."""
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """The key of lowest entropy.

        Success is claimed where what it decrypts is predictable and stationary, and the ciphertext was not; it is left
        open where the spectrum may be turned around. Raises BadInput where the ciphertext is silent or too short.
        """
        setting = evidence.setting
        rows = block_rows(evidence.ciphertext, setting.block_size)
        found = recover_signed_order(rows, setting.rate, evidence.seed, self.settings)
        structure = block_structure(rows, found.key, setting.rate, self.settings)
        return Recovery(
            found.key,
            success_claimed=found.signs.success_claimed if structure.taken_away else False,
            objective=found.signs.entropy,
            measured={"stationarity": structure.after, "stationarity of the ciphertext": structure.before},
            note="" if found.signs.certain else UNDECIDED,
        )


def recover_signed_order(
    rows: Sequence[Matrix], rate: float, seed: int, settings: SignedOrderSettings
) -> SignedOrderFound:
    """The order and signs of block rows `(t, M)`, from one start after the other until one is convincing.

    rate: samples per second. Raises BadInput for ciphertext that is too short or silent.
    """
    size = rows[0].shape[1] if rows else 1
    lags = max(1, lags_for(settings.prediction_order, size))
    segments = segment_covariances(rows, lags, settings.segment * rate, settings.hop * rate, settings.gate)
    rng = np.random.default_rng(seed)
    absolute = _absolute(segments, seed, settings)
    best: SignedOrderFound | None = None
    for start in range(settings.orders):
        order = _start(absolute, settings.decays[start % len(settings.decays)], rng, settings)
        found = _in_turn(rows, segments, order, rate, seed, settings)
        if best is None or found.signs.entropy < best.signs.entropy:
            best = found
        if best.signs.stationary:
            break
    assert best is not None
    return best


def _absolute(segments: Matrix, seed: int, settings: SignedOrderSettings) -> Matrix:
    """Absolute lag covariances `(L + 1, M, M)`, of each state of speech and then averaged: opposite ones add up."""
    of_states, shares = states(segments, settings.states, seed, settings.least_segments, settings.clustering_rounds)
    return np.asarray(np.tensordot(shares, np.abs(of_states), 1))


def _start(absolute: Matrix, decay: float, rng: np.random.Generator, settings: SignedOrderSettings) -> Order:
    """An order under which absolute covariances decay with the distance."""
    size = absolute.shape[-1]
    r = decay ** np.arange(settings.prediction_order + 1.0)
    pairs = pair_costs(lag_weights(r[None], np.ones(1), settings.decay_white_noise), absolute[None])
    hot, cold, moves = settings.decay_annealing
    return anneal(pairs, rng.permutation(size), hot, cold, moves * size, int(rng.integers(2**32)), settings.moves)


def _in_turn(
    rows: Sequence[Matrix], segments: Matrix, order: Order, rate: float, seed: int, settings: SignedOrderSettings
) -> SignedOrderFound:
    """Signs in an order, the order under these signs, and so on, while the entropy falls."""
    best = SignedOrderFound(order, recover_signs([part[:, order] for part in rows], rate, None, seed, settings))
    for turn in range(settings.turns):
        signs = np.empty(len(order))
        signs[best.order] = best.signs.signs  # of the ciphertext's elements
        search = OrderSearch(signed(segments, signs), seed, settings)
        order = search.polished(best.order) if turn else search.descend(best.order)
        new = SignedOrderFound(order, recover_signs([part[:, order] for part in rows], rate, None, seed, settings))
        if new.signs.entropy >= best.signs.entropy - TURN_ROUNDING:
            break
        best = new
    return best
