"""Settings of the attack `block-pattern`."""

from __future__ import annotations

from dataclasses import dataclass

from wrongkey.attacks.waveforms.block_structure import StructureSettings


@dataclass(frozen=True)
class BlockPatternSettings(StructureSettings):
    """How blocks are compared and their orders searched: the fields of `StructureSettings` and these.

    Attributes
    ----------
    largest : int
        The largest super-block, in samples: four blocks of the largest that `polyphase` takes. Of four trials at
        4 x 64 on the train part (75 s, three orders and one of signs) the speech was decrypted to 10 to 18 dB.
    level : float
        Seconds over which the level of speech is taken out.
    gate : float
        Super-blocks that are this many decibels quieter than the loud ones (98th percentile) count as pauses.
    principal : int
        Principal axes of the covariances on which orders are compared.
    enumerated : int
        The most blocks of which all orders are compared.
    annealings : int
        Annealings of an order of more blocks; the best end counts.
    temperatures : tuple of float
        First and last of an annealing, as a share of the covariances' energy.
    moves : int
        Moves of an annealing per block.
    """

    largest: int = 512
    level: float = 0.064
    gate: float = 30.0
    principal: int = 16
    enumerated: int = 8
    annealings: int = 8
    temperatures: tuple[float, float] = (0.1, 0.003)
    moves: int = 2000


DEFAULTS = BlockPatternSettings()
