"""Which attacks there are: the suite's own, and those that installed packages register in ``wrongkey.attacks``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from wrongkey.attacks.base import Attack
from wrongkey.errors import BadInput

ENTRY_POINTS = "wrongkey.attacks"

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


def attack_names() -> list[str]:
    """Names of all attacks: the suite's in its order, then the registered ones."""
    return [*SUITE, *sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))]


def known_needs() -> dict[str, list[str]]:
    """What every attack needs that can be opened, by name: for who asks what was not tried."""
    found: dict[str, list[str]] = {}
    for name in attack_names():
        with suppress(BadInput):
            found[name] = [*sorted(open_attack(name).threat.needs)]
    return found


def open_attack(name: str) -> Attack:
    """The attack of this name; raises BadInput for an unknown one, or one that cannot be made."""
    if name in SUITE:
        module, _, kind = SUITE[name].partition(":")
        made: Attack = getattr(import_module(module), kind)()
        return made
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return _plugged_in(entry)
    raise BadInput(f"attack {name!r} is unknown: choose suite, {', '.join(attack_names())}")


def _plugged_in(entry: EntryPoint) -> Attack:
    name = entry.name
    try:
        attack: Attack = entry.load()()
    except Exception as error:  # a user's own code may fail in any way
        raise BadInput(f"attack {name!r} cannot be made ({type(error).__name__}: {error}): mend its factory") from error
    missing = [
        part for part in ("name", "family", "threat", "inapplicable", "cases", "run") if not hasattr(attack, part)
    ]
    if missing:
        raise BadInput(f"attack {name!r} has no {' and no '.join(missing)}: see docs/extending.md for what it needs")
    return attack
