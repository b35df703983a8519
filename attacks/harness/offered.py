"""Which attacks there are: the suite's own, those that installed packages register, and a user's own. Imports no torch.

Packages register an attack, or what makes one, in the entry-point group ``wrongkey.attacks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from wrongkey.plugins import Registry

if TYPE_CHECKING:  # shell completion lists the attacks without waiting for torch
    from wrongkey.attacks.base import Attack

# name -> module:class, in the order in which the suite runs them: by family, cheapest first.
SUITE: Mapping[str, str] = {
    "known-plaintext": "wrongkey.attacks.plaintext.known:KnownPlaintext",
    "chosen-plaintext": "wrongkey.attacks.plaintext.chosen:ChosenPlaintext",
    "public-model": "wrongkey.attacks.weights.public_model:PublicModel",
    "public-statistics": "wrongkey.attacks.weights.public_statistics:PublicStatistics",
    "shifted-kernels": "wrongkey.attacks.weights.shifted_kernels:ShiftedKernels",
    "sign-chain": "wrongkey.attacks.waveforms.sign_chain:SignChain",
    "sample-order": "wrongkey.attacks.waveforms.sample_order:SampleOrder",
    "shared-samples": "wrongkey.attacks.waveforms.shared_samples:SharedSamples",
    "signed-order": "wrongkey.attacks.waveforms.signed_order:SignedOrder",
    "block-pattern": "wrongkey.attacks.waveforms.block_pattern:BlockPattern",
    "polyphase": "wrongkey.attacks.waveforms.polyphase:Polyphase",
    "polyphase-of-many": "wrongkey.attacks.waveforms.polyphase_of_many:PolyphaseOfMany",
    "oblique-polyphase": "wrongkey.attacks.waveforms.oblique_polyphase:ObliquePolyphase",
    "linear-prediction": "wrongkey.attacks.waveforms.linear_prediction:LinearPrediction",
    "independent-components": "wrongkey.attacks.waveforms.independent_components:IndependentComponents",
    "spectrogram-moments": "wrongkey.attacks.spectrograms.moments:SpectrogramMoments",
    "learned-key": "wrongkey.attacks.through_model.learned_key:LearnedKey",
    "answers-only": "wrongkey.attacks.through_model.answers_only:AnswersOnly",
    "informed": "wrongkey.attacks.keyless.informed:Informed",
    "linkability": "wrongkey.attacks.keyless.linkability:Linkability",
}


def attack_names() -> list[str]:
    """Return the names of all attacks: the suite's in its order, then the registered ones."""
    return REGISTRY.names()


def _of_suite(place: str) -> Attack:
    return resolve_name(place)()


REGISTRY = Registry(
    kind="attack",
    group="wrongkey.attacks",
    builtin={name: partial(_of_suite, place) for name, place in SUITE.items()},
    is_one=lambda found: not callable(found) or (hasattr(found, "threat") and not isinstance(found, type)),
    wanted="give an attack, or a class or function without arguments that makes one",
    forms=("suite",),
)
