"""What ciphertext tells without any key, from `wrongkey analyse leaks`: it bears on whoever hears it."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from wrongkey.printable import listed
from wrongkey.reports.analyses import Analysis

# (condition, metric, words) of rows of the analysis; an EER of linking counts for one key, under which all users are.
TOLD = (
    ("encrypted", "energy", "how loud it is over time (correlation {:.2f})"),
    ("encrypted", "activity", "where there is speech ({:.0f} % right)"),
    ("one key", "linkability", "which utterances are of one speaker (EER {:.1f} %)"),
)


def leak_sentence(analyses: Iterable[Analysis], scheme: str, block_size: int, blocks: str) -> str:
    """The leaks of ciphertext of this kind, medians over utterances; empty where none were measured."""
    rows = [rows_about(analysis, scheme, block_size, blocks) for analysis in analyses]
    if not rows:
        return ""
    table, told = pd.concat(rows), []
    for condition, metric, words in TOLD:
        values = table[(table["condition"] == condition) & (table["metric"] == metric)]["value"].to_numpy(dtype=float)
        if np.isfinite(values).any():
            told.append(words.format(float(np.nanmedian(values))))
    return f"Ciphertext tells without any key {listed(told)}." if told else ""


def rows_about(analysis: Analysis, scheme: str, block_size: int, blocks: str) -> pd.DataFrame:
    """The rows of one kind of ciphertext; none of an analysis of something else."""
    rows = analysis.rows
    if analysis.name != "leaks":
        return rows.iloc[:0]
    return rows[(rows["scheme"] == scheme) & (rows["block_size"] == block_size) & (rows["blocks"] == blocks)]
