"""Which way each metric points, and how its values are written.

The owner of a key wants a wrong key to work badly. For an error rate (EER, WER, CER, minDCF) a higher value under
a wrong key is safer; for accuracy a lower one is, and for measures of disclosure and linkability. Everything else in
this package asks `Metric` instead of assuming a direction. A decoder that was stopped by its bound (`runaway`), heard
nothing (`empty`) or invented text (`hallucinated`) gave no usable text: the more of these, the safer.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput


@dataclass(frozen=True)
class Metric:
    """One metric of a run's scores.

    Parameters
    ----------
    name : str
        As in the column `metric` of the scores, such as "eer".
    label : str
        As in text, such as "EER".
    unit : str
        "%", "bits" or "".
    higher_is_safer : bool
        True for error rates, False for accuracy.
    decimals : int
        In tables; words show one less.
    distances : tuple of float
        How close to the plain model an adversary wants to come, in the metric's unit, the smallest first.
    chance : float, optional
        The score of guessing, where it is known (of an accuracy: from the number of classes).
    beside : bool
        Whether it has no section of its own in a report, but a row in the table of what was also measured.

    Examples
    --------
    >>> get_metric("eer").words(31.2)
    '31.2 %'
    """

    name: str
    label: str
    unit: str
    higher_is_safer: bool
    decimals: int
    distances: tuple[float, ...]
    chance: float | None = None
    beside: bool = False

    @property
    def end(self) -> float:
        """The safest score that an untried key is assumed to have.

        That of guessing where it is known; else the end of the scale: every answer wrong (a WER may exceed 100 %, where
        words are inserted), a minDCF of 1 (rejecting every speaker), no success at all.
        """
        if self.chance is not None:
            return self.chance
        if not self.higher_is_safer:
            return 0.0
        return 100.0 if self.unit == "%" else 1.0

    def within(self, values: NDArray[np.float64], plain: float, distance: float) -> NDArray[np.bool_]:
        """Which of `values` come within `distance` of the plain model's score, or do even better than it."""
        gap = values - plain if self.higher_is_safer else plain - values
        return np.asarray(gap <= distance + 1e-9)

    def best_for_attacker(self, values: NDArray[np.float64]) -> int:
        """Position of the value that is worst for the owner (the first where several tie)."""
        return int(np.argmin(values) if self.higher_is_safer else np.argmax(values))

    @property
    def axis(self) -> str:
        """Label of an axis or a table: "EER (%)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def safer(self) -> str:
        """Which way is safer for the owner: "higher" or "lower"."""
        return "higher" if self.higher_is_safer else "lower"

    def number(self, value: float | None) -> str:
        """A value in a table, without unit; "–" where there is none."""
        return "–" if value is None or not np.isfinite(value) else f"{value:.{self.decimals}f}"

    def words(self, value: float) -> str:
        """A value in a sentence: "31.2 %"."""
        text = f"{value:.{self.decimals - 1}f}"
        return f"{text} {self.unit}" if self.unit else text

    def distance_words(self, distance: float) -> str:
        """A distance in a sentence: "2 points", or "0.02" for a metric without unit."""
        if self.unit != "%":
            return f"{distance:g} {self.unit}".rstrip()
        return f"{distance:g} point" + ("" if distance == 1 else "s")


_POINTS = (1.0, 2.0, 5.0)
_SHARES = (0.01, 0.02, 0.05)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("eer", "EER", "%", True, 2, _POINTS, chance=50.0),
        Metric("min_dcf", "minDCF", "", True, 3, _SHARES),
        Metric("wer", "WER", "%", True, 2, _POINTS),
        Metric("cer", "CER", "%", True, 2, _POINTS),
        Metric("runaway", "runaway decodings", "%", True, 2, _POINTS),
        Metric("accuracy", "accuracy", "%", False, 2, _POINTS),
        Metric("min_dcf_05", "minDCF at prior 0.05", "", True, 3, _SHARES, beside=True),
        Metric("eer_effective", "effective EER", "%", True, 2, _POINTS, chance=50.0, beside=True),
        Metric("eer_least_protected", "EER, least protected speaker", "%", True, 2, _POINTS, 50.0, beside=True),
        Metric("eer_female", "EER, women", "%", True, 2, _POINTS, chance=50.0, beside=True),
        Metric("eer_male", "EER, men", "%", True, 2, _POINTS, chance=50.0, beside=True),
        Metric("cllr", "Cllr, calibrated on other speakers", "bits", True, 3, _SHARES, chance=1.0, beside=True),
        Metric("cllr_min", "Cllr, least", "bits", True, 3, _SHARES, chance=1.0, beside=True),
        Metric("d_sys", "linkability D_sys", "", False, 3, _SHARES, chance=0.0, beside=True),
        Metric("d_ece", "expected disclosure (ZEBRA)", "bits", False, 3, _SHARES, chance=0.0, beside=True),
        Metric("worst_llr", "worst-case disclosure (ZEBRA), log10 LR", "", False, 2, (0.1, 0.2, 0.5), beside=True),
        Metric("mer", "MER", "%", True, 2, _POINTS, beside=True),
        Metric("empty", "empty hypotheses", "%", True, 2, _POINTS, beside=True),
        Metric("hallucinated", "hallucinated hypotheses", "%", True, 2, _POINTS, beside=True),
    )
}


def get_metric(name: str, classes: int | None = None) -> Metric:
    """Look a metric up by its name.

    Parameters
    ----------
    name : str
        One of `METRICS`.
    classes : int, optional
        How many classes a classifier chooses from, which makes the chance of an accuracy 100 / classes percent.

    Returns
    -------
    Metric
        Which way it points, and how it is written.

    Raises
    ------
    BadInput
        If the report does not know which way the metric points.

    Examples
    --------
    >>> get_metric("accuracy", classes=10).chance
    10.0
    """
    try:
        metric = METRICS[name]
    except KeyError:
        known = ", ".join(METRICS)
        raise BadInput(f"The report does not know the metric {name!r}: take one of {known}.") from None
    return replace(metric, chance=100 / classes) if classes and name == "accuracy" else metric
