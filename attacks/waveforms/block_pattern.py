"""The attack `block-pattern`: one key for all blocks, whose signs or order are secret too, from ciphertext alone.

The pattern of signs or places comes first, and needs no key (`wrongkey.attacks.waveforms.block_meetings`). Without it
the ciphertext is one of the scheme by itself, whose attack finds the key: `polyphase`, `oblique-polyphase`,
`sample-order`, `sign-chain` or `signed-order`; or this one again, for a pattern of patterns. So the pattern adds
nothing to what the key protects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Attack, AttackDefaults, Case, Evidence, Matrix, Recovery, Setting
from wrongkey.attacks.waveforms.blind import THREAT
from wrongkey.attacks.waveforms.block_meetings import alike, block_order, block_signs, meetings, signed
from wrongkey.attacks.waveforms.block_pattern_settings import DEFAULTS, BlockPatternSettings
from wrongkey.attacks.waveforms.block_spectra import voiced_segments
from wrongkey.attacks.waveforms.block_structure import block_structure
from wrongkey.attacks.waveforms.lag_covariances import block_rows
from wrongkey.attacks.waveforms.mirror import NOT_TOLD, harmonics
from wrongkey.attacks.waveforms.oblique_polyphase import ObliquePolyphase
from wrongkey.attacks.waveforms.on_blocks import sample_order, sign_chain, signed_order
from wrongkey.attacks.waveforms.polyphase import Polyphase
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS as POLYPHASE
from wrongkey.attacks.waveforms.sample_order import key_of_order
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Group
from wrongkey.keys.structure import Structure

ON_BASE: Mapping[Group, Callable[[], Attack]] = {
    Group.ORTHOGONAL: Polyphase,
    Group.INVERTIBLE: ObliquePolyphase,
    Group.PERMUTATIONS: sample_order,
    Group.SIGNS: sign_chain,
    Group.SIGNED_PERMUTATIONS: signed_order,
}


@dataclass(frozen=True)
class Pattern:
    """A secret pattern of blocks: an order of them, or their signs.

    Attributes
    ----------
    structure : Structure
        Of the scheme.
    kind : {"shuffling", "flipping"}
        The scheme of the pattern's key.
    size : int
        Elements of that key: P, or P - 1 where the first block keeps its sign.
    base : Setting
        Without the pattern.
    """

    structure: Structure
    kind: str
    size: int
    base: Setting

    @classmethod
    def of(cls, setting: Setting) -> Pattern | None:
        """The pattern of a scheme; None where it has none."""
        structure = setting.scheme.structure
        if structure is None or structure.base is None:
            return None
        parts = structure.parts(setting.size)
        if len(parts) != 2 or parts[1].scheme.name not in ("shuffling", "flipping") or structure.alike:
            return None
        key, pattern = parts
        cut = KeyCut(Blocks.SAMPLES, key.size)
        return cls(structure, pattern.scheme.name, pattern.size, replace(setting, scheme=structure.base, cut=cut))

    @property
    def hides_the_mirror(self) -> bool:
        """Whether a pattern of signs mirrors the spectrum of super-blocks, which odd blocks of the base never show."""
        return self.kind == "flipping" and self.base.size % 2 == 1 and self.structure.span % 2 == 0

    def key(self, base: Matrix, pattern: Matrix) -> Matrix:
        """The merged key `(N, N)` of the base's key `(M, M)` and a pattern's."""
        merged: Matrix = self.structure.compose([base[None], pattern[None]])[0]
        return merged

    def candidates(self, met: Matrix, seed: int, settings: BlockPatternSettings) -> list[tuple[Matrix, float]]:
        """The pattern's key, as far as covariances of blocks tell it, the likelier first; and how well they agree."""
        count = met.shape[1]
        if self.kind == "shuffling":
            order = block_order(met, seed, settings)
            return [(key_of_order(order), alike(met, np.argsort(order)))]
        found = block_signs(met)
        other = found * np.where(np.arange(count) % 2, -1.0, 1.0)
        both = [found] if count % 2 else sorted((found, other), key=lambda signs: -_neighbours(met, signs))
        return [(np.diag(signs[count - self.size :]), alike(signed(met, signs), np.arange(count))) for signs in both]


def _neighbours(met: Matrix, signs: Matrix) -> float:
    """How samples a block apart correlate under these signs: in speech rather positively than negatively."""
    turned = signed(met, signs)
    return float(sum(np.trace(turned[0, q, q + 1]) for q in range(len(signs) - 1)))


