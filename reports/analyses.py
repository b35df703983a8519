"""The analyses of run folders, read and checked: key measures, decryption, phase reconstruction, leaks.

`analyses/<name>.json` says what was asked and what follows, `analyses/<name>.parquet` holds the rows
(`attacks/analyses/folder.py` writes both). A folder with analyses need not hold a sweep.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.folder import RunFolder, find_files
from wrongkey.evaluation.run_folder.schema import Analysis as Description
from wrongkey.evaluation.run_folder.schema import Measure, read_json
from wrongkey.evaluation.run_folder.scores import old_files
from wrongkey.evaluation.run_folder.tables import Damaged, Sealed, read_table
from wrongkey.evaluation.run_folder.vocabulary import ANALYSIS_COLUMNS
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import scheme_label
from wrongkey.printable import printable
from wrongkey.reports.metrics import METRICS
from wrongkey.reports.rounding import rounded

NUMBERS = ("key_index", "score", "error", "euclidean", "step", "draw", "value", "block_size", "frame", "bin")
METRIC_NAMES = {
    "spectral_convergence": "Spectral convergence (dB)",
    "consistency": "Consistency (dB)",
    "stoi": "STOI",
    "pesq": "PESQ",
    "wer": "WER (%)",
    "cer": "CER (%)",
    "eer": "EER (%)",
    "deviation": "Deviation",
    "energy": "Energy contour (correlation)",
    "activity": "Speech activity (% right)",
    "rhythm": "Rhythm (correlation)",
    "rate": "Syllable rate (difference, Hz)",
    "linkability": "Linking ciphertexts (EER, %)",
}
COUNTS = ("errors", "words", "characters")  # of single transcripts; the error rate pools them


class Schema(Description):
    """`analyses/NAME.json` as this report reads it."""

    strongest: Measure | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """One analysis of one run folder: its JSON as a dict, and its rows."""

    folder: Path
    name: str
    about: dict[str, Any]
    rows: pd.DataFrame
    cautions: tuple[str, ...] = ()

    @property
    def setting(self) -> dict[str, Any]:
        """What was analysed: model, corpus, scheme, blocks."""
        found = self.about.get("setting")
        return found if isinstance(found, dict) else {}

    @property
    def scheme(self) -> str:
        """The key scheme, such as "rom"."""
        return str(self.setting.get("scheme"))

    @property
    def label(self) -> str:
        """Such as "asv-raw3, ROM, M = 3"; of speech alone the corpus."""
        if not self.setting.get("model"):
            return str(self.setting.get("corpus") or printable(self.folder.name))
        blocks = self.setting.get("blocks")
        how = f"M = {self.setting.get('block_size')}" + ("" if blocks == Blocks.SAMPLES else f" ({blocks})")
        return f"{self.setting['model']}, {scheme_label(self.scheme)}, {how}"

    @property
    def recordings(self) -> str:
        """What the corpus is made of: "real", "synthetic" or "unknown"."""
        return str(self.setting.get("recordings") or "unknown")

    @property
    def error_name(self) -> str:
        """Such as "EER (%)"; the error of a classifier is 100 - accuracy."""
        return "100 - accuracy (%)" if self.about.get("metric") == "accuracy" else self.score_name

    @property
    def score_name(self) -> str:
        """The metric on an axis, such as "EER (%)" or "accuracy (%)"."""
        metric = str(self.about.get("metric"))
        return METRICS[metric].axis if metric in METRICS else metric

    @property
    def sentences(self) -> list[str]:
        """What follows from the analysis, in words."""
        return [str(sentence) for sentence in self.about.get("sentences") or []]

    @property
    def measures(self) -> list[dict[str, Any]]:
        """Of "keys": each measure that varies over the keys, with its rank correlation."""
        measured = [entry for entry in self.about.get("measures") or [] if entry.get("correlation") is not None]
        return [{"low": np.nan, "high": np.nan, **entry} for entry in measured if entry["name"] in self.rows]

    @property
    def strongest(self) -> dict[str, Any] | None:
        """The measure of "keys" that orders the errors best, with its correlation.

        Chosen on one half of the keys and correlated on the other (`held_out`); an older analysis did neither, and its
        measure is chosen and correlated on all of them.
        """
        judged = self.about.get("strongest") or {}
        if judged.get("correlation") is not None and judged["name"] in {entry["name"] for entry in self.measures}:
            return {**judged, "held_out": True}
        best = max(self.measures, key=lambda entry: abs(entry["correlation"]), default=None)
        return None if best is None else {**best, "held_out": False}

    def companion(self, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """Further rows beside the analysis, in `analyses/<name>.parquet`; None where there are none."""
        path = self.folder / "analyses" / f"{name}.parquet"
        known = self.about.get("tables") or {}
        return _read_rows(path, columns, self.about).table if path.exists() or name in known else None


def find_analyses(paths: Iterable[Path]) -> list[Analysis]:
    """All analyses in and below some folders, those of one kind together; each once, in the order of the folders.

    Kinds that this report does not know are left out.

    Raises
    ------
    BadInput
        If one is broken.
    """
    names = [f"{name}.json" for name in ANALYSIS_COLUMNS]
    below = (sorted(file for name in names for file in find_files(Path(path), name)) for path in paths)
    files = {file: None for some in below for file in some if file.parent.name == "analyses"}
    found = [read_analysis(file) for file in files]
    return sorted(found, key=lambda analysis: list(ANALYSIS_COLUMNS).index(analysis.name))


def group_table(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """The paper's Fig. 10 in numbers: distance to the correct key of keys with low and with high error."""
    rows = []
    for analysis in analyses:
        groups = analysis.about.get("groups")
        if not groups:
            rows.append({"Run": analysis.label, "Keys": f"{len(analysis.rows):,}"})
            continue
        row = {"Run": analysis.label, "Keys": f"{len(analysis.rows):,}"}
        for group in ("low", "high"):
            found = groups[group]
            row[f"{group}-error keys: error"] = f"{found['error_from']:.1f}–{found['error_to']:.1f} %"
            row[f"{group}: distance [25–75 %]"] = f"{found['median']:.2f} [{found['q25']:.2f}, {found['q75']:.2f}]"
        interval = f"[{100 * groups['nearer_low']:.0f}, {100 * groups['nearer_high']:.0f}]"
        row["low-error key is the nearer one"] = f"{100 * groups['nearer']:.0f} % {interval}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def prediction_table(analyses: Sequence[Analysis]) -> pd.DataFrame | None:
    """How well the error of keys is predicted, and from what; None where nothing was."""
    rows = [
        {
            "Run": analysis.label,
            "Predicted from": str(found["from"]).strip(","),
            "Rank correlation [95 %]": f"{found['rho']:.2f} [{found['low']:.2f}, {found['high']:.2f}]",
            "R² of ranks": f"{found['r2']:.2f}",
            "Weak among the tenth predicted weakest": f"{100 * found['hits']:.0f} %",
            "Keys": f"{found['keys']:,}",
        }
        for analysis in analyses
        for found in analysis.about.get("prediction") or []
    ]
    return pd.DataFrame(rows) if rows else None


