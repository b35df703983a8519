"""Linear prediction: the key under which a speaker's ciphertext turns into the most predictable speech.

The attack needs nothing but ciphertext: no training data, no model, no known speaker. Segments are clustered into
states (`wrongkey.attacks.waveforms.speech_states`), the mean log prediction error of all states is the objective
(`wrongkey.attacks.waveforms.prediction_objective`), and a population of keys is carried from strong to weak directions
of speech (`wrongkey.attacks.waveforms.population_search`). The search runs several times from independent starts. That
runs end at the same lowest value shows that it was found, not that it is the key: each half of the ciphertext must have
the same one. For even N speech whose spectrum is mirrored is as predictable, and voices tell which of both keys is
right (`wrongkey.attacks.waveforms.mirror`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

import torch
from torch import Tensor

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.orthogonal_descent import descend
from wrongkey.attacks.waveforms.agreement import agreement_of
from wrongkey.attacks.waveforms.block_spectra import voiced_segments
from wrongkey.attacks.waveforms.block_structure import block_structure
from wrongkey.attacks.waveforms.continuum import no_continuum
from wrongkey.attacks.waveforms.lag_covariances import block_rows, lags_for
from wrongkey.attacks.waveforms.linear_prediction_settings import DEFAULTS, Effort, LinearPredictionSettings
from wrongkey.attacks.waveforms.mirror import NOT_TOLD, upright
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS as POLYPHASE
from wrongkey.attacks.waveforms.population_search import low_frequencies_strongest, search, similarity
from wrongkey.attacks.waveforms.prediction_objective import PredictionObjective
from wrongkey.attacks.waveforms.speech_states import SpeechStates, speech_states
from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks

SECONDS = (10.0, 75.0)  # of ciphertext
NOT_ALIKE = "The two halves of the ciphertext, attacked by themselves, have other keys."


class LinearPrediction(AttackDefaults):
    """Multi-state linear prediction: a ROM key from ciphertext alone."""

    name = "linear-prediction"
    family = 5
    most_trials = 3  # minutes each, for large blocks
    needs: frozenset[Need] = frozenset({"ciphertext"})
    threat = Threat(
        "Has nothing but encrypted waveforms of one speaker, all under one key, and knows what average speech is like.",
        needs,
    )

    def __init__(self, settings: LinearPredictionSettings = DEFAULTS) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Only waveforms, and schemes whose keys form a continuum."""
        if setting.blocks is not Blocks.SAMPLES:
            return f"Samples of a waveform follow from those before them; {setting.blocks} of a spectrogram do not."
        if not 2 <= setting.size <= self.settings.largest:
            return f"This search is for blocks of 2 to {self.settings.largest} samples, not of {setting.size}."
        return no_continuum(setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """10 and 75 seconds: polyphase is faster, and this is another way to the same key."""
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """The key of lowest value.

        Success is claimed where runs agree on it, it makes speech stationary that is not so in the ciphertext, both
        halves of the ciphertext have it and, for even N, voices tell it from the key of the mirrored spectrum.
        measured: `runs` and `agreeing runs`, the `stationarity defect`, for even N the `harmonics`, in standard errors,
        and where all these are right the least `agreement of halves`.
        """
        recovery = self._searched(evidence)
        return self._of_halves(recovery, evidence) if recovery.success_claimed else recovery

    def _of_halves(self, recovery: Recovery, evidence: Evidence) -> Recovery:
        """A claimed recovery, or one that is not claimed since a half of the ciphertext has another key."""
        size, rate = evidence.setting.size, evidence.setting.rate
        rows = block_rows(evidence.ciphertext, size)
        heard = voices([torch.from_numpy(one) for one in rows], rate)
        assert recovery.key is not None
        agreement = 1.0
        for number, half in enumerate(halves_of_all(evidence.ciphertext, size), start=1):
            try:
                other = self._searched(replace(evidence, ciphertext=half, seed=evidence.seed + number)).key
            except BadInput as error:  # a half that is silent, say
                return replace(recovery, success_claimed=False, note=str(error))
            assert other is not None
            turned, _ = upright_by_voices(torch.from_numpy(other), heard, rate)
            agreement = min(agreement, agreement_of(recovery.key, turned.numpy(), rows))
        alike = agreement >= self.settings.halves
        return replace(
            recovery,
            success_claimed=alike,
            measured={**recovery.measured, "agreement of halves": agreement},
            note=recovery.note if alike else NOT_ALIKE,
        )

    def _searched(self, evidence: Evidence) -> Recovery:
        """What all this ciphertext shows by itself."""
        setting = evidence.setting
        blocks = [to_blocks(query.double(), setting.block_size, Blocks.SAMPLES) for query in evidence.ciphertext]
        recovered = recover(blocks, evidence.seed, setting.rate, self.settings)
        turned, told = upright_by_voices(recovered.key, voices(blocks, setting.rate), setting.rate)
        key = turned.numpy()
        structure = block_structure([rows.numpy() for rows in blocks], key, setting.rate, self.settings)
        found = recovered.agreeing >= recovered.needed and recovered.defect < self.settings.largest_defect
        return Recovery(
            key,
            success_claimed=found and told >= POLYPHASE.harmonics and structure.taken_away,
            objective=recovered.value,
            measured={
                "runs": recovered.runs,
                "agreeing runs": recovered.agreeing,
                "stationarity defect": recovered.defect,
            }
            | ({"harmonics": told} if isfinite(told) else {}),
            note="" if told >= POLYPHASE.harmonics else NOT_TOLD,
        )


def halves_of_all(ciphertext: Sequence[Tensor], size: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The first and the second half of the blocks of all queries together."""
    blocks = [query[: len(query) // size * size].reshape(-1, size) for query in ciphertext]
    middle, first, second = sum(map(len, blocks)) // 2, [], []
    for rows in blocks:
        first.append(rows[:middle].flatten())
        second.append(rows[middle:].flatten())
        middle -= min(middle, len(rows))
    return tuple(one for one in first if len(one)), tuple(one for one in second if len(one))


def voices(blocks: Sequence[Tensor], rate: float) -> Tensor | None:
    """Segments of encrypted blocks (t, N), loud ones, by which mirrored spectra are told; None for odd N."""
    even = bool(blocks) and blocks[0].shape[-1] % 2 == 0
    return voiced_segments(blocks, rate, POLYPHASE) if even else None


def upright_by_voices(key: Tensor, heard: Tensor | None, rate: float) -> tuple[Tensor, float]:
    """The key (N, N) or that of the mirrored spectrum, and by how many standard errors voices tell: inf for odd N."""
    return (key, inf) if heard is None else upright(key, heard, rate, POLYPHASE)


@dataclass(frozen=True)
class RecoveredKey:
    """A key and what supports it.

    Attributes
    ----------
    key : Tensor
        (N, N).
    value : float
        The lowest J.
    runs : int
        Runs that were made.
    agreeing : int
        Runs that ended at this key.
    needed : int
        Runs that must end at it for success to be claimed.
    defect : float
        The stationarity defect of what it decrypts.
    """

    key: Tensor
    value: float
    runs: int
    agreeing: int
    needed: int
    defect: float


def recover(blocks: Sequence[Tensor], seed: int, rate: float, settings: LinearPredictionSettings) -> RecoveredKey:
    """The key of sequences of encrypted blocks, each (t, N).

    rate: samples per second. Raises BadInput where the ciphertext is shorter than one segment, or silent.
    """
    size = blocks[0].shape[-1] if blocks else 1
    order = max(settings.order, size + size // 4)
    states = speech_states(blocks, lags_for(order, size), settings.states, seed, rate, settings)
    objective = PredictionObjective(states, order, settings.correction)
    effort = settings.effort(size)
    ends, values = independent_runs(objective, effort, seed, settings)
    best = int(values.argmin())
    agreeing = _agreeing(objective, ends, best, settings.agreed)
    key = polished(blocks, ends[best], order, seed, rate, settings)
    defect = stationarity_defect(states, key)
    return RecoveredKey(key, float(values.min()), len(ends), agreeing, effort.agreeing_runs, defect)


def independent_runs(
    objective: PredictionObjective, effort: Effort, seed: int, settings: LinearPredictionSettings
) -> tuple[Tensor, Tensor]:
    """The best key (runs, N, N) of each run, low frequencies strongest, and its value (runs,), until enough agree."""
    ends, values = [], []
    for run in range(effort.most_runs):
        keys, _ = search(objective, effort, seed + 1000 * run, settings)
        key, value = descend(objective, keys[:1], settings.run_steps, settings.run_tolerance, settings)
        ends.append(low_frequencies_strongest(objective, key)[0])
        values.append(value[0])
        best = int(torch.stack(values).argmin())
        if _agreeing(objective, torch.stack(ends), best, settings.agreed) >= effort.agreeing_runs:
            break
    return torch.stack(ends), torch.stack(values)


def _agreeing(objective: PredictionObjective, ends: Tensor, best: int, agreed: float) -> int:
    """How many of the keys (runs, N, N) decrypt as the best one does, which counts itself."""
    return int((similarity(objective, ends)[best] > agreed).sum())


def polished(
    blocks: Sequence[Tensor], key: Tensor, order: int, seed: int, rate: float, settings: LinearPredictionSettings
) -> Tensor:
    """A key (N, N) descended further, with more states, a longer prediction and a smaller correction."""
    longer = order + order // 2
    states = speech_states(blocks, lags_for(longer, len(key)), settings.polish_states, seed, rate, settings)
    fine = PredictionObjective(states, longer, settings.polish_correction)
    return descend(fine, key[None], settings.polish_steps, settings.polish_tolerance, settings)[0][0]


def stationarity_defect(states: SpeechStates, key: Tensor) -> float:
    """How far decrypted covariances are from Toeplitz sections: 0 for a stationary signal, near 1 for white noise.

    It is the share of their energy that averaging over equal distances k = l N + j - i loses, without the unit matrix
    at lag 0, which white noise has under every key.
    """
    size, lags = states.size, states.lags
    decrypted = key @ states.covariances @ key.mT
    decrypted[:, 0] -= torch.eye(size, dtype=torch.float64)
    place = torch.arange(size)
    distance = (torch.arange(lags + 1)[:, None, None] * size + place - place[:, None]).abs().flatten()
    used = distance < lags * size
    distance, entries = distance[used], decrypted.flatten(1)[:, used]
    total = torch.zeros(len(entries), lags * size, dtype=torch.float64).index_add_(1, distance, entries)
    mean = total / torch.bincount(distance, minlength=lags * size)
    lost = ((entries - mean[:, distance]) ** 2).sum(1) @ states.weights
    return float(lost / ((entries**2).sum(1) @ states.weights))