class BlockPattern(AttackDefaults):
    """Finds the signs or the order of the blocks, and then the key that all of them share."""

    name = "block-pattern"
    family = 5
    any_key = True
    threat = THREAT

    def __init__(
        self,
        settings: BlockPatternSettings = DEFAULTS,
        on_base: Mapping[Group, Callable[[], Attack]] = ON_BASE,
    ) -> None:
        self.settings = settings
        self._on_base = on_base
        self._last: tuple[Setting, Pattern, Attack] | None = None

    def inapplicable(self, setting: Setting) -> str | None:
        """Only schemes that have one key and a pattern of blocks of samples, without which an attack finds the key."""
        if setting.blocks is not Blocks.SAMPLES:
            return f"This attack finds patterns of blocks of samples, and these are {setting.blocks} of spectrograms."
        pattern = Pattern.of(setting)
        if pattern is None:
            return f"This attack finds signs or the order of blocks, and keys of {setting.scheme.name} have neither."
        if setting.size > self.settings.largest:
            return f"This attack takes super-blocks of up to {self.settings.largest} samples, not of {setting.size}."
        return self._attack_on(pattern.base).inapplicable(pattern.base)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Those of the attack on the scheme without the pattern."""
        pattern, attack = self._parts(setting)
        return [
            case if case.needs is not None else replace(case, needs=attack.threat.needs)
            for case in attack.cases(pattern.base)
        ]

    def run(self, evidence: Evidence) -> Recovery:
        """The key of the first pattern under which success is claimed, else of the lowest objective.

        Success is claimed where the attack on the scheme without the pattern claims it and the whole key takes the
        structure of super-blocks out of the ciphertext; where signs may mirror the spectrum, voices must tell.
        measured: what that attack measured, `alike`, how well the covariances of blocks agree, 0 to 1, and the
        `stationarity` of the ciphertext and after decryption. Raises BadInput where there is too little ciphertext.
        """
        setting = evidence.setting
        pattern, _ = self._parts(setting)
        rows = block_rows(evidence.ciphertext, setting.size)
        met = meetings(rows, setting.size // pattern.base.size, setting.rate, self.settings)
        best: Recovery | None = None
        for key, agreeing in pattern.candidates(met, evidence.seed, self.settings):
            recovery = self._under(evidence, rows, key, agreeing)
            if best is None or recovery.success_claimed or _objective(recovery) < _objective(best):
                best = recovery
            if best.success_claimed:
                break
        assert best is not None
        return best

    def _under(self, evidence: Evidence, rows: Sequence[Matrix], key: Matrix, agreeing: float) -> Recovery:
        """The recovery where the pattern has this key."""
        setting = evidence.setting
        pattern, attack = self._parts(setting)
        undo = pattern.key(np.eye(pattern.base.size), key).T
        ciphertext: tuple[Tensor, ...] = tuple(torch.from_numpy((one @ undo).ravel()) for one in rows)
        recovery = attack.run(replace(evidence, setting=pattern.base, ciphertext=ciphertext))
        assert recovery.key is not None  # the attacks on the base want a key
        merged = pattern.key(recovery.key, key)
        decrypting = merged if setting.scheme.orthogonal else np.linalg.inv(merged).T.astype(np.float64)
        structure = block_structure(rows, decrypting, setting.rate, self.settings)
        claimed = recovery.success_claimed if structure.taken_away else False
        if claimed and pattern.hides_the_mirror and self._voices(rows, decrypting, setting.rate) < POLYPHASE.harmonics:
            claimed, recovery = None, replace(recovery, note=NOT_TOLD)
        measured = {"stationarity": structure.after, "stationarity of the ciphertext": structure.before}
        return replace(
            recovery,
            key=merged,
            success_claimed=claimed,
            measured={**recovery.measured, "alike": agreeing, **measured},
        )

    @staticmethod
    def _voices(rows: Sequence[Matrix], decrypting: Matrix, rate: float) -> float:
        """By how many standard errors voices tell what a matrix `(N, N)` decrypts from its mirrored spectrum."""
        heard = voiced_segments([torch.from_numpy(one) for one in rows], rate, POLYPHASE)
        return harmonics(heard @ torch.from_numpy(decrypting).mT, rate, POLYPHASE)

    def _parts(self, setting: Setting) -> tuple[Pattern, Attack]:
        """The pattern of a setting and the attack without it: the same objects as long as the setting is the same."""
        if self._last is not None and self._last[0] is setting:
            return self._last[1:]
        pattern = Pattern.of(setting)
        assert pattern is not None  # the attack applies
        self._last = setting, pattern, self._attack_on(pattern.base)
        return self._last[1:]

    def _attack_on(self, base: Setting) -> Attack:
        if Pattern.of(base) is not None:
            return BlockPattern(self.settings, self._on_base)
        return self._on_base[base.scheme.group]()


def _objective(recovery: Recovery) -> float:
    return np.inf if recovery.objective is None else recovery.objective
