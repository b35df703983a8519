"""What counts as success in one trial: on rows of attacks and on those of random keys alike. Imports no torch.

Rows of an older wrongkey lack some columns: their ciphertext was clean, and no failure was marked.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, DIED, DIED_AGAIN, MODEL_DIED, RECOVERED

Array = NDArray[np.float64]

NEAR_CORRECT_SNR = 1.0  # dB below what the correct key gives on the same ciphertext: decrypted as well
NEAR_CORRECT_STOI = 0.05
UNLOCKED = 1.0  # points of the task's error within which the model counts as good as plain


def numbers(rows: pd.DataFrame, column: str, default: float = np.nan) -> Array:
    """A column as floats `(rows,)`, with a default where there is none."""
    if column not in rows:
        return np.full(len(rows), default)
    values = rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(values), default, values)


def ended(rows: pd.DataFrame) -> pd.DataFrame:
    """The trials in which the attack ended: one that failed with an exception says nothing about a key."""
    return rows[rows["failed"].fillna("") == ""] if "failed" in rows else rows


def died(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Per trial: its process died, which says nothing about the attack, and may go better another time.

    Not of one that died again: it is a failure as any other.
    """
    if "failed" not in rows:
        return np.zeros(len(rows), dtype=bool)
    why = rows["failed"].fillna("").astype(str)
    dead = why.str.startswith(DIED) | why.str.contains(MODEL_DIED, regex=False)
    return np.asarray(dead & ~why.str.startswith(DIED_AGAIN), dtype=bool)


def recovered(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Per trial: the key is recovered."""
    return np.asarray(numbers(rows, "key_error") < RECOVERED, dtype=bool)


def decrypted(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Per trial: the victim's speech is decrypted, in absolute terms or nearly as well as by the correct key."""
    enough = np.minimum(DECRYPTED, numbers(rows, "snr_correct", 150.0) - NEAR_CORRECT_SNR)
    clear = numbers(rows, "stoi_correct", 1.0) - NEAR_CORRECT_STOI
    return np.asarray((numbers(rows, "snr") >= enough) | (numbers(rows, "stoi") >= clear), dtype=bool)


def broken(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Per trial: the key is recovered, or the victim's speech is decrypted."""
    return recovered(rows) | decrypted(rows)


def unlocked(errors: Array, plain: float, distance: float = UNLOCKED) -> NDArray[np.bool_]:
    """Per error: the model answers as well as plain, within `distance` points; in none where either is NaN."""
    return np.asarray(errors <= plain + distance + 1e-9, dtype=bool)
