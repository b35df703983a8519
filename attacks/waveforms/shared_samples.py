"""The attack `shared-samples`: overlapping windows are as strong as blocks of the samples by which they advance.

Neighbouring windows under one key share samples, and linear equations between their ciphertexts give the key but for
one matrix of s x s (`wrongkey.attacks.solvers.window_chains`), from a second of speech and whatever its sound.
What is left is speech in blocks of s samples under a key of that size, of the same kind: an attack on blocks finds it.
Where s = 1 nothing is left but the sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd, inf

import numpy as np
import torch
from scipy.linalg import block_diag
from torch import Tensor

from wrongkey.attacks.base import Attack, AttackDefaults, Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import nearest_key
from wrongkey.attacks.solvers.stable_linalg import array_polar
from wrongkey.attacks.solvers.window_chains import Chains, window_chains
from wrongkey.attacks.waveforms.lag_covariances import block_rows
from wrongkey.attacks.waveforms.on_blocks import sample_order, sign_chain
from wrongkey.attacks.waveforms.polyphase import Polyphase
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS as POLYPHASE
from wrongkey.errors import BadInput
from wrongkey.evaluation.windows import sends_windows, windows_of
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Group
from wrongkey.keys.windows import Windows

# The attacks on blocks of s samples, by the group of the keys; they are tried in turn until one claims success.
ON_BLOCKS: Mapping[Group, Sequence[Callable[[], Attack]]] = {
    Group.PERMUTATIONS: (sample_order,),
    Group.SIGNS: (sign_chain, Polyphase),  # without other speech the first cannot tell a spectrum that is turned around
    Group.SIGNED_PERMUTATIONS: (Polyphase,),
    Group.ORTHOGONAL: (Polyphase,),
}
SECONDS = (1.0, 2.0, 5.0, 10.0, 25.0, 75.0)  # of ciphertext


@dataclass(frozen=True)
class SharedSamplesSettings:
    """When shared samples count as seen, and the rest of the key as found. All three follow from one aim.

    A key counts as recovered with an error below 0.1 (`wrongkey.evaluation.run_folder.vocabulary.RECOVERED`).

    Attributes
    ----------
    gap : float
        Least gap of the singular values: it is one over the angle by which noise turns the weakest direction.
    skew : float
        Largest deviation of the found part of the key from orthogonal, which is the square of its error.
    mixed : float
        Largest share of energy of the remaining matrix between groups of samples that it cannot mix.
    """

    gap: float = 10.0
    skew: float = 0.01
    mixed: float = 0.01


class SharedSamples(AttackDefaults):
    """Total least squares on the samples that windows share, then an attack on blocks."""

    name = "shared-samples"
    family = 5
    threat = Threat("Has nothing but encrypted windows of one speaker, all under one key.", frozenset({"ciphertext"}))

    def __init__(self, settings: SharedSamplesSettings = SharedSamplesSettings()) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Only overlapping windows, each multiplied by the same orthogonal matrix."""
        scheme = setting.scheme
        if setting.blocks is not Blocks.SAMPLES or not sends_windows(scheme.name):
            return f"This attack uses the samples that overlapping windows share, and {scheme.name} encrypts blocks."
        if scheme.span > 1:
            return f"This attack is for windows that all have one key, and a key of {scheme.name} multiplies several."
        if not scheme.orthogonal:
            return f"This attack finds orthogonal keys, and those of {scheme.name} are invertible only."
        windows = None if setting.model is None else windows_of(setting.model)
        if windows is not None and Advance.of(windows).samples >= windows.kernel:
            return f"The {windows} share no samples: they are blocks, for the attacks on blocks."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """1 to 75 seconds."""
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """The key; success is claimed where shared samples are seen and the attack on the blocks claims the rest.

        measured: the `step` s, the `gap` of the singular values there, the `skew`, and what the attack on the blocks
        measured. Raises BadInput where there is too little ciphertext.
        """
        setting, settings = evidence.setting, self.settings
        windows = None if setting.model is None else windows_of(setting.model)
        advance = Advance(1, 0) if windows is None else Advance.of(windows)
        rows = [each[i :: advance.windows] for each in block_rows(evidence.ciphertext, setting.size)
                for i in range(advance.windows)]  # fmt: skip
        steps = [advance.samples] if advance.samples else range(1, setting.size)
        chains = window_chains(rows, steps, setting.scheme.monomial)
        seen = chains.gap >= settings.gap and chains.skew <= settings.skew
        rest = _rest(evidence, chains, rows, advance.windows, settings.mixed)
        assert rest.key is not None
        return replace(
            rest,
            key=chains.merged(rest.key),
            success_claimed=rest.success_claimed if seen else False,
            measured={"step": chains.step, "gap": chains.gap, "skew": chains.skew, **rest.measured},
            note=rest.note if seen else f"No samples are seen that windows of {setting.size} share.",
        )


