"""What a run folder takes on disk, and writing it: a small one is written into a temporary folder, and removed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.clips import keep_sweep
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.planning.cost import Cost, timed
from wrongkey.evaluation.run_folder.folder import RunFolder, shard_name
from wrongkey.evaluation.run_folder.manifest import describe_run
from wrongkey.evaluation.run_folder.vocabulary import SelfCheck
from wrongkey.files import temporary_folder

FEW, MANY = 32, 256  # keys of two score files, whose sizes say what a file takes and what a key does
APART = 1e-3  # by which made-up scores of further keys differ, so that they take as much as different ones


@dataclass(frozen=True)
class Disk:
    """Bytes of a run folder, and what writing it costs.

    Attributes
    ----------
    fixed, shard, key : float
        What every run has, with its clips; a score file without its keys; a key in it, with the outputs that are kept.
    key_cost, shard_cost, end_cost : Cost
        Of writing a key's outputs, of writing a score file, and of making the clips.
    """

    fixed: float
    shard: float
    key: float
    key_cost: Cost
    shard_cost: Cost
    end_cost: Cost


def measure_disk(
    experiment: Experiment,
    identity: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    checks: Sequence[SelfCheck],
    rows: Sequence[Mapping[str, Any]],
    answers: Answers,
    scores: Tensor,
) -> Disk:
    """Write what a sweep writes, for some keys, and measure it.

    Parameters
    ----------
    experiment, identity, before
        The sweep, what its scores depend on, and the manifest of the run that it would continue.
    checks
        Its self-checks.
    rows, answers, scores
        Score rows of incorrect keys from number 0 on, and what they were made from.
    """
    keys = len(scores)
    with tempfile.TemporaryDirectory(prefix="wrongkey-plan-", dir=temporary_folder()) as scratch:
        folder = RunFolder(Path(scratch) / "run")
        folder.claim(identity)
        manifest = describe_run(experiment, before, identity, None)
        manifest |= {"self_checks": [check.to_json() for check in checks]}
        folder.write_manifest(manifest)
        for name, text in experiment.task.files().items():
            folder.write_text(name, text)
        folder.write_scores("conditions", _of_conditions(rows))
        folder.write_scores(shard_name(0, keys), rows)
        _, ending = timed(lambda: keep_sweep(experiment, folder.path))
        first = folder.path / "scores" / f"{shard_name(0, keys)}.parquet"
        fixed = _bytes(folder.path) - first.stat().st_size
        outputs, keeping = 0, Cost()
        if experiment.config.keep_outputs:
            table = experiment.task.outputs(answers, scores, 0)
            _, keeping = timed(lambda: folder.write_outputs(first.stem, table))
            outputs = _bytes(folder.path / "outputs")
        few, _ = _score_file(folder, rows, FEW)
        many, writing = _score_file(folder, rows, MANY)
        _, noting = timed(lambda: folder.write_manifest(manifest))  # as after every shard
    key = (many - few) / (MANY - FEW)
    return Disk(fixed, few - FEW * key, key + outputs / keys, 1 / keys * keeping, writing + noting, ending)


def _of_conditions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as those of the conditions without a key."""
    first = [row for row in rows if row["key_index"] == 0]
    return [
        {**row, "condition": name, "key_index": -1} for name in ("plain", "correct", "plain_query") for row in first
    ]


def _score_file(folder: RunFolder, rows: Sequence[Mapping[str, Any]], keys: int) -> tuple[int, Cost]:
    """Bytes of a score file of some keys, and what writing it costs; rows of more keys than there are are made up."""
    there = len({row["key_index"] for row in rows})
    made_up = []
    for index in range(keys):
        factor = 1 + APART * (index // there)
        for row in (row for row in rows if row["key_index"] == index % there):
            scores = {name: factor * row[name] for name in ("value", "ci_low", "ci_high")}
            made_up.append({**row, **scores, "key_index": index})
    _, cost = timed(lambda: folder.write_scores(shard_name(0, keys), made_up))
    return (folder.path / "scores" / f"{shard_name(0, keys)}.parquet").stat().st_size, cost


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
