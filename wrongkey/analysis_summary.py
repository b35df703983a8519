"""What an analysis found, in its first sentences, for the end of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.reports.analyses import Analysis
from wrongkey.reports.metrics import METRICS

EXACT = 149.5  # dB, at the cap of an SNR
PHASE_METRICS = {"stoi": "STOI", "spectral_convergence": "spectral convergence in dB"}  # the first that was measured
CONDITIONS = ("plain", "incorrect", "encrypted", "energies")


def sentences(analysis: Analysis) -> list[str]:
    """The analysis's own sentences, and before them those of its medians where it has any."""
    if analysis.about.get("summary"):
        return [*_decryption(analysis.about), *analysis.sentences]
    if analysis.name in OF_ROWS:
        return [*OF_ROWS[analysis.name](analysis.rows), *analysis.sentences]
    return analysis.sentences


def _decryption(about: dict[str, Any]) -> list[str]:
    metric = METRICS.get(about.get("metric") or "")  # an older analysis may name none
    found: dict[tuple[str, float | None], dict[str, float]] = {}
    for entry in about["summary"]:
        found.setdefault((entry["kind"], entry["step"]), {})[entry["metric"]] = entry["median"]

    def said(name: str, medians: Mapping[str, float]) -> list[str]:
        score = medians.get(metric.name) if metric else None
        snr = medians.get("snr")
        words = [f"{metric.label} {metric.words(score)}"] if metric and score is not None else []
        words += [] if snr is None else ["decryption exact" if snr >= EXACT else f"SNR {snr:.0f} dB"]
        return [f"{name} {', '.join(words)}"] if words else []

    plain = {} if metric is None or about.get("plain") is None else {metric.name: about["plain"]}
    kinds = [(kind, found.get((kind, None), {})) for kind in ("correct key", "incorrect key")]
    ends = [words for kind, medians in (*kinds, ("plain", plain)) for words in said(kind, medians)]
    steps = {step: medians for (_, step), medians in found.items() if step is not None}
    places = (min(steps), max(steps)) if steps else ()
    between = [words for step in places for words in said(f"{step:g} of its length away", steps[step])]
    lines = {"Medians": ends, "Near keys": between}
    return [f"{name}: {', '.join(words)}." for name, words in lines.items() if words]


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
