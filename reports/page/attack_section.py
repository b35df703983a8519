"""The section of the report about attacks: verdicts, curves, and a table for each run folder."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.reports.attacks.decisions import ALPHA, ENOUGH_TRIALS, LEAST_SHARE
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.successes import NEAR_CORRECT_STOI, UNLOCKED
from wrongkey.reports.attacks.tables import attack_table, measurement_table, verdict_table
from wrongkey.reports.attacks.threats import ASSETS
from wrongkey.reports.attacks.verdicts import AttackVerdict, verdict
from wrongkey.reports.figures.attacks import block_size_curves, seconds_figure
from wrongkey.reports.tables import to_html
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE


def attack_figures(runs: Sequence[AttackRun]) -> Iterator[tuple[str, str, Figure]]:
    """(name, caption, figure) of the curves that these runs have points for."""
    if figure := seconds_figure(runs):
        caption = (
            "Ciphertext-only attacks against seconds of ciphertext of one speaker: share of keys recovered, and SNR of "
            "the decrypted speech, median and quartiles over keys and victims."
        )
        yield "attacks-seconds", caption, figure
    if figure := block_size_curves(runs):
        yield (
            "attacks-block-size",
            "Ciphertext-only attacks against block size M, each with the most seconds that it was given.",
            figure,
        )


def attack_context(runs: Sequence[AttackRun], plates: Sequence[Any]) -> dict[str, Any] | None:
    """What the template shows; None where there are no attacks."""
    if not runs:
        return None
    found = [verdict(run) for run in runs]
    return {
        "limits": {
            "key_error": f"{RECOVERED:g}",
            "decrypted": f"{DECRYPTED:.0f}",
            "stoi": f"{NEAR_CORRECT_STOI:g}",
            "unlocked": f"{UNLOCKED:g}",
            "share": f"{100 * LEAST_SHARE:.0f}",
            "alpha": f"{100 * ALPHA:.0f}",
            "trials": ENOUGH_TRIALS,
        },
        "verdicts": [_verdict(run, one) for run, one in zip(runs, found, strict=True)],
        "plates": plates,
        "runs": [_run(run, one) for run, one in zip(runs, found, strict=True)],
    }


def _verdict(run: AttackRun, found: AttackVerdict) -> dict[str, str]:
    doubt = "" if run.recordings == "real" else EVIDENCE.get(run.recordings, UNKNOWN_EVIDENCE)
    cautions = filter(None, (doubt, *run.cautions))
    return {"label": found.label, "sentence": found.sentence, "caution": " ".join(cautions)}


def _reasons(found: AttackVerdict) -> list[tuple[str, str, str, str]]:
    """(asset, adversaries, word, sentence), once for all adversaries with the same word and sentence."""
    who: dict[tuple[str, str, str], list[str]] = {}
    for cell in found.cells:
        who.setdefault((ASSETS[cell.asset], cell.word, cell.sentence), []).append(cell.adversary)
    return [(asset, ", ".join(names), word, sentence) for (asset, word, sentence), names in who.items()]


def _run(run: AttackRun, found: AttackVerdict) -> dict[str, Any]:
    measured = measurement_table(run)
    about = run.suite.get("attacks", {})
    ran = [name for name in dict.fromkeys(run.rows["attack"]) if name in about]
    setting, sessions = run.setting, run.suite.get("sessions") or [{}]
    victims = run.rows["victim"].nunique() if "victim" in run.rows else setting.get("victims")
    plain, incorrect = run.error_under("plain"), run.error_under("incorrect")
    compared = f"{run.error_name} of the plain model: {plain:.1f} %; median of incorrect keys: {incorrect:.1f} %."
    return {
        "label": run.label,
        "words": Markup(to_html(verdict_table(found))),
        "reasons": _reasons(found),
        "table": Markup(to_html(attack_table(run, found.cases))),
        "measured": Markup(to_html(measured)) if len(measured) else None,
        "obstacles": run.obstacles,
        "adversaries": {name: about[name].get("adversary", "") for name in ran},
        "trials": f"{setting.get('corpus')}: {victims} victims, {setting.get('others')} background speakers.",
        "compared": compared if np.isfinite(plain) else "",
        "command": sessions[-1].get("command"),
    }
