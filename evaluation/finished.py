"""Whether a run folder holds all that a sweep is asked for, by what it says itself.

Nothing is opened but its manifest: whether the model and the speech are still the same, only the sweep itself can tell,
which loads both (`wrongkey.evaluation.sweep`). Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.run_folder.folder import RunFolder

AS_NAMED = {"model": "model_spec", "corpus": "corpus_spec", "scheme": "scheme_spec"}  # field -> its name in a manifest
RESOLVED = ("blocks",)  # None is what the model chose
OF_NO_SCORE = ("memory",)


def is_finished(config: SweepConfig, out: Path) -> bool:
    """Whether a sweep ended in `out` under these very settings, with as many keys or more.

    Parameters
    ----------
    config : SweepConfig
        What is asked for.
    out : Path
        The run folder, which need not exist.
    """
    try:
        manifest = RunFolder(out).manifest()
    except BadInput:  # the sweep says what is wrong
        return False
    return manifest is not None and bool(manifest.get("ended")) and answers_to(manifest, config)


def answers_to(manifest: Mapping[str, Any], config: SweepConfig) -> bool:
    """Whether a manifest is one of these settings, with as many keys or more."""
    kept = manifest["config"]
    for name, asked in asdict(config).items():
        there = kept.get(AS_NAMED.get(name, name))
        if name == "keys":
            enough = bool(manifest.get("enumerated")) or (there or 0) >= asked
            if not enough:
                return False
        elif name == "rows":
            if asked not in (None, (manifest.get("batch") or {}).get("rows", asked)):
                return False
        elif name in OF_NO_SCORE or (name in RESOLVED and asked is None):
            continue
        elif there != asked:
            return False
    return True
