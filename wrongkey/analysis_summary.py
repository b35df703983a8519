"""What an analysis found, in its first sentences, for the end of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.evaluation.run_folder.schema import Analysis, read_json
from wrongkey.reports.metrics import get_metric

EXACT = 149.5  # dB, at the cap of an SNR
PHASE_METRICS = {"stoi": "STOI", "spectral_convergence": "spectral convergence in dB"}  # the first that was measured
CONDITIONS = ("plain", "incorrect", "encrypted", "energies")


def sentences(described: Path) -> list[str]:
    """The analysis's own sentences, or else those of its medians: `described` is ``analyses/NAME.json``."""
    about = read_json(described, Analysis)
    own = list(about.get("sentences") or [])
    if about.get("summary"):
        return [*_decryption(about), *own]
    if described.stem in OF_ROWS:
        return [*OF_ROWS[described.stem](pd.read_parquet(described.with_suffix(".parquet"))), *own]
    return own


def _decryption(about: dict[str, Any]) -> list[str]:
    metric = get_metric(about["metric"])
    found: dict[tuple[str, float | None], dict[str, float]] = {}
    for entry in about["summary"]:
        found.setdefault((entry["kind"], entry["step"]), {})[entry["metric"]] = entry["median"]
    plain = "" if about.get("plain") is None else f", plain {metric.label} {metric.words(about['plain'])}"

    def said(medians: dict[str, float]) -> str:
        snr = medians.get("snr")
        heard = "" if snr is None else ", decryption exact" if snr >= EXACT else f", SNR {snr:.0f} dB"
        return f"{metric.label} {metric.words(medians[metric.name])}{heard}"

    ends = [f"{kind} {said(found[kind, None])}" for kind in ("correct key", "incorrect key") if (kind, None) in found]
    steps = {step: medians for (_, step), medians in found.items() if step is not None}
    between = [f"{step:g} of its length away {said(steps[step])}" for step in (min(steps), max(steps))] if steps else []
    return [f"Medians: {', '.join(ends)}{plain}.", *([f"Near keys: {', '.join(between)}."] if between else [])]


def _phase(rows: pd.DataFrame) -> list[str]:
    name = next((name for name in PHASE_METRICS if (rows["metric"] == name).any()), None)
    if name is None:
        return []
    measured = rows[rows["metric"] == name]
    medians = measured.groupby(["method", "condition"])["value"].median()
    lines = []
    for method in dict.fromkeys(measured["method"]):
        of_method = [(c, medians.get((method, c), np.nan)) for c in CONDITIONS]
        words = [f"{condition} {value:.2f}" for condition, value in of_method if np.isfinite(value)]
        lines.append(f"{method}, median {PHASE_METRICS[name]}: {', '.join(words)}.")
    return lines


def _leaks(rows: pd.DataFrame) -> list[str]:
    medians = rows.groupby(["metric", "condition"])["value"].median()
    lines = []
    if ("energy", "encrypted") in medians:
        leaked, chance = medians["energy", "encrypted"], medians.get(("energy", "chance"), np.nan)
        beside = f" (of another utterance {chance:.2f})" if np.isfinite(chance) else ""
        lines.append(f"Ciphertext shows the energy contour: median correlation {leaked:.2f} with plain speech{beside}.")
    if ("linkability", "one key") in medians:
        linked = medians["linkability", "one key"]
        lines.append(f"Two ciphertexts of one speaker under one key are told from others with EER {linked:.1f} %.")
    return lines


OF_ROWS: Mapping[str, Callable[[pd.DataFrame], list[str]]] = {"phase": _phase, "leaks": _leaks}
