"""How much the fitted measures see that is not there: ``python benchmarks/simulate_disclosure.py``.

Independent trials, half of each kind, with normal scores of which the EER is known. The truth is the same measure on a
million trials (worst-case disclosure has none: for normal scores it grows with the number of trials without bound).
"""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from wrongkey.evaluation.metrics.affine import calibrated_cllr
from wrongkey.evaluation.metrics.calibration import cllr_min, pools_of_keys
from wrongkey.evaluation.metrics.disclosure import expected_disclosure, worst_disclosure
from wrongkey.evaluation.metrics.linkage import linkability

TRIALS = (200, 672, 2_000, 10_000, 38_000, 1_000_000)
EERS = (50.0, 30.0, 10.0)  # percent
SCORES = 2_000_000  # of all worlds of a size together

Measures = dict[str, NDArray[np.float64]]


def main() -> None:
    """Print the table."""
    ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
    names = list(measured(np.zeros((1, 40)), np.arange(40) < 20))
    print("| EER | trials | " + " | ".join(names) + " |\n| ---: | ---: |" + " ---: |" * len(names))
    for percent in EERS:
        for trials in TRIALS:
            generator = np.random.default_rng(trials)
            worlds = min(200, SCORES // trials)
            target = np.arange(trials) % 4 < 2  # so that both halves of the calibration have both kinds
            distance = 2 * norm.isf(percent / 100)
            found = measured(generator.standard_normal((worlds, trials)) + distance * target, target)
            means = (f"{values.mean():.3f}" for values in found.values())
            print(f"| {percent:g} % | {trials:,} | " + " | ".join(means) + " |", flush=True)


def measured(scores: NDArray[np.float64], target: NDArray[np.bool_]) -> Measures:
    """Each measure of each world, from `scores (worlds, trials)`."""
    odd = np.arange(len(target)) % 2 == 1
    both = list(pools_of_keys(scores, target))
    return {
        "Cllr (bits)": calibrated_cllr(scores, target, (~odd, odd)),
        "Cllr, least (bits)": np.array([cllr_min(plain) for plain, _ in both]),
        "D_sys": linkability(scores, target),
        "D_ECE (bits)": np.array([expected_disclosure(plain) for plain, _ in both]),
        "worst, log10 LR": np.array([worst_disclosure(laplace) for _, laplace in both]),
    }


if __name__ == "__main__":
    main()