@dataclass(frozen=True)
class Advance:
    """By how many `samples` of a window every `windows`-th one advances; 0 samples where nobody says.

    Windows whose samples lie d apart share some only if d divides what lies between them.
    """

    windows: int
    samples: int

    @classmethod
    def of(cls, windows: Windows) -> Advance:
        """The least advance by whole samples of a window."""
        apart = windows.dilation // gcd(windows.dilation, windows.stride)
        return cls(apart, apart * windows.stride // windows.dilation)


def _rest(evidence: Evidence, chains: Chains, rows: Sequence[Matrix], apart: int, mixed: float) -> Recovery:
    """The matrix `(s, s)` that is left, from the speech of every `apart`-th window in blocks of s."""
    step, scheme, size = chains.step, evidence.setting.scheme, evidence.setting.size
    if step == 1:
        return Recovery(np.eye(1), success_claimed=True)
    join = Windows(size, step).join
    blocks = tuple(_whole(join(torch.from_numpy(each @ chains.basis).flatten()), step) for each in rows)
    setting = Setting(scheme, KeyCut("samples", step), evidence.setting.rate * step / (size * apart))
    given = replace(evidence, setting=setting, ciphertext=blocks)
    found: Recovery | None = None
    too_little: BadInput | None = None
    for attack in ON_BLOCKS[scheme.group]:
        try:
            found = _in_groups(_on_blocks(attack(), given), chains.groups, mixed)
        except BadInput as error:
            too_little = too_little or error
            continue
        if found.success_claimed:
            break
    if found is None:
        assert too_little is not None  # every group of keys has an attack
        raise too_little
    return found


def _on_blocks(attack: Attack, evidence: Evidence) -> Recovery:
    """What an attack on blocks finds, as a key of the scheme.

    Polyphase claims no key that leaves speech stationary, as it was: alone it sees no blocks then. Here the shared
    samples have shown them, and it is enough that it is sure of its estimate.
    """
    found, scheme = attack.run(evidence), evidence.setting.scheme
    assert found.key is not None
    least = {"linked bands": POLYPHASE.linked, "agreement": POLYPHASE.agreed, "stationarity": POLYPHASE.seen}
    sure = all(found.measured.get(name, 0.0) >= value for name, value in least.items())
    told = found.measured.get("harmonics", inf) >= POLYPHASE.harmonics
    key = nearest_key(scheme, found.key) if scheme.monomial else found.key
    return replace(found, key=key, success_claimed=(sure and told) or found.success_claimed)


def _in_groups(found: Recovery, groups: Sequence[int], mixed: float) -> Recovery:
    """The nearest matrix that mixes no two groups of samples; not claimed where more than `mixed` of it did."""
    assert found.key is not None
    ends = np.cumsum(groups)
    blocks = [
        array_polar(found.key[end - size : end, end - size : end]) for size, end in zip(groups, ends, strict=True)
    ]
    key = block_diag(*blocks)
    share = float(1 - np.sum(found.key[key != 0] ** 2) / len(key)) if len(groups) > 1 else 0.0
    return replace(
        found,
        key=key,
        success_claimed=found.success_claimed if share <= mixed else False,
        measured={**found.measured, "mixed": share},
    )


def _whole(speech: Tensor, step: int) -> Tensor:
    return speech[: len(speech) // step * step]
