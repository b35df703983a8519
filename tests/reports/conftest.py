"""Run folders as a sweep writes them (docs/design.md): all that reports read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from wrongkey.evaluation.run_folder.tables import FORMAT, identity_digest, write_table

MakeRun = Callable[..., Path]


def write_run(
    folder: Path,
    values: Any,
    *,
    task: str = "asv",
    model: str = "RawNeXt",
    corpus: str = "toy",
    scheme: str = "rom",
    block_size: int = 3,
    dims: int = 1,
    metric: str = "eer",
    plain: float | None = 7.9,
    correct: float | None = 7.9,
    plain_query: float | None = 35.0,
    keys: int | None = None,
    shards: int = 2,
    other_metrics: dict[str, Any] | None = None,
    corpus_recordings: str = "real",
    corpus_facts: dict[str, Any] | None = None,
    **manifest: Any,
) -> Path:
    """Write a run folder whose incorrect keys score `values`; `manifest` replaces parts of its manifest."""
    values = np.asarray(values, dtype=float)
    setting: dict[str, Any] = {"task": task, "model": model, "corpus": corpus, "scheme": scheme}
    setting |= {"block_size": block_size, "dims": dims}

    def row(condition: str, key: int, name: str, value: float) -> dict[str, Any]:
        interval = {"ci_low": value - 1.0, "ci_high": value + 1.0, "n": 4950}
        place = {"condition": condition, "key_seed": 0, "key_index": key, "metric": name}
        return {**setting, **place, "value": value, **interval}

    conditions = {"plain": plain, "correct": correct, "plain_query": plain_query}
    fixed = [row(name, -1, metric, value) for name, value in conditions.items() if value is not None]
    measured = {metric: values, **(other_metrics or {})}
    fixed += [row("plain", -1, name, 0.5) for name in other_metrics or {}]
    tables = {"conditions": fixed} if fixed else {}
    for keys_of_shard in np.array_split(np.arange(len(values)), min(shards, len(values))):
        start, stop = int(keys_of_shard[0]), int(keys_of_shard[-1]) + 1
        tables[f"incorrect-{start:08d}-{stop:08d}"] = [
            row("incorrect", index, name, float(found[index]))
            for name, found in measured.items()
            for index in range(start, stop)
        ]
    config = {**setting, "keys": len(values) if keys is None else keys, "seed": 0, "variant": "both"}
    config["command"] = f"wrongkey sweep --task {task} --scheme {scheme} --block {block_size} --out {folder.name}"
    content: dict[str, Any] = {
        "format": "wrongkey-run/1",
        "config": config,
        "identity": {"weights": "a" * 64, "corpus": "b" * 64, "trials": "c" * 64},
        "versions": {"wrongkey": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
        "git": "0123456789abcdef",
        "device": "cpu",
        "self_checks": [
            {
                "name": "correct key",
                "passed": True,
                "value": 3e-7,
                "limit": 1e-4,
                "text": "The correct key gives the plain model's embeddings.",
            },
            {
                "name": "batch size",
                "passed": True,
                "value": 1e-6,
                "limit": 1e-4,
                "text": "The size of a batch does not change an embedding.",
            },
        ],
        "corpus": {
            "name": corpus,
            "speakers": 40,
            "utterances": 400,
            "seconds": 1800.0,
            "recordings": corpus_recordings,
            **(corpus_facts or {}),
        },
        "trials": {"target": 450, "nontarget": 4500, "source": "all pairs"},
        "model_card": None,
        "key_space": None,
        "enumerated": False,
        "keys_done": len(values),
        "started": "2025-11-23T18:00:00+00:00",
        "ended": "2025-11-23T18:10:00+00:00",
        "seconds": 600.0,
    }
    config_changes = manifest.pop("config", {})
    content |= manifest
    content["config"] |= config_changes
    (folder / "scores").mkdir(parents=True)
    for name, table in tables.items():
        run = identity_digest(content.get("identity") or {})
        write_table(folder / "scores" / f"{name}.parquet", pd.DataFrame(table), run, "scores")
    (folder / "manifest.json").write_text(json.dumps(content | {"tables": FORMAT}), encoding="utf-8")
    return folder


def unseal(folder: Path) -> Path:
    """The run as an older wrongkey would have left it."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["tables"]
    path.write_text(json.dumps(content), encoding="utf-8")
    for table in folder.glob("*/*.parquet"):
        pd.read_parquet(table).to_parquet(table, index=False)
    return folder


def write_outputs(folder: Path, plain: dict[str, list[Any]], keys: dict[int, dict[str, list[Any]]]) -> Path:
    """What `--keep-outputs` leaves: columns of the plain model's answers, and of each incorrect key's."""
    out = folder / "outputs"
    out.mkdir()
    run = identity_digest(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["identity"])
    conditions = pd.DataFrame(plain).assign(key_index=-1, condition="plain")
    write_table(out / "conditions.parquet", conditions, run, "outputs")
    for index, columns in keys.items():
        table = pd.DataFrame(columns).assign(key_index=index)
        write_table(out / f"incorrect-{index:08d}-{index + 1:08d}.parquet", table, run, "outputs")
    return folder


def heard(texts: list[str], hypotheses: list[str], runaway: int = 0) -> dict[str, list[Any]]:
    """Columns of a recogniser's outputs in which every word that differs in its place is a substitution; the first
    `runaway` decodings were stopped."""
    wrong = [
        sum(a != b for a, b in zip(said.split(), text.split(), strict=False))
        for said, text in zip(texts, hypotheses, strict=True)
    ]
    lost = [max(len(said.split()) - len(text.split()), 0) for said, text in zip(texts, hypotheses, strict=True)]
    return {
        "utterance": [f"speaker-{number:03d}" for number in range(len(texts))],
        "reference": texts,
        "hypothesis": hypotheses,
        "substitutions": wrong,
        "deletions": lost,
        "insertions": [0] * len(texts),
        "hits": [len(t.split()) - a - b for t, a, b in zip(texts, wrong, lost, strict=True)],
        "runaway": [number < runaway for number in range(len(texts))],
    }


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`make_run(name, values, **settings)` writes `tmp_path/name` and returns it."""

    def make(name: str, values: Any, **settings: Any) -> Path:
        return write_run(tmp_path / name, values, **settings)

    return make


@pytest.fixture
def scores() -> np.ndarray[Any, Any]:
    """Scores of 200 keys with a tail towards the plain model's 7.9."""
    return 8.5 + 40 * np.random.default_rng(5).beta(3, 2, 200)
