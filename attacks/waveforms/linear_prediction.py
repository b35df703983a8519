"""Linear prediction: the key under which a speaker's ciphertext turns into the most predictable speech.

Nothing but ciphertext is needed: no training data, no model, no known speaker. Segments are clustered into states
(wrongkey.attacks.waveforms.speech_states), the mean log prediction error of all states is the objective
(wrongkey.attacks.waveforms.prediction_objective), and a population of keys is carried from strong to weak directions of
speech (wrongkey.attacks.waveforms.population_search). The search runs several times from independent starts: runs that
end at the same lowest value are the attack's own sign of success.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wrongkey.attacks.base import Case, Evidence, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.orthogonal_descent import descend
from wrongkey.attacks.waveforms.lag_covariances import lags_for
from wrongkey.attacks.waveforms.population_search import Effort, search, similarity, upright
from wrongkey.attacks.waveforms.prediction_objective import PredictionObjective
from wrongkey.attacks.waveforms.speech_states import SpeechStates, speech_states
from wrongkey.keys.cutting import to_blocks

AMOUNTS = (10.0, 75.0)  # seconds
LARGEST = 20  # block size: of larger ones the search was never run
ORDER = 24  # of prediction, in samples: 1.5 ms at 16 kHz; a block and a quarter where that is more
STATES = 8
POLISH_STATES, POLISH_CORRECTION = 32, 1e-4
AGREED = 0.999  # correlation of the speech that two runs' keys decrypt to, from which on they found the same
DEFECT = 0.2  # of stationarity above which no key was found


class LinearPrediction:
    """Multi-state linear prediction: a ROM key from ciphertext alone."""

    name = "linear-prediction"
    family = 5
    most_trials = 3  # minutes each, for large blocks
    needs: frozenset[Need] = frozenset({"ciphertext"})
    threat = Threat(
        "Has nothing but encrypted waveforms of one speaker, all under one key, and knows what average speech is like.",
        needs,
    )

    def inapplicable(self, setting: Setting) -> str | None:
        """Waveforms only; Shuffling and Flipping have cheaper attacks."""
        if setting.blocks != "samples":
            return f"Samples of a waveform follow from those before them; {setting.blocks} of a spectrogram do not."
        if setting.scheme.monomial:
            return f"{setting.scheme.name.capitalize()} has few keys, which sample-order and sign-chain find faster."
        if not 2 <= setting.size <= LARGEST:
            return f"The search is for blocks of 2 to {LARGEST} samples, not of {setting.size}."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """10 and 75 seconds: polyphase is faster, this is another way to the same key."""
        return [Case(seconds=seconds) for seconds in AMOUNTS]

    def run(self, evidence: Evidence) -> Recovery:
        """The key of lowest value; believed where independent runs agree on it and it makes speech stationary."""
        setting = evidence.setting
        blocks = [to_blocks(query.double(), setting.block_size, "samples") for query in evidence.ciphertext]
        found = recover(blocks, evidence.seed, setting.rate)
        return Recovery(
            found.key.numpy(),
            success_claimed=found.success_claimed,
            objective=found.value,
            measured={"runs": found.runs, "agreeing runs": found.agreeing, "stationarity defect": found.defect},
        )


@dataclass(frozen=True)
class Found:
    """A key (N, N) and what speaks for it: J; runs that were made, that ended there, that must; the defect."""

    key: Tensor
    value: float
    runs: int
    agreeing: int
    needed: int
    defect: float

    @property
    def success_claimed(self) -> bool:
        """Enough independent runs agree, and the decrypted covariances are those of a stationary signal."""
        return self.agreeing >= self.needed and self.defect < DEFECT


def effort_for(size: int) -> tuple[Effort, int, int]:
    """Effort of one run, the most runs, and how many must agree, for blocks of `size` samples.

    At 20 samples two of three runs were seen to agree on a wrong key (one of five victims, 13 dB), hence three there.
    """
    if size <= 5:
        return Effort(starts=48, kept=6, variants=48, rounds=3, patience=1), 4, 2
    if size <= 12:
        return Effort(starts=96, kept=12, variants=96, rounds=8, patience=3), 4, 2
    return Effort(), 6, 3


def recover(
    blocks: Sequence[Tensor],
    seed: int,
    rate: float = 16_000.0,
    starts: Tensor | None = None,
    most_runs: int | None = None,
) -> Found:
    """The key of sequences of encrypted blocks, each (t, N).

    starts: keys (n, N, N) of another attack, searched from in a run of their own. Raises BadInput where the ciphertext
    is shorter than one segment, or silent.
    """
    size = blocks[0].shape[-1] if blocks else 1
    order = max(ORDER, size + size // 4)
    states = speech_states(blocks, lags_for(order, size), STATES, seed, rate)
    objective = PredictionObjective(states, order)
    effort, runs, needed = effort_for(size)
    ends, values = independent_runs(objective, effort, seed, most_runs or runs, needed, starts)
    agreeing = int((similarity(objective, ends)[values.argmin()] > AGREED).sum())
    key = polished(blocks, ends[values.argmin()], order, seed, rate)
    return Found(key, float(values.min()), len(ends), agreeing, needed, stationarity_defect(states, key))


def independent_runs(
    objective: PredictionObjective, effort: Effort, seed: int, most: int, needed: int, starts: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The best key of each run (runs, N, N), upright, and its value (runs,): `most`, or until enough agree.

    Given starts make the first run.
    """
    ends, values = [], []
    for run in range(most):
        keys, _ = search(objective, effort, seed + 1000 * run, starts if run == 0 else None)
        key, value = descend(objective, keys[:1], 300, 1e-8)
        ends.append(upright(objective, key)[0])
        values.append(value[0])
        best = int(torch.stack(values).argmin())
        if int((similarity(objective, torch.stack(ends))[best] > AGREED).sum()) >= needed:
            break
    return torch.stack(ends), torch.stack(values)


def polished(blocks: Sequence[Tensor], key: Tensor, order: int, seed: int, rate: float) -> Tensor:
    """A key (N, N) descended further, with more states, a longer prediction and a smaller correction."""
    longer = order + order // 2
    states = speech_states(blocks, lags_for(longer, len(key)), POLISH_STATES, seed, rate)
    fine = PredictionObjective(states, longer, POLISH_CORRECTION)
    return descend(fine, key[None], 400, 1e-9)[0][0]


def stationarity_defect(states: SpeechStates, key: Tensor) -> float:
    """How far decrypted covariances are from sections of a Toeplitz sequence: 0 where they are, near 1 for white noise.

    The share of their energy (without the unit matrix at lag 0, which every key gives white noise) that averaging over
    equal distances k = l N + j - i loses.
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
