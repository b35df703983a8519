"""The analyses of a run folder on disk, and the experiment of a finished sweep.

`analyses/<name>.parquet` holds the rows of an analysis. `analyses/<name>.json` says what was asked, with which versions
and when, what follows from the rows, and their checksums. Both are written under another name and renamed, the JSON
last: an analysis whose JSON fits its rows is complete.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from wrongkey.attacks.analyses.base import Analysis, Progress
from wrongkey.attacks.analyses.measurable import check_measurable
from wrongkey.attacks.analyses.trust import refuse_code
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.evaluation.run_folder.manifest import git_revision, now, versions
from wrongkey.evaluation.run_folder.sameness import same
from wrongkey.evaluation.run_folder.schema import Analysis as Schema
from wrongkey.evaluation.run_folder.tables import write_table
from wrongkey.keys import get_scheme

FORMAT = Schema.FORMAT


class AnalysisFolder(RunFolder):
    """`analyses/` of a run folder, which need not hold a sweep.

    Parameters
    ----------
    path : Path or str
        The run folder.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self._checksums: dict[str, str] = {}

    def write_analysis(self, name: str, table: pd.DataFrame, about: Mapping[str, Any], command: str | None) -> None:
        """Rows and their description; an earlier analysis of this name is replaced."""
        checksums = {name: self._write_analysis(name, table), **self._checksums}
        described = {
            "format": FORMAT,
            "name": name,
            **about,
            "run": self.digest(),
            "tables": checksums,
            "command": command,
            "versions": versions(),
            "git": git_revision(),
            "made": now(),
        }
        self.write_json(f"analyses/{name}.json", described)

    def write_rows(self, name: str, table: pd.DataFrame) -> None:
        """Further rows of an analysis, in a file of their own; they are written before the analysis itself."""
        self._checksums[name] = self._write_analysis(name, table)

    def _write_analysis(self, name: str, table: pd.DataFrame) -> str:
        """Write a table of `analyses/` and return its checksum, by which the JSON knows it."""
        self.make("analyses")
        with self._writing():
            return write_table(self.path / "analyses" / f"{name}.parquet", table, "", "analysis").checksum


def analyse(
    analysis: Analysis, out: Path, *, command: str | None = None, progress: Progress | None = None
) -> AnalysisFolder:
    """Run an analysis and write what it found into a run folder.

    Parameters
    ----------
    analysis : Analysis
        For instance `WeakKeys`, `Decryption`, `PhaseReconstruction` or `Leaks`.
    out : Path
        The run folder; it is made if it is missing.
    command : str, optional
        The command line, for the record.
    progress : callable, optional
        Called with the steps done and the steps in all (`Analysis.run`).

    Returns
    -------
    AnalysisFolder
        The folder, with `analyses/NAME.parquet` and `analyses/NAME.json`.

    Raises
    ------
    BadInput
        For whatever the analysis refuses, and a folder that cannot be written.
    """
    folder = AnalysisFolder(out)
    findings = analysis.run(folder.path, progress)
    with folder.locked():
        for name, table in findings.beside.items():
            folder.write_rows(name, table)
        folder.write_analysis(analysis.name, findings.table, findings.about, command)
    return folder


def experiment_of(folder: RunFolder, trusted: Collection[str] = ()) -> Experiment:
    """The experiment of a sweep's run folder, on this machine's CPU.

    `trusted` are models, corpora and schemes that may run code when they are opened
    (`wrongkey.attacks.analyses.trust`). Raises BadInput for a folder without a manifest, for one that would run other
    code, and where model or speech are no longer those of the sweep.
    """
    manifest = folder.manifest()
    if manifest is None:
        raise BadInput(f"{folder.path} is no run folder (it has no manifest.json): name one that wrongkey sweep made.")
    config = replace(sweep_config(manifest["config"]), device="cpu")
    refuse_code(config, folder.manifest_path, trusted)
    check_measurable(get_scheme(config.scheme))
    experiment = Experiment(config)
    identity = experiment.identity()
    differing = [name for name, value in manifest.get("identity", {}).items() if not same(value, identity.get(name))]
    if differing:
        raise BadInput(
            f"{folder.path} was made with another {' and another '.join(differing)} than "
            f"{config.model} on {config.corpus} has now: sweep again into a new folder."
        )
    return experiment


def sweep_config(settings: Mapping[str, Any]) -> SweepConfig:
    """The configuration that a manifest keeps: model and corpus as they were named on the command line."""
    for name in ("model_spec", "corpus_spec"):
        if not settings.get(name):
            raise BadInput(f"The manifest does not say its {name}: sweep again into a new folder.")
    kept = {name: settings[name] for name in SweepConfig.__dataclass_fields__ if settings.get(name) is not None}
    scheme = settings.get("scheme_spec") or settings["scheme"]  # older manifests have the name alone
    return SweepConfig.of(
        {**kept, "model": settings["model_spec"], "corpus": settings["corpus_spec"], "scheme": scheme}
    )


def queries_of(experiment: Experiment) -> list[Tensor]:
    """What keys are applied to, for each utterance.

    Its segments `(pieces, …)`, or its waveform `(samples,)` where the plain model is asked with encrypted waveforms.
    """
    if experiment.on_waveforms:
        return list(experiment.waveforms)
    segments: dict[int, Tensor] = {}
    for group in experiment.engine.queries.groups:
        pieces = group.segments.reshape(len(group.utterance), group.pieces, *group.segments.shape[1:])
        segments.update(zip(group.utterance.tolist(), pieces, strict=True))
    return [segments[number] for number in range(len(experiment.used))]


def setting_of(experiment: Experiment) -> dict[str, Any]:
    """What is recorded of the experiment that an analysis is about."""
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
        "blocks": experiment.cut.blocks.value,
        "block_size": experiment.cut.block_size,
        "seed": config.seed,
        "variant": config.variant,
    }
