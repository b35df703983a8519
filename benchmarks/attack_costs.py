"""What attacks from ciphertext alone cost: ``python -m benchmarks.attack_costs [--corpus bundled] [--trials 3]``.

A trial is one key and one victim of a corpus, as in `benchmarks.structured`; the attacks take turns, so that other work
on the machine hits all of them. Seconds are the processor's, of one thread; each is given beside the seconds of
ciphertext (below 1 the attack keeps up with speech) and beside the first row. The board (docs/board.md) has the costs
of all attacks.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import torch

from benchmarks.structured import Row, attacked
from benchmarks.tables import Table, add_json, show
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.target import Target

CASES = (  # attack, scheme, M, seconds of ciphertext
    ("polyphase", "rom", 10, 5.0),
    ("sign-chain", "flipping", 10, 5.0),
    ("sample-order", "shuffling", 10, 5.0),
    ("signed-order", "signed-shuffling", 10, 5.0),
    ("linear-prediction", "rom", 5, 5.0),
    ("oblique-polyphase", "invertible", 5, 5.0),
    ("block-pattern", "rom+signs=8", 5, 5.0),
)
NAMES = [case[0] for case in CASES]


def main() -> None:
    """Print the table."""
    options = _options()
    torch.set_num_threads(1)
    cases = [case for case in CASES if case[0] in options.attacks]
    found: dict[tuple[str, str, int, float], list[Row]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        targets = {case: _target(options.corpus, case[1], case[2], Path(folder)) for case in cases}
        for number in range(options.trials):
            for case in cases:
                found[case].append(attacked(targets[case], open_attack(case[0]), case[3], number))
                print(*case, {name: found[case][-1][name] for name in ("broken", "cpu")}, flush=True)
    first = [row["cpu"] for row in found[cases[0]]]
    rows = []
    for (attack, scheme, block, seconds), trials in found.items():
        spent = [row["cpu"] for row in trials]
        ratio = median(mine / least for mine, least in zip(spent, first, strict=True))
        broken = f"{sum(row['broken'] for row in trials)} of {len(trials)}"
        cpu = median(spent)
        rows.append(
            [f"`{attack}`", f"`{scheme}`", f"{block}", broken, f"{cpu:.2f}", f"{cpu / seconds:.2f}", f"{ratio:.2f}"]
        )
    columns = ("attack", "scheme", ">M", ">broken", ">s", ">/ seconds of ciphertext", f">/ {cases[0][0]}")
    note = f"{options.corpus}, {cases[0][3]:g} s of ciphertext; medians of {options.trials} trials."
    show(options.json, Table(columns, rows, note))


def _target(corpus: str, scheme: str, block: int, folder: Path) -> Target:
    return Target(AttackConfig(corpus=corpus, scheme=scheme, block=block, device="cpu"), folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--attacks", nargs="+", choices=NAMES, default=NAMES)
    add_json(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
