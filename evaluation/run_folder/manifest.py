"""The manifest of a run folder: what was asked and what answered, for later readers of the scores."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from wrongkey.errors import BadInput
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.front_end import front_end_of
from wrongkey.evaluation.hardware import describe_device, describe_processor
from wrongkey.evaluation.run_folder.vocabulary import PRIMARY_METRIC
from wrongkey.evaluation.tasks.text import VERSION as TEXT_VERSION


def describe_run(
    experiment: Experiment, before: Mapping[str, Any] | None, identity: Mapping[str, Any], command: str | None
) -> dict[str, Any]:
    """Compose the manifest at the start of a sweep.

    Device, versions and revision are those of the first session; `sessions` has an entry for each. Model and corpus
    keep the names that they began with, and the identity its digits, which the tables are bound to.

    Parameters
    ----------
    experiment
        The sweep's experiment.
    before
        The manifest of the run that this sweep continues.
    identity
        What the scores depend on.
    command
        The command line, for readers.

    Raises
    ------
    BadInput
        If an earlier wrongkey normalised the run's texts differently.
    """
    before = before or {}
    begun: Mapping[str, Any] = before.get("config", {})
    config, corpus, used = experiment.config, experiment.corpus, experiment.used
    about, metric = experiment.task.about(), experiment.task.metric
    words = about.get("corpus", {}).get("words")
    had = (before.get("corpus") or {}).get("words")
    if None not in (had, words) and words != had:
        raise BadInput(
            f"The transcripts had {had:,} words when this run was made and have {words:,} now, since an earlier "
            f"wrongkey normalised {config.text!r} differently: choose another --out."
        )
    if before and config.task == "asr" and begun.get("text_version") != TEXT_VERSION:
        raise BadInput(
            f"This run was made by a wrongkey that normalised {config.text!r} differently, and new keys would not "
            "be comparable with its own: choose another --out."
        )
    asked = max(config.keys, begun.get("keys") or 0)
    session = {
        "started": now(),
        "device": describe_device(experiment.device),
        "rows": experiment.engine.batch.rows,
        "rows_because": experiment.engine.batch.why,
        **machine(torch.get_num_threads()),
        "versions": versions(),
        "git": git_revision(),
        "command": command,
    }
    sessions = [*(before.get("sessions") or []), session]
    first = sessions[0]
    return {
        "config": {
            **asdict(config),
            "keys": asked,
            "model": begun.get("model") or experiment.model.name,
            "model_spec": config.model,
            "corpus": begun.get("corpus") or corpus.name,
            "corpus_spec": config.corpus,
            "scheme": experiment.scheme.name,
            "scheme_spec": config.scheme,
            "blocks": experiment.cut.blocks.value,
            "block_size": experiment.cut.block_size,
            "dims": experiment.cut.dims,
            "size": experiment.cut.size,
            "bins": experiment.bins,
            "command": command or first.get("command"),
            **({} if metric == PRIMARY_METRIC[config.task] else {"metric": metric}),
            **({"text_version": TEXT_VERSION} if config.task == "asr" else {}),
        },
        "identity": dict(before.get("identity") or identity),
        **{name: first.get(name) for name in ("started", "device", "versions", "git")},
        "sessions": sessions,
        "batch": with_least_rows({"rows": experiment.engine.batch.rows}, (before.get("batch") or {}).get("least_rows")),
        "corpus": {
            "name": corpus.name,
            "speakers": len({utterance.speaker for utterance in used if utterance.speaker}),
            "utterances": len(used),
            "seconds": round(experiment.seconds, 2),
            "recordings": corpus.recordings,
            **about.pop("corpus", {}),
        },
        **about,
        "front_end": front_end_of(experiment.model),
        "preparation": experiment.preparation.about(),
        "sample_rate": experiment.model.sample_rate,
        "model_card": getattr(experiment.model, "card", None),
        "key_space": experiment.incorrect.total if experiment.incorrect.enumerated else None,
        "enumerated": experiment.incorrect.enumerated and asked >= (experiment.incorrect.total or 0),
        "ended": None,
        "seconds": before.get("seconds") or 0.0,
    }


def with_least_rows(batch: Mapping[str, int], rows: int | None) -> dict[str, int]:
    """What a manifest says of passes, after some of so many rows: the smallest, where memory ran out with those it has.

    `rows` stays: a run that is continued begins again with it.
    """
    found = dict(batch)
    if rows is not None and rows < found.get("least_rows", found["rows"]):
        found["least_rows"] = rows
    return found


def machine(threads: int | None) -> dict[str, Any]:
    """Return what rounding depends on beside the versions: the processor, and the threads of each process, if known."""
    return {"processor": describe_processor(), "threads": threads}


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("wrongkey", "torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that is not installed
            found[package] = "not installed"
    return found


def git_revision() -> str | None:
    """Return the revision of this checkout, marked if it was changed; None outside one."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
