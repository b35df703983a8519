"""The analyses of a run folder on disk, and the experiment that a finished sweep was.

`analyses/<name>.parquet` holds the rows of an analysis and `analyses/<name>.json` what was asked, with which versions
and when, and what follows from the rows. Both are written under another name and renamed; the JSON last, so that an
analysis whose JSON is there is whole.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from torch import Tensor

from attacks.trust import refuse_code
from evaluation.config import SweepConfig
from evaluation.experiment import Experiment
from evaluation.manifest import git_revision, now, versions
from evaluation.run_folder import RunFolder, same
from keys.errors import BadInput

FORMAT = "wrongkey-analysis/1"


class AnalysisFolder(RunFolder):
    """`analyses/` of a run folder, which need not hold a sweep."""

    def write_analysis(self, name: str, table: pd.DataFrame, about: Mapping[str, Any], command: str | None) -> None:
        """Rows and their description; an earlier analysis of this name is replaced."""
        folder = self.path / "analyses"
        self._attempt(lambda: folder.mkdir(parents=True, exist_ok=True))
        described = {
            "format": FORMAT,
            "name": name,
            **about,
            "command": command,
            "versions": versions(),
            "git": git_revision(),
            "made": now(),
        }
        text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").unlink(missing_ok=True)
        self._write(folder / f"{name}.parquet", lambda part: table.to_parquet(part, index=False))
        self._write(folder / f"{name}.json", lambda part: part.write_text(text, encoding="utf-8"))

    def write_rows(self, name: str, table: pd.DataFrame) -> None:
        """More rows of an analysis, in a file of their own; written before the analysis itself."""
        self._attempt(lambda: (self.path / "analyses").mkdir(parents=True, exist_ok=True))
        self._write(self.path / "analyses" / f"{name}.parquet", lambda part: table.to_parquet(part, index=False))


def experiment_of(folder: RunFolder, trusted: Collection[str] = ()) -> Experiment:
    """The experiment of a sweep's run folder, on this machine's CPU.

    trusted: models, corpora and schemes that may run code to be opened (`attacks.trust`). Raises BadInput for a folder
    without a manifest, for one that would run other code, and where model or speech are not those of the sweep any
    more.
    """
    manifest = folder.manifest()
    if manifest is None:
        raise BadInput(f"{folder.path} is no run folder (it has no manifest.json): name one that wrongkey sweep made")
    config = replace(sweep_config(manifest["config"]), device="cpu")
    refuse_code(config, folder.manifest_path, trusted)
    experiment = Experiment(config)
    found = experiment.identity()
    differing = [name for name, value in manifest["identity"].items() if not same(value, found.get(name))]
    if differing:
        raise BadInput(
            f"{folder.path} was made with another {' and another '.join(differing)} than "
            f"{config.model} on {config.corpus} has now: sweep again into a new folder"
        )
    return experiment


def sweep_config(settings: Mapping[str, Any]) -> SweepConfig:
    """The configuration that a manifest keeps: model and corpus as they were named on the command line."""
    kept = {name: settings[name] for name in SweepConfig.__dataclass_fields__ if name in settings}
    return SweepConfig.of({**kept, "model": settings["model_spec"], "corpus": settings["corpus_spec"]})


def queries_of(experiment: Experiment) -> list[Tensor]:
    """What keys are applied to, for each utterance: its segments `(pieces, …)`, or its waveform `(samples,)` where the
    plain model is asked with encrypted waveforms."""
    if experiment.on_waveforms:
        return list(experiment.waveforms)
    found: dict[int, Tensor] = {}
    for group in experiment.engine.groups:
        pieces = group.segments.reshape(len(group.utterance), group.pieces, *group.segments.shape[1:])
        found.update(zip(group.utterance.tolist(), pieces, strict=True))
    return [found[number] for number in range(len(experiment.used))]


def setting_of(experiment: Experiment) -> dict[str, Any]:
    """What an analysis says of the experiment that it is about."""
    config = experiment.config
    return {
        "task": config.task,
        "model": experiment.model.name,
        "model_spec": config.model,
        "corpus": experiment.corpus.name,
        "corpus_spec": config.corpus,
        "recordings": experiment.corpus.recordings,
        "utterances": len(experiment.used),
        "scheme": experiment.scheme.name,
        "blocks": experiment.blocks,
        "block_size": experiment.block_size,
        "seed": config.seed,
        "variant": config.variant,
    }
