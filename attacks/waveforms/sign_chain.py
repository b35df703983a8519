"""Flipping of waveform samples, from ciphertext alone: which elements of a block have the other sign?

The signs are searched under which speech is most predictable from its past
(`wrongkey.attacks.waveforms.predictability`); each linear form that majorises the objective is a quadratic form in the
signs, `sᵀ W s`, lowered by flips of single signs and of all behind a place. Starts: autocorrelations that decay (speech
has most of its energy at low frequencies: neighbours correlate), and, where other people's speech is at hand, the signs
that its covariances have at every lag.

Alternating signs turn a spectrum around, and for even blocks what they decrypt is as predictable: that last bit is
decided by other people's speech, or by the sign of the correlation of neighbouring samples, positive in plain speech.
Pre-emphasised, it may have either sign; unless it is large, the attack without other speech cannot tell, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.solvers.stable_linalg import array_eigh
from wrongkey.attacks.waveforms.lag_covariances import (
    autocorrelations,
    block_rows,
    halves,
    lags_for,
    scalar_lags,
    segment_covariances,
    states,
    stationarity,
)
from wrongkey.attacks.waveforms.predictability import entropy, entry_weights, lag_weights
from wrongkey.attacks.waveforms.public_lags import LAGS, LagLikelihoods, learned
from wrongkey.keys.schemes import Group

BLIND = "no other speech"  # variant of `Given`
PREDICTION_ORDER = 16  # samples of the past
JUDGED_ORDER = 8  # lags whose stationarity is judged
STATES = 8
SEGMENT, HOP = 0.064, 0.032  # seconds
PUBLIC_WINDOW = 0.064  # seconds of the segments of other people's speech
PUBLIC_SECONDS = 100.0  # of other people's speech that are learned from
DECAYS = (0.9, 0.4)  # autocorrelations decay^k of the starts without other speech
KICKS = 60  # local minima that are tried from disturbed signs where the first are not believed
STATIONARY = 0.4  # stationarity from which on signs are taken for the right ones; one wrong sign gives about 0.2
CORRELATED = 0.7  # correlation of neighbouring samples, weighted by energy, that tells a spectrum from a turned one
PREDICTABLE = -0.1  # nats a sample below which the entropy of speech must lie


@dataclass(frozen=True)
class SignsFound:
    """signs: `(M,)`. entropy: J there, nats a sample. stationarity: at the worst place, 0 to 1. certain: whether it is
    known that the spectrum is not turned around."""

    signs: Matrix
    entropy: float
    stationarity: float
    certain: bool

    @property
    def success_claimed(self) -> bool | None:
        """Whether what is decrypted can be predicted and is stationary; None where its spectrum may be turned."""
        stationary = self.entropy < PREDICTABLE and self.stationarity >= STATIONARY
        return stationary if self.certain or not stationary else None


class SignChain:
    """Finds the signs of flipped samples of a block, up to a common one."""

    name = "sign-chain"
    family = 5
    threat = Threat(
        "Holds seconds of one victim's encrypted waveforms and, but for the cases without, plain speech of others.",
        frozenset({"ciphertext", "other speech"}),
    )

    def __init__(self) -> None:
        self._public: tuple[BackgroundSpeech, Setting, LagLikelihoods] | None = None

    def inapplicable(self, setting: Setting) -> str | None:
        """Only a key that flips signs of samples of waveforms has signs to find."""
        if setting.blocks != "samples":
            return f"finds signs of samples of waveforms, and these blocks are {setting.blocks} of spectrograms"
        if setting.scheme.group is not Group.SIGNS:
            return f"finds signs of samples, and keys of {setting.scheme.name} need not be signs alone"
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Seconds of ciphertext, with other people's speech and without."""
        return [Case(seconds=s) for s in (1, 2, 5, 10)] + [
            Case(seconds=s, variant=BLIND, needs=frozenset({"ciphertext"})) for s in (2, 5)
        ]

    def run(self, evidence: Evidence) -> Recovery:
        """The signs of lowest entropy; believed where the speech that they decrypt is stationary."""
        setting = evidence.setting
        rows = block_rows(evidence.ciphertext, setting.block_size)
        public = None if evidence.case.variant == BLIND or evidence.background is None else self._learned(evidence)
        found = recover_signs(rows, setting.rate, public, evidence.seed)
        return Recovery(
            key=np.diag(found.signs),
            success_claimed=found.success_claimed,
            objective=found.entropy,
            measured={"stationarity": found.stationarity},
            note=""
            if found.certain
            else "the key may be this one with every second sign turned: neighbours hardly correlate",
        )

    def _learned(self, evidence: Evidence) -> LagLikelihoods:
        """What the other people's speech says, once for all trials that have the same."""
        setting, background = evidence.setting, evidence.background
        assert background is not None
        if self._public is None or self._public[0] is not background or self._public[1] is not setting:
            lengths = np.cumsum([query.shape[-1] for query in background.queries])
            used = background.queries[: 1 + int(np.searchsorted(lengths, PUBLIC_SECONDS * setting.rate))]
            window = PUBLIC_WINDOW * setting.rate
            self._public = background, setting, learned(block_rows(used, setting.block_size), window, window / 2)
        return self._public[2]


