from .analyses.folder import analyse as analyse
from .analyses.leaks.analysis import Leaks as Leaks
from .analyses.near_keys import Decryption as Decryption
from .analyses.phase.gabor import TorchGabor as TorchGabor
from .analyses.phase.gabor import open_gabor as open_gabor
from .analyses.phase.griffin_lim import griffin_lim as griffin_lim
from .analyses.phase.pghi import pghi as pghi
from .analyses.phase.reconstruction import PhaseReconstruction as PhaseReconstruction
from .analyses.weak_keys import WeakKeys as WeakKeys
from .base import Attack as Attack
from .base import AttackDefaults as AttackDefaults
from .base import Case as Case
from .base import Evidence as Evidence
from .base import Recovery as Recovery
from .base import Setting as Setting
from .base import Threat as Threat
from .harness.config import AttackConfig as AttackConfig
from .harness.registry import open_attack as open_attack
from .harness.results import AttackFolder as AttackFolder
from .harness.scores import key_error as key_error
from .harness.scores import stoi as stoi
from .harness.suite import run_attacks as run_attacks

__all__ = [
    "Attack",
    "AttackConfig",
    "AttackDefaults",
    "AttackFolder",
    "Case",
    "Decryption",
    "Evidence",
    "Leaks",
    "PhaseReconstruction",
    "Recovery",
    "Setting",
    "Threat",
    "TorchGabor",
    "WeakKeys",
    "analyse",
    "griffin_lim",
    "key_error",
    "open_attack",
    "open_gabor",
    "pghi",
    "run_attacks",
    "stoi",
]
