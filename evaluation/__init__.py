"""What a key does to a model: corpora, trials, models, metrics, the multi-key engine, sweeps and run folders.

Names are imported when first used; the sweep itself is ``evaluation.sweep.sweep``.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Corpus": "corpora",
    "Engine": "engine",
    "Experiment": "experiment",
    "RunFolder": "run_folder",
    "SweepConfig": "config",
    "Trials": "trials",
    "eer": "metrics",
    "generate_trials": "trials",
    "load_audio": "corpora",
    "min_dcf": "metrics",
    "open_corpus": "corpora",
    "open_model": "models.protocol",
    "read_trials": "trials",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"evaluation.{_HOME[name]}"), name)
    raise AttributeError(f"module 'evaluation' has no attribute {name!r}")