def recover_signs(rows: Sequence[Matrix], rate: float, public: LagLikelihoods | None, seed: int) -> SignsFound:
    """Signs `(M,)`, the first positive, of block rows `(t, M)` cut from waveforms of `rate` samples a second.

    Raises BadInput for ciphertext that is too short or silent.
    """
    size = rows[0].shape[1] if rows else 1
    lags = max(1, lags_for(PREDICTION_ORDER, size))
    segments = segment_covariances(rows, lags, SEGMENT * rate, HOP * rate)
    covariances, shares = states(segments, STATES, seed)
    forms = [_decaying(segments.mean(0), decay) for decay in DECAYS]
    evidence = -forms[0] if public is None else sign_evidence(public, rows)
    starts = (lowest_signs(form) for form in [-evidence, *forms])
    alternating = _alternating(size)
    found = [_descended(covariances, shares, signs) for signs in _with_turned(starts, alternating)]
    best = min(found, key=lambda signs: _entropy(covariances, shares, signs))
    both = halves(segments)
    if _stationarity(both, best) < STATIONARY:
        best = _kicked(covariances, shares, best, seed)
    certain = True
    if size % 2 == 0:
        turned, certain = _turned(rows, best, evidence if public is not None else None)
        best = best * alternating if turned else best
    return SignsFound(best * best[0], _entropy(covariances, shares, best), _stationarity(both, best), certain)


def signed(covariances: Matrix, signs: Matrix) -> Matrix:
    """Covariances `(..., N, N)` of rows times these signs `(N,)`."""
    return covariances * (signs[:, None] * signs)


def lowest_signs(form: Matrix) -> Matrix:
    """Signs `(N,)` that lower `sᵀ W s`, `W (N, N)`: from its lowest eigenvector, and from a chain along the block."""
    symmetric = (form + form.T) * (1 - np.eye(len(form))) / 2
    eigenvector = array_eigh(symmetric)[1][:, 0]
    chained = np.ones(len(form))
    for place in range(1, len(form)):
        chained[place] = -1.0 if symmetric[place, :place] @ chained[:place] > 0 else 1.0
    found = [descended_signs(symmetric, start) for start in (np.where(eigenvector < 0, -1.0, 1.0), chained)]
    return min(found, key=lambda signs: float(signs @ symmetric @ signs))


def descended_signs(symmetric: Matrix, signs: Matrix) -> Matrix:
    """A local minimum of `sᵀ W s` for flips of one sign and of all signs from one place on; W has a zero diagonal."""
    while True:
        agreement = symmetric * (signs[:, None] * signs)
        single = agreement.sum(1)  # half of what a flip of each sign takes away
        corner = agreement.cumsum(0).cumsum(1)
        whole = corner[:, -1]
        across = np.append(0.0, (whole - np.diagonal(corner))[:-1])  # entries between places before and from each on
        gain = max(single.max(), across.max())
        if gain <= 1e-12 * np.abs(symmetric).sum():
            return signs
        signs = signs.copy()
        if single.max() >= across.max():
            signs[single.argmax()] *= -1
        else:
            signs[across.argmax() :] *= -1


