"""Flipping of waveform samples from ciphertext alone: the attack finds which elements of a block have the other sign.

It searches the signs under which speech is most predictable from its past
(`wrongkey.attacks.waveforms.predictability`). Each linear form that majorises the objective is a quadratic form in the
signs, `sᵀ W s`, which flips of single signs and of all signs behind a place lower. The starts assume autocorrelations
that decay (speech has most of its energy at low frequencies, so neighbours correlate), and, with background speech, the
signs that its covariances have at every lag.

Alternating signs turn a spectrum around, and for even blocks what they decrypt is as predictable. Background speech
decides this last bit, or the sign of the correlation of neighbouring samples, which is positive in plain speech. In
pre-emphasised speech it may have either sign; unless it is large, the attack without background speech cannot tell, and
says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting
from wrongkey.attacks.solvers.stable_linalg import array_eigh
from wrongkey.attacks.waveforms.blind import BLIND, THREAT, cases_with_and_without_background
from wrongkey.attacks.waveforms.block_structure import block_structure
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
from wrongkey.attacks.waveforms.lag_settings import LagSettings
from wrongkey.attacks.waveforms.learned_once import LearnedOnce
from wrongkey.attacks.waveforms.predictability import ENTROPY_ROUNDING, entropy, entry_weights, lag_weights
from wrongkey.attacks.waveforms.public_lags import LagLikelihoods, learned
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.schemes import Group

UNDECIDED = "The key may be this one with every second sign turned, because neighbours hardly correlate."


@dataclass(frozen=True)
class SignChainSettings(LagSettings):
    """How signs are searched and judged: the fields of `LagSettings` and these.

    Attributes
    ----------
    public_window : float
        Length in seconds of the segments of background speech.
    kicks : int
        Local minima that are tried from disturbed signs where the first ones are not stationary.
    kick_rates : tuple of float
        Rates at which a disturbance cuts the block, drawn at random; it flips the signs between two cuts.
    stationary : float
        Success is claimed only if the stationarity, 0 to 1, reaches this; one wrong sign gives about 0.2.
    correlated : float
        Correlation of neighbouring samples, weighted by energy, that tells a spectrum from one that is turned around.
    """

    public_window: float = 0.064
    kicks: int = 60
    kick_rates: tuple[float, ...] = (0.03, 0.1, 0.3)
    stationary: float = 0.4
    correlated: float = 0.7


@dataclass(frozen=True)
class RecoveredSigns:
    """Signs of the samples of a block, and what supports them.

    Attributes
    ----------
    signs : Matrix
        `(M,)`.
    entropy : float
        J of what they decrypt, in nats per sample.
    stationarity : float
        At the worst place, 0 to 1.
    stationary : bool
        Whether both are as those of speech.
    certain : bool
        Whether it is known that the spectrum is not turned around.
    """

    signs: Matrix
    entropy: float
    stationarity: float
    stationary: bool
    certain: bool

    @property
    def success_claimed(self) -> bool | None:
        """Whether what is decrypted can be predicted and is stationary; None where its spectrum may be turned."""
        if self.stationary and not self.certain:
            return None
        return self.stationary


class SignChain(AttackDefaults):
    """Finds the signs of flipped samples of a block, up to a common sign."""

    name = "sign-chain"
    family = 5
    threat = THREAT

    def __init__(self, settings: SignChainSettings = SignChainSettings()) -> None:
        self.settings = settings
        self._public = LearnedOnce(self._learned)

    def inapplicable(self, setting: Setting) -> str | None:
        """Only a key that flips signs of waveform samples has signs to find."""
        if setting.blocks is not Blocks.SAMPLES:
            return (
                f"This attack finds signs of waveform samples, and these blocks are {setting.blocks} of spectrograms."
            )
        if setting.scheme.group is not Group.SIGNS:
            return f"This attack finds signs of samples, and keys of {setting.scheme.name} are not signs alone."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Seconds of ciphertext, with background speech and without."""
        return cases_with_and_without_background()

    def run(self, evidence: Evidence) -> Recovery:
        """The signs of lowest entropy.

        Success is claimed where the speech that they decrypt is stationary, and the ciphertext is not: of plain speech,
        and of blocks of another size, signs that change nothing would be as good.
        """
        setting, background = evidence.setting, evidence.background
        rows = block_rows(evidence.ciphertext, setting.block_size)
        public = None
        if background is not None and evidence.case.variant != BLIND:
            public = self._public(background, setting)
        recovered = recover_signs(rows, setting.rate, public, evidence.seed, self.settings)
        key = np.diag(recovered.signs)
        structure = block_structure(rows, key, setting.rate, self.settings)
        return Recovery(
            key=key,
            success_claimed=recovered.success_claimed if structure.taken_away else False,
            objective=recovered.entropy,
            measured={
                "stationarity": recovered.stationarity,
                "stationarity of the ciphertext": structure.before,
            },
            note="" if recovered.certain else UNDECIDED,
        )

    def _learned(self, background: BackgroundSpeech, setting: Setting) -> LagLikelihoods:
        """The densities in as much background speech as the settings say."""
        lengths = np.cumsum([query.shape[-1] for query in background.queries])
        enough = 1 + int(np.searchsorted(lengths, self.settings.public_seconds * setting.rate))
        rows = block_rows(background.as_users[:enough], setting.block_size)
        return learned(rows, self.settings.public_window * setting.rate, self.settings)


