"""Which attacks there are: the suite's own, those that installed packages register, and a user's own.

Packages register an attack, or what makes one, in the entry-point group ``wrongkey.attacks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from wrongkey.errors import BadInput
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
    "polyphase": "wrongkey.attacks.waveforms.polyphase:Polyphase",
    "linear-prediction": "wrongkey.attacks.waveforms.linear_prediction:LinearPrediction",
    "spectrogram-moments": "wrongkey.attacks.spectrograms.moments:SpectrogramMoments",
    "learned-key": "wrongkey.attacks.through_model.learned_key:LearnedKey",
    "answers-only": "wrongkey.attacks.through_model.answers_only:AnswersOnly",
    "informed": "wrongkey.attacks.keyless.informed:Informed",
    "linkability": "wrongkey.attacks.keyless.linkability:Linkability",
}
PARTS = ("name", "family", "threat", "inapplicable", "cases", "run")  # of an attack


def attack_names() -> list[str]:
    """Return the names of all attacks: the suite's in its order, then the registered ones."""
    return REGISTRY.names()


def known_needs() -> dict[str, list[str]]:
    """Return what every attack that can be opened needs, by name, so that reports can say what was not tried."""
    needs: dict[str, list[str]] = {}
    for name in attack_names():
        with suppress(BadInput):
            needs[name] = sorted(open_attack(name).threat.needs)
    return needs


def open_attack(name: str) -> Attack:
    """Return the attack of this name.

    Parameters
    ----------
    name : str
        A name of the suite, a registered one, or ``package.module:name`` of an attack, or of a class or function
        without arguments that makes one.

    Raises
    ------
    BadInput
        For an unknown name, an attack that cannot be made or lacks a part, and one of a user's that is called what one
        of the suite is: rows of results are kept by that name.
    """
    attack: Attack = REGISTRY.open(name)
    missing = [part for part in PARTS if not hasattr(attack, part)]
    if missing:
        raise BadInput(f"Attack {name!r} has no {' and no '.join(missing)}: see docs/extending.md for what it needs.")
    if name not in SUITE and attack.name in SUITE:
        raise BadInput(f"Attack {name!r} has the name {attack.name!r}, which is one of the suite's: rename it.")
    return attack


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