def decryption_table(analysis: Analysis) -> pd.DataFrame:
    """For each kind of key: key error, SNR, STOI and the task's score, median and range over keys."""
    found: dict[tuple[str, float | None], dict[str, str]] = {}
    decimals = {"key_error": 2, "snr": 1, "stoi": 2}
    metric = str(analysis.about.get("metric"))
    names = {"key_error": "Key error", "snr": "SNR (dB)", "stoi": "STOI", metric: analysis.score_name}
    for entry in analysis.about.get("summary") or []:
        step = entry["step"]
        kind = str(entry["kind"]) if step is None else f"{entry['kind']} of {step:g}"
        row = found.setdefault((str(entry["kind"]), step), {"Decrypted with": kind, "Keys": str(entry["keys"])})
        places = decimals.get(entry["metric"], 2)
        low, middle, high = (f"{entry[part]:.{places}f}" for part in ("min", "median", "max"))
        if name := names.get(entry["metric"]):
            row[name] = middle if low == high else f"{middle} ({low} to {high})"
    return pd.DataFrame(list(found.values())).fillna("–")


def rows_table(analysis: Analysis) -> pd.DataFrame:
    """For each experiment, scheme, block size, condition and method: the median of every metric over utterances.

    Quartiles in brackets where there are several values; "–" for a metric that a row does not have.
    """
    keys = ["experiment", "scheme", "block_size", "blocks", "condition", "method"]
    metrics = [metric for metric in dict.fromkeys(analysis.rows["metric"]) if metric not in COUNTS]
    table = []
    for key, rows in analysis.rows.groupby(keys, dropna=False, sort=False):
        experiment, scheme, block_size, blocks, condition, method = key
        size = f"M = {int(block_size)}" if block_size and not _missing(block_size) else ""
        setting = [scheme_label(str(scheme)) if scheme and not _missing(scheme) else "", size]
        setting += [str(blocks) if blocks not in (Blocks.SAMPLES, "", None) and not _missing(blocks) else ""]
        row = {
            "Experiment": str(experiment),
            "Encrypted by": ", ".join(filter(None, setting)) or "–",
            "Condition": str(condition),
            "Method": "–" if _missing(method) or not method else str(method),
        }
        for metric in metrics:
            values = rows.loc[rows["metric"] == metric, "value"].to_numpy(dtype=np.float64)
            row[METRIC_NAMES.get(str(metric), str(metric))] = _median(values[np.isfinite(values)])
        table.append(row)
    shown = pd.DataFrame(table)
    constant = [name for name in ("Experiment", "Method") if len(shown) and shown[name].nunique() == 1]
    return shown.drop(columns=constant)