def sign_evidence(public: LagLikelihoods, rows: Sequence[Matrix]) -> Matrix:
    """`(N, N)`: log odds that two elements have the same sign, from all covariances at lags 1 to LAGS."""
    odds = public.sign_evidence(rows)
    lag = scalar_lags(odds.shape[-1], odds.shape[1] - 1)
    evidence: Matrix = sum((odds[k - 1] * (lag == k)).sum(0) for k in range(1, LAGS + 1))
    return evidence


def _decaying(pooled: Matrix, decay: float) -> Matrix:
    """The form at an autocorrelation that decays, `(N, N)`, of pooled covariances `(L + 1, N, N)`."""
    r = decay ** np.arange(PREDICTION_ORDER + 1.0)
    return _form(pooled[None], lag_weights(r[None], np.ones(1), 0.01))


def _form(covariances: Matrix, weights: Matrix) -> Matrix:
    size, lags = covariances.shape[-1], covariances.shape[1] - 1
    form: Matrix = (entry_weights(weights, size, lags) * covariances).sum((0, 1))
    return form


def _entropy(covariances: Matrix, shares: Matrix, signs: Matrix) -> float:
    return entropy(autocorrelations(signed(covariances, signs), PREDICTION_ORDER), shares)


def _descended(covariances: Matrix, shares: Matrix, signs: Matrix) -> Matrix:
    """A local minimum of the entropy, by one linear form after the other."""
    while True:
        r = autocorrelations(signed(covariances, signs), PREDICTION_ORDER)
        form = _form(covariances, lag_weights(r, shares))
        lower = descended_signs((form + form.T) * (1 - np.eye(len(form))) / 2, signs)
        if _entropy(covariances, shares, lower) >= _entropy(covariances, shares, signs) - 1e-9:
            return signs
        signs = lower


def _kicked(covariances: Matrix, shares: Matrix, best: Matrix, seed: int) -> Matrix:
    """The best of KICKS local minima, each from the best so far with the signs between random places flipped."""
    rng = np.random.default_rng(seed)
    lowest = _entropy(covariances, shares, best)
    for _ in range(KICKS):
        cuts = rng.random(len(best)) < rng.choice([0.03, 0.1, 0.3])
        signs = _descended(covariances, shares, best * np.where(cuts.cumsum() % 2, -1.0, 1.0))
        if (entropy_here := _entropy(covariances, shares, signs)) < lowest - 1e-9:
            best, lowest = signs, entropy_here
    return best


def _stationarity(both: Matrix, signs: Matrix) -> float:
    return float(stationarity(signed(both, signs), JUDGED_ORDER).min())


def _with_turned(starts: Iterator[Matrix], alternating: Matrix) -> Iterator[Matrix]:
    """Every start, and the same with its spectrum turned around where that makes a difference."""
    if len(alternating) % 2 == 0:
        return starts
    return chain.from_iterable((signs, signs * alternating) for signs in starts)


def _turned(rows: Sequence[Matrix], signs: Matrix, evidence: Matrix | None) -> tuple[bool, bool]:
    """Whether the spectrum of what the signs decrypt is turned around, and whether that is certain."""
    if evidence is not None:
        turned = signs * _alternating(len(signs))
        return bool(signs @ evidence @ signs < turned @ evidence @ turned), True
    neighbours = sum(float((part[:, :-1] * part[:, 1:] * signs[:-1] * signs[1:]).sum()) for part in rows)
    energy = sum(float((part[:, :-1] ** 2).sum()) for part in rows)
    return neighbours < 0, abs(neighbours) >= CORRELATED * energy


def _alternating(size: int) -> Matrix:
    return np.where(np.arange(size) % 2, -1.0, 1.0)
