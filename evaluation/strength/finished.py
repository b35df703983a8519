"""Whether a run folder holds the strength that is asked for, by what it says itself. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.finished import answers_to
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.evaluation.run_folder.strength import strength_content
from wrongkey.evaluation.strength.config import StrengthConfig


def measured_strength(config: SweepConfig, settings: StrengthConfig, out: Path) -> dict[str, Any] | None:
    """What `strength/strength.json` in `out` holds, where it is complete and of these very settings; else None."""
    try:
        manifest = RunFolder(out).manifest()
        content = strength_content(out)
    except BadInput:  # the measurement says what is wrong
        return None
    if manifest is None or content is None or content["state"] != "complete" or not answers_to(manifest, config):
        return None
    wanted = {**asdict(settings), "within": list(settings.within), "seed": config.seed}
    return content if content["settings"] == wanted else None
