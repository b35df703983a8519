"""How often a fitted tail holds the true number of guesses: ``python benchmarks/simulate_tails.py`` (four minutes).

The table of docs/statistics.md, "Tails and guesses". EERs of keys are drawn from distributions whose lower tail is
known, and plain is put where one random key in `RARITY` comes within a point of it, which few samples show. Each cell:
the share of 95 % intervals that hold `RARITY`, of the samples in which no key came that close and the fit speaks; and
the share of samples in which the thresholds disagree, so that it does not.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from wrongkey.reports.metrics import METRICS
from wrongkey.reports.statistics.tails import fit_tail

RARITY = 10_000
SIZES = (300, 1_000, 3_000)
BOUND = 12.5  # log10, of ROM at M = 5
EERS = {
    "normal": stats.norm(30, 4),
    "exponential tail": stats.expon(0, 3),
    "gamma 4 towards plain": stats.gamma(4, scale=2),
    "gamma 4 away from plain": stats.gamma(4, scale=4),
    "uniform": stats.uniform(20, 30),
}
MIRRORED = ("exponential tail", "gamma 4 towards plain")  # 45 minus these


def simulate(name: str, keys: int, samples: int, generator: np.random.Generator) -> tuple[float | None, float]:
    """Coverage where the fit speaks (None where it never does), and the share of unclear samples."""
    law, mirrored, eer = EERS[name], name in MIRRORED, METRICS["eer"]
    goal = 45 - float(law.isf(1 / RARITY)) if mirrored else float(law.ppf(1 / RARITY))
    held, spoken, unclear = 0, 0, 0
    for _ in range(samples):
        drawn = np.asarray(law.rvs(size=keys, random_state=generator))
        tail = fit_tail(45 - drawn if mirrored else drawn, goal - 1.0, eer, BOUND)
        assert tail is not None
        near = tail.guesses[0]
        if near.counted:
            continue
        unclear += not near.stable
        spoken += near.stable
        held += near.stable and near.low <= RARITY <= near.high
    return held / spoken if spoken else None, unclear / max(spoken + unclear, 1)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--samples", type=int, default=200, help="samples of keys for each cell")
    asked = options.parse_args()
    generator = np.random.default_rng(0)
    print("| EERs of keys | " + " | ".join(f"{size:,} keys" for size in SIZES) + " |")
    print("| :--- | " + " | ".join("---:" for _ in SIZES) + " |")
    for name in EERS:
        cells = []
        for size in SIZES:
            held, unclear = simulate(name, size, asked.samples, generator)
            cells.append(f"{'–' if held is None else f'{held:.2f}'} (unclear {unclear:.2f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