def recover_signs(
    rows: Sequence[Matrix], rate: float, public: LagLikelihoods | None, seed: int, settings: SignChainSettings
) -> RecoveredSigns:
    """Signs `(M,)`, the first positive, of block rows `(t, M)` cut from waveforms of `rate` samples per second.

    Raises BadInput for ciphertext that is too short or silent.
    """
    size = rows[0].shape[1] if rows else 1
    lags = max(1, lags_for(settings.prediction_order, size))
    segments = segment_covariances(rows, lags, settings.segment * rate, settings.hop * rate, settings.gate)
    search = _SignSearch(segments, seed, settings)
    forms = [_decaying(segments.mean(0), decay, settings) for decay in settings.decays]
    evidence = -forms[0] if public is None else sign_evidence(public, rows)
    starts = _with_turned([lowest_signs(form) for form in (-evidence, *forms)])
    best = min((search.descended(signs) for signs in starts), key=search.entropy)
    if search.stationarity(best) < settings.stationary:
        best = search.kicked(best)
    certain = True
    if size % 2 == 0:
        turned, certain = _turned(rows, best, evidence if public is not None else None, settings.correlated)
        best = best * _alternating(size) if turned else best
    return search.recovered(best, certain)


class _SignSearch:
    """Descent of the entropy over signs."""

    def __init__(self, segments: Matrix, seed: int, settings: SignChainSettings) -> None:
        self.covariances, self.shares = states(
            segments, settings.states, seed, settings.least_segments, settings.clustering_rounds
        )
        self.both = halves(segments, settings.judged_run)
        self.seed, self.settings = seed, settings

    def entropy(self, signs: Matrix) -> float:
        return entropy(self._autocorrelations(signs), self.shares, self.settings.white_noise)

    def stationarity(self, signs: Matrix) -> float:
        return float(stationarity(signed(self.both, signs), self.settings.judged_order).min())

    def recovered(self, signs: Matrix, certain: bool) -> RecoveredSigns:
        """The signs, the first positive, and what supports them."""
        entropy_here, stationary = self.entropy(signs), self.stationarity(signs)
        like_speech = entropy_here < self.settings.predictable and stationary >= self.settings.stationary
        return RecoveredSigns(signs * signs[0], entropy_here, stationary, like_speech, certain)

    def descended(self, signs: Matrix) -> Matrix:
        """A local minimum of the entropy, by one linear form after the other."""
        while True:
            weights = lag_weights(self._autocorrelations(signs), self.shares, self.settings.white_noise)
            lower = descended_signs(_symmetric(_form(self.covariances, weights)), signs)
            if self.entropy(lower) >= self.entropy(signs) - ENTROPY_ROUNDING:
                return signs
            signs = lower

    def kicked(self, best: Matrix) -> Matrix:
        """The best of several local minima, each from the best so far with the signs between random places flipped."""
        rng = np.random.default_rng(self.seed)
        lowest = self.entropy(best)
        for _ in range(self.settings.kicks):
            cuts = rng.random(len(best)) < rng.choice(self.settings.kick_rates)
            signs = self.descended(best * np.where(cuts.cumsum() % 2, -1.0, 1.0))
            here = self.entropy(signs)
            if here < lowest - ENTROPY_ROUNDING:
                best, lowest = signs, here
        return best

    def _autocorrelations(self, signs: Matrix) -> Matrix:
        return autocorrelations(signed(self.covariances, signs), self.settings.prediction_order)