def _median(values: "np.ndarray[Any, np.dtype[np.float64]]") -> str:
    if not len(values):
        return "–"
    low, middle, high = (rounded(value, ".3g") for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return middle if len(values) == 1 else f"{middle} [{low}, {high}]"


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def read_analysis(path: Path) -> Analysis:
    """One analysis, `analyses/NAME.json`, with its rows, both checked; NAME is one of `ANALYSIS_COLUMNS`.

    Raises
    ------
    BadInput
        If one of the two is broken, or of another run than the one in its folder.
    """
    about = read_json(path, Schema)
    run = RunFolder(path.parent.parent).digest()
    if run is not None and about.get("run") not in (None, run):
        raise BadInput(f"{path} is of another run than the one in this folder: run its analysis again.")
    rows = _read_rows(path.with_suffix(".parquet"), ANALYSIS_COLUMNS[path.stem], about)
    cautions = tuple(old_files([rows], "rows"))
    return Analysis(path.parent.parent, path.stem, about, rows.table, cautions)


def _read_rows(path: Path, columns: Sequence[str], about: dict[str, Any]) -> Sealed:
    """A table of an analysis. Raises BadInput where the analysis did not write it, or columns are missing."""
    known = about.get("tables")
    try:
        read = read_table(path, None, "analysis", sealed=known is not None)
        if known is not None and read.seal is not None and known.get(path.stem) != read.seal.checksum:
            raise Damaged("it is of another analysis")
        if missing := [column for column in columns if column not in read.table.columns]:
            raise Damaged(f"it lacks the columns {', '.join(missing)}")
        _check(read.table, about)
    except Damaged as error:
        raise BadInput(f"{path} is broken ({error}): run its analysis again.") from None
    return read


def _check(table: pd.DataFrame, about: dict[str, Any]) -> None:
    """Check that numbers are numbers, also those that a figure draws, and that names are text. Raises Damaged."""
    measures = {entry["name"] for entry in about.get("measures") or [] if entry.get("correlation") is not None}
    if "block_size" in table and np.isinf(pd.to_numeric(table["block_size"], errors="coerce")).any():
        raise Damaged("its block_size is not a number")
    for column in table.columns:
        if column in NUMBERS or column in measures:
            try:
                table[column] = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError):
                raise Damaged(f"its {column} is not a number") from None
        elif not table[column].map(pd.api.types.is_scalar).all():
            raise Damaged(f"its {column} is not text")
