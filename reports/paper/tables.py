"""All tables of some runs and attacks for a paper: one LaTeX file of floats, to be read in by `input`."""

from collections.abc import Sequence

import pandas as pd

from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.tables import attack_table
from wrongkey.reports.attacks.verdicts import verdict
from wrongkey.reports.latex import Extreme, to_latex
from wrongkey.reports.statistics.key_statistics import KeyStatistics
from wrongkey.reports.tables import closeness_table, score_table, worst_key_table

PREAMBLE = "% Needs \\usepackage{booktabs,siunitx} in the preamble.\n"


def paper_tables(
    results: Sequence[KeyStatistics], attacks: Sequence[AttackRun] = (), board: pd.DataFrame | None = None
) -> str:
    r"""Write the board, the tables of scores, worst keys and near ones of each metric, and those of attacks.

    Bold: the mean that is safest, and the incorrect key that works best.

    Parameters
    ----------
    results : sequence of KeyStatistics
        Of `summarise_all`, of any metrics.
    attacks : sequence of AttackRun
        Of `find_attacks`.
    board : DataFrame, optional
        The verdict board, a row for each scheme and block size, all texts.

    Returns
    -------
    str
        LaTeX in ASCII, which needs `\usepackage{booktabs,siunitx}`.
    """
    floats = [] if board is None else [to_latex(board, "Which adversaries break which scheme.", "board")]
    for metric in dict.fromkeys(result.metric.name for result in results):
        floats += _of_metric([result for result in results if result.metric.name == metric])
    for number, run in enumerate(attacks, start=1):
        caption = f"Attacks on {run.label}: each in its strongest case; medians [quartiles] over trials."
        floats.append(to_latex(attack_table(run, verdict(run).cases), caption, f"attacks-{number}"))
    return PREAMBLE + "\n" + "\n".join(floats)


def _of_metric(results: Sequence[KeyStatistics]) -> list[str]:
    """The tables of runs of one metric."""
    metric = results[0].metric
    safest: Extreme = "most" if metric.higher_is_safer else "least"
    weakest: Extreme = "least" if metric.higher_is_safer else "most"
    interval = f"{metric.axis}, 95 % intervals in brackets"
    scores = f"Scores of incorrect keys: {interval}."
    worst = f"The incorrect key that works best, and how many random keys it takes to come close to plain: {interval}."
    near = "How many incorrect keys came close to the plain model; in parentheses by the ends of their intervals."
    return [
        to_latex(score_table(results), scores, f"scores-{metric.name}", {"Mean [95 %]": safest}),
        to_latex(worst_key_table(results), worst, f"worst-keys-{metric.name}", {"Worst key [95 %]": weakest}),
        to_latex(closeness_table(results), near, f"near-keys-{metric.name}"),
    ]
