"""What the side that computes and the side that reports must call by one name. Imports no torch.

The sweep and the attacks write these words into a run folder, and the reports read them. They are defined here only,
so that both sides use the same thresholds and columns.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self, TypeVar

# The metric that decides a task, unless its speech calls for another one (CER where spaces do not separate words).
PRIMARY_METRIC = {"asv": "eer", "asr": "wer", "asc": "accuracy"}

RECOVERED = 0.1  # relative key error below which a key counts as recovered; it decrypts at about 20 dB or more
DECRYPTED = 20.0  # SNR in dB from which speech counts as decrypted, whatever the key error
LARGEST_BLOCK = 2**14  # samples or bins of a block: the largest key that can be drawn (`wrongkey.keys.draw`)
EXACT = 149.0  # SNR in dB from which decryption is exact but for rounding

# What an adversary may need, from the least to the most (docs/threat-model.md).
NEEDS = (
    *("ciphertext", "ciphertext of many", "other speech", "answers", "encrypted model", "public model"),
    *("plain enrolment", "labelled ciphertext", "known plaintext", "chosen plaintext"),
)
OF_A_MODEL = frozenset({"answers", "encrypted model", "public model"})  # nobody has them where speech alone is attacked
# Fields of a case, columns of attack rows: `given_seconds` and so on.
CASE_COLUMNS = ("seconds", "known_blocks", "quality", "queries", "variant")
# What decryption with a recovered key sounds like, columns of attack rows.
HEARD_COLUMNS = (
    *("snr", "stoi", "snr_correct", "stoi_correct", "heard_seconds"),
    *("snr_unseen", "stoi_unseen", "unseen_seconds", "wer", "wer_correct"),
)

# In the column `failed`, of a trial whose process died: of memory, say, so that the same trial may end another time.
DIED = "the process of the attack died"
MODEL_DIED = "returned ended its process"
DIED_AGAIN = "died again: "  # before either, of a trial that was tried once more: it would die every time

# The parts of a cell of a board (`wrongkey board`), in the order in which they are run.
BOARD_PARTS = ("attacks", "strength", "leaks", "cost")

_PHASE_COLUMNS = ("experiment", "scheme", "block_size", "blocks", "condition", "method", "utterance", "metric", "value")
# The columns of `analyses/NAME.parquet`, by NAME; of `keys`, those that every file has.
ANALYSIS_COLUMNS = {
    "keys": ("key_index", "score", "error", "group", "euclidean"),
    "decryption": ("kind", "step", "draw", "utterance", "metric", "value"),
    "phase": _PHASE_COLUMNS,
    "leaks": _PHASE_COLUMNS,
}


class _Number(Protocol):
    def __rsub__(self, other: int, /) -> Self: ...


Percent = TypeVar("Percent", bound=_Number)


def error_percent(metric: str, value: Percent) -> Percent:
    """A score as an error in percent: 100 - accuracy, and every other metric as it is.

    Parameters
    ----------
    metric
        The name of a metric in percent: `eer`, `wer`, `cer` or `accuracy`.
    value
        A number, array or column of them, 0 to 100 (a WER may exceed 100).

    Returns
    -------
    Percent
        The error, of the type and shape of `value`.

    Examples
    --------
    >>> error_percent("accuracy", 97.5)
    2.5
    >>> error_percent("eer", 2.0)
    2.0
    """
    return 100 - value if metric == "accuracy" else value


@dataclass(frozen=True)
class SelfCheck:
    """A check that a run made of itself before its scores were used.

    Parameters
    ----------
    name
        What was checked, in two or three words.
    value
        What was measured.
    limit
        The largest value that passes.
    text
        What the check compares, for a reader.
    passed
        Whether it passed.
    """

    name: str
    value: float
    limit: float
    text: str
    passed: bool

    @classmethod
    def within(cls, name: str, value: float, limit: float, text: str) -> SelfCheck:
        """Make a check that passes while `value` does not exceed `limit`; NaN fails."""
        return cls(name, value, limit, text, passed=value <= limit)

    def to_json(self) -> dict[str, Any]:
        """Return the check as `manifest.json` holds it."""
        return asdict(self)
