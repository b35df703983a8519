"""The paper's published values that belong beside a run, and what differs between the two.

A published value is set beside a run of the same task, metric, scheme, block size and way to cut blocks (samples of a
waveform or tiles of a spectrogram). Tables I to III and Fig. 9 are of encrypted models; the paper does not say how
speakers were enrolled there (both sides of a trial under the same key, or under the correct one), so its value stands
beside either. Table IV is of a plain model that is given encrypted waveforms. Model, corpus and number of keys usually
differ: every value carries a sentence that says how. Fig. 11 is printed as a violin plot only and has no value.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.reports.metrics import Metric
from wrongkey.reports.statistics.key_statistics import KeyStatistics
from wrongkey.reports.tables import significant


@dataclass(frozen=True)
class Published:
    """One published value beside one of a run's. Values in the metric's unit (variance: its square)."""

    run: str
    source: str
    quantity: str
    published: float
    ours: float | None
    differs: str
    is_variance: bool = False


@cache
def published_values() -> dict[str, Any]:
    """The content of published.toml."""
    return tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))


def published_beside(result: KeyStatistics) -> list[Published]:
    """The paper's values for the same task, metric, scheme and blocks.

    Parameters
    ----------
    result : KeyStatistics
        A run, summarised by the metric to compare.

    Returns
    -------
    list of Published
        Often empty: the paper gives few numbers.
    """
    return [*_condition_table(result), *_sweep(result), *_plain_model_table(result)]


def published_table(rows: list[Published], metric: Metric) -> pd.DataFrame:
    """For people: a row per run and place in the paper, each cell "published | own value"."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        pair = [
            "–" if value is None else significant(value) if row.is_variance else metric.number(value)
            for value in (row.published, row.ours)
        ]
        line = lines.setdefault((row.run, row.source), {"Run": row.run, "Paper": row.source})
        line[row.quantity] = " | ".join(pair)
    return pd.DataFrame(lines.values()).fillna("")


def differences(rows: list[Published]) -> list[tuple[str, str, list[str]]]:
    """(source, sentence, labels of its runs): each sentence that says what differs, once."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        runs = found.setdefault((row.source, row.differs), [])
        if row.run not in runs:
            runs.append(row.run)
    return [(source, sentence, runs) for (source, sentence), runs in found.items()]


def _condition_table(result: KeyStatistics) -> list[Published]:
    """Tables I to III: plain, correct key, incorrect key, plain query."""
    table = published_values().get(result.run.task)
    if table is None or not _same_setting(result, table) or result.run.scheme not in table:
        return []
    scheme = table[result.run.scheme]
    differs = what_differs(result, table["model"], table["corpus"], table["incorrect_keys_averaged"])
    label = result.metric.label
    pairs = (
        (f"plain model, {label}", table["plain_model_plain_query"], result.plain),
        (f"correct key, {label}", scheme["correct_key"], result.correct),
        (f"incorrect keys, mean {label}", scheme["incorrect_key"], result.mean),
        (f"plain query, {label}", scheme["plain_query"], result.plain_query),
    )
    return [
        Published(result.label, table["source"], name, float(value), ours.value if ours else None, differs)
        for name, value, ours in pairs
    ]


def _sweep(result: KeyStatistics) -> list[Published]:
    """Fig. 9: the variance over 1,000 incorrect keys."""
    sweep = published_values()["sweep"].get(result.run.task, {})
    rows = []
    for model, values in sweep.items():
        if not (isinstance(values, dict) and "variance" in values):
            continue
        if result.run.scheme != sweep["scheme"] or not _same_setting(result, sweep | values):
            continue
        differs = what_differs(result, model, sweep["corpus"], sweep["keys"])
        ours = None if result.variance is None else result.variance.value
        quantity = f"variance of {result.metric.label}"
        rows.append(Published(result.label, sweep["source"], quantity, values["variance"], ours, differs, True))
    return rows


def _plain_model_table(result: KeyStatistics) -> list[Published]:
    """Table IV: encrypted waveforms into a plain recogniser."""
    table = published_values()["plain_asr"]
    run = result.run
    if run.task != "asr" or run.scheme not in table or run.block_size not in table["block_size"]:
        return []
    if not _same_setting(result, table | {"block_size": run.block_size}, "waveform"):
        return []
    value = table[run.scheme][table["block_size"].index(run.block_size)]
    differs = what_differs(result, table["model"], table["corpus"], None)
    label = result.metric.label
    return [
        Published(result.label, table["source"], f"encrypted query, mean {label}", value, result.mean.value, differs)
    ]


def _same_setting(result: KeyStatistics, published: dict[str, Any], variant: str = "") -> bool:
    """The published metric and blocks are the run's, and its model carries a key unless the `variant` is waveform."""
    run = result.run
    asked = (published["metric"], published["block_size"], published["blocks"])
    return asked == (result.metric.name, run.block_size, run.blocks) and run.keyed == (variant != "waveform")


def what_differs(result: KeyStatistics, model: str, corpus: str, keys: int | None) -> str:
    """The differences in words: "The paper: RawNeXt on VoxCeleb1 test, 1,000 incorrect keys. This run: ..."."""
    run = result.run
    same_model = _plain_name(run.model) == _plain_name(model)
    same_corpus = _plain_name(run.corpus) == _plain_name(corpus)
    paper = f"The paper: {model} on {corpus}"
    kind = "incorrect key" if run.keyed else "key"
    paper += f", {keys:,} {kind}s." if keys else "."
    parts = [
        "the same model" if same_model else f"another model ({run.model})",
        "the same corpus" if same_corpus else f"another corpus ({run.corpus})",
        f"{result.n:,} {kind}{'s' if result.n != 1 else ''}",
    ]
    if run.variant_words and run.keyed:
        parts.append(f"{run.variant_words} guesses (the paper does not say how speakers were enrolled)")
    return f"{paper} This run: {', '.join(parts)}."


def _plain_name(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
