from .config import SweepConfig as SweepConfig
from .corpora import Corpus as Corpus
from .corpora import load_audio as load_audio
from .corpora import open_corpus as open_corpus
from .engine import Engine as Engine
from .experiment import Experiment as Experiment
from .metrics.error_rates import eer as eer
from .metrics.error_rates import min_dcf as min_dcf
from .metrics.signal_to_noise import snr as snr
from .models.registry import open_model as open_model
from .run_folder.folder import RunFolder as RunFolder
from .tasks.trials import Trials as Trials
from .tasks.trials import generate_trials as generate_trials
from .tasks.trials import read_trials as read_trials

__all__ = [
    "Corpus",
    "Engine",
    "Experiment",
    "RunFolder",
    "SweepConfig",
    "Trials",
    "eer",
    "generate_trials",
    "load_audio",
    "min_dcf",
    "open_corpus",
    "open_model",
    "read_trials",
    "snr",
]
