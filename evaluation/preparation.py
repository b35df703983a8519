"""What users do to speech before they encrypt it, as the options of a scheme's name say.

``flat``, ``phase`` and ``lpc`` act on the recording, before the model's front end, since that is what a user has;
``noise`` acts on the query, which is what the key multiplies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wrongkey.evaluation.whitening import flattened, phase_only, prediction_error
from wrongkey.keys.preparations import PREPARATIONS, Step, steps_of
from wrongkey.keys.schemes import normals
from wrongkey.keys.spec import Spec, parse

FRONT_ENDS: dict[str, Callable[[Tensor, int, float], Tensor]] = {
    "flat": lambda waveform, rate, amount: flattened(waveform, rate, int(amount)),
    "phase": lambda waveform, rate, amount: phase_only(waveform, rate),
    "lpc": lambda waveform, rate, amount: prediction_error(waveform, rate, int(amount)),
}


@dataclass(frozen=True)
class Preparation:
    """The steps that every user's speech goes through before encryption; false where there are none.

    Parameters
    ----------
    steps
        In their order. Noise comes last wherever it stands, since it is added to the query.
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, scheme: str) -> Preparation:
        """The preparation that a scheme's name asks for; raises BadInput for one that cannot be."""
        return cls(steps_of(parse(scheme).options))

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return ", ".join(map(str, self.steps))

    def about(self) -> dict[str, Any] | None:
        """What the manifest says of it; None where there are no steps."""
        if not self:
            return None
        return {"text": str(self), "steps": [{"name": step.name, "amount": step.amount} for step in self.steps]}

    def recording(self, waveform: Tensor, rate: int) -> Tensor:
        """A recording ``(samples,)`` as it goes into the model's front end, of the same length and level.

        Raises BadInput where a step asks for more bins or coefficients than ``rate`` allows.
        """
        for step in self.steps:
            if step.name in FRONT_ENDS:
                waveform = FRONT_ENDS[step.name](waveform, rate, step.amount)
        return waveform

    def noisy(self, queries: Tensor, seed: int, utterance: str) -> Tensor:
        """Queries ``(segments, samples)`` or ``(segments, bins, frames)`` of an utterance with the noise added.

        The noise depends on the seed, the utterance's id and the number of the segment, and on nothing else.
        """
        for step in self.steps:
            if step.name == "noise":
                pairs = enumerate(queries)
                queries = torch.stack([with_noise(x, step.amount, noise_words(seed, utterance, i)) for i, x in pairs])
        return queries

    def whole(self, waveform: Tensor, rate: int, seed: int, utterance: str) -> Tensor:
        """A waveform ``(samples,)`` that is itself the query, with all steps done."""
        return self.noisy(self.recording(waveform, rate)[None], seed, utterance)[0]


def unprepared(scheme: str) -> str:
    """The name of the same scheme without its preparation."""
    spec = parse(scheme)
    return str(Spec(spec.base, tuple(option for option in spec.options if option[0] not in PREPARATIONS)))


def noise_words(seed: int, utterance: str, segment: int) -> np.random.Philox:
    """The stream of 64-bit words of one segment's noise, from a counter of its own."""
    label = f"wrongkey/noise/{int(seed)}/{utterance}".encode("utf-8", "surrogatepass")
    key = int.from_bytes(blake2b(label, digest_size=16).digest(), "little")
    return np.random.Philox(key=key, counter=segment << 64)


def with_noise(query: Tensor, ratio: float, words: np.random.Philox) -> Tensor:
    """A query ``(samples,)`` or ``(bins, frames)`` with white Gaussian noise ``ratio`` dB below it.

    The mean of a spectrogram is no signal, as in `wrongkey.evaluation.metrics.signal_to_noise`.
    """
    signal = query.double()
    power = ((signal if query.ndim == 1 else signal - signal.mean()) ** 2).mean()
    count = query.numel() + query.numel() % 2  # two normals from two words
    noise = torch.from_numpy(normals(words.random_raw(count)[None])[0, : query.numel()])
    return (signal + (power * 10 ** (-ratio / 10)).sqrt() * noise.reshape(query.shape)).to(query.dtype)