def signed(covariances: Matrix, signs: Matrix) -> Matrix:
    """Covariances `(..., N, N)` of rows times these signs `(N,)`."""
    return covariances * (signs[:, None] * signs)


def lowest_signs(form: Matrix) -> Matrix:
    """Signs `(N,)` that lower `sᵀ W s`, `W (N, N)`: from its lowest eigenvector, and from a chain along the block."""
    symmetric = _symmetric(form)
    eigenvector = array_eigh(symmetric)[1][:, 0]
    chained = np.ones(len(form))
    for place in range(1, len(form)):
        chained[place] = -1.0 if symmetric[place, :place] @ chained[:place] > 0 else 1.0
    starts = (np.where(eigenvector < 0, -1.0, 1.0), chained)
    return min(
        (descended_signs(symmetric, start) for start in starts), key=lambda signs: float(signs @ symmetric @ signs)
    )


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
    """Log odds `(N, N)` that two elements have the same sign, from all covariances at the lags of `public`."""
    odds = public.sign_evidence(rows)
    lag = scalar_lags(odds.shape[-1], odds.shape[1] - 1)
    return sum((of_lag * (lag == k)).sum(0) for k, of_lag in enumerate(odds, start=1))


def _decaying(pooled: Matrix, decay: float, settings: LagSettings) -> Matrix:
    """The form at an autocorrelation that decays, `(N, N)`, of pooled covariances `(L + 1, N, N)`."""
    r = decay ** np.arange(settings.prediction_order + 1.0)
    return _form(pooled[None], lag_weights(r[None], np.ones(1), settings.decay_white_noise))


def _form(covariances: Matrix, weights: Matrix) -> Matrix:
    size, lags = covariances.shape[-1], covariances.shape[1] - 1
    return (entry_weights(weights, size, lags) * covariances).sum((0, 1))


def _symmetric(form: Matrix) -> Matrix:
    """The symmetric part `(N, N)` with a zero diagonal, which signs do not change."""
    return (form + form.T) * (1 - np.eye(len(form))) / 2


def _with_turned(starts: Sequence[Matrix]) -> Iterator[Matrix]:
    """Every start, and the same with its spectrum turned around where that makes a difference."""
    for signs in starts:
        yield signs
        if len(signs) % 2:
            yield signs * _alternating(len(signs))


def _turned(rows: Sequence[Matrix], signs: Matrix, evidence: Matrix | None, correlated: float) -> tuple[bool, bool]:
    """Whether the spectrum of what the signs decrypt is turned around, and whether that is certain."""
    if evidence is not None:
        turned = signs * _alternating(len(signs))
        return bool(signs @ evidence @ signs < turned @ evidence @ turned), True
    neighbours = sum(float((part[:, :-1] * part[:, 1:] * signs[:-1] * signs[1:]).sum()) for part in rows)
    energy = sum(float((part[:, :-1] ** 2).sum()) for part in rows)
    return neighbours < 0, abs(neighbours) >= correlated * energy


def _alternating(size: int) -> Matrix:
    return np.where(np.arange(size) % 2, -1.0, 1.0)
