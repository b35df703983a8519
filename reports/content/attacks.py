"""The attacks of a report: what each achieved, in sentences and tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from wrongkey.evaluation.run_folder.successes import NEAR_CORRECT_STOI, UNLOCKED
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.reports.attacks.decisions import ALPHA, ENOUGH_TRIALS, LEAST_SHARE
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.tables import attack_table, measurement_table, verdict_table
from wrongkey.reports.attacks.threats import ASSETS
from wrongkey.reports.attacks.verdict_file import content as verdict_content
from wrongkey.reports.attacks.verdicts import AttackVerdict
from wrongkey.reports.content.gather import Gathered
from wrongkey.reports.content.schema import AttackRun as AttackFacts
from wrongkey.reports.content.schema import Attacks, Figure
from wrongkey.reports.content.tables import as_table

CRITERIA = (
    f"In a trial an attack succeeds against the key (relative error below {RECOVERED:g}), the speech (SNR of "
    f"{DECRYPTED:.0f} dB or more, or STOI within {NEAR_CORRECT_STOI:g} of what the correct key gives) or the use of "
    f"the model (within {UNLOCKED:g} point of plain). Broken: more keys fall than random keys do (Fisher’s exact test, "
    f"corrected for all cases of a run; {100 * ALPHA:.0f} %), and the 95 % interval of the share lies at "
    f"{100 * LEAST_SHARE:.0f} % of keys or above. Fewer than {ENOUGH_TRIALS} trials decide only where the evidence is "
    "overwhelming. What a verdict means, and what it does not: docs/threat-model.md."
)
READING = (
    "Every row is the cheapest case that broke an asset or, where none did, the strongest one. Key or speech: in how "
    "many trials the key was found or the speech decrypted. Brackets: quartiles over keys and victims; of the share of "
    "keys a 95 % interval (Wilson). CPU seconds include all threads. A query is one key tried on a set of utterances, "
    "or one chosen block. An attack that found no key is scored like an unrelated key: error 1.4, 0 dB."
)
NUMBERS = ("attack", "given", "asset", "verdict", "needs", "hits", "trials", "failed", "null_hits", "null_trials")


def attacks(found: Gathered, figures: Sequence[Figure]) -> Attacks | None:
    """All attacks; None where there are none."""
    if not found.attacks:
        return None
    about = {name: said for run in found.attacks for name, said in run.suite.get("attacks", {}).items()}
    ran = dict.fromkeys(str(name) for run in found.attacks for name in run.rows["attack"] if name in about)
    return Attacks(
        criteria=CRITERIA,
        figures=list(figures),
        runs=[_run(run, one) for run, one in zip(found.attacks, found.verdicts, strict=True)],
        adversaries=[[name, str(about[name].get("adversary") or "")] for name in ran],
    )


def attack_numbers(found: Gathered) -> pd.DataFrame:
    """Every number of the attacks, unrounded: a row for each run, attack, case and asset."""
    rows = []
    for run, one in zip(found.attacks, found.verdicts, strict=True):
        setting = run.setting
        place = {"run": run.folder.resolve().name, "scheme": run.scheme, "blocks": setting.get("blocks")}
        place |= {"block_size": run.block_size, "model": setting.get("model"), "corpus": setting.get("corpus")}
        for case in verdict_content(run, one)["cases"]:
            numbers = {name: value for name, value in case.items() if name not in ("effects", "reason")}
            rows.append(place | numbers | {"needs": ", ".join(case["needs"])})
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["run", *NUMBERS])


def _run(run: AttackRun, found: AttackVerdict) -> AttackFacts:
    measured = measurement_table(run)
    tables = [
        as_table(verdict_table(found), f"{run.label}: verdict on each asset, for each adversary"),
        as_table(attack_table(run, found.cases), f"{run.label}: what each attack achieved, and its cost"),
    ]
    if len(measured):
        note = "These attacks are not after a key: medians of what they measured."
        tables.append(as_table(measured, f"{run.label}: also measured", note))
    return AttackFacts(
        run=run.folder.resolve().name,
        label=run.label,
        sentence=found.sentence,
        cautions=list(run.cautions),
        facts=_facts(run),
        tables=tables,
        reasons=_reasons(found),
        obstacles=[[name, reason] for name, reason in run.obstacles.items()],
    )


def _facts(run: AttackRun) -> str:
    """Who was attacked, and the error that attacks are compared with."""
    setting = run.setting
    victims = run.rows["victim"].nunique() if "victim" in run.rows else setting.get("victims")
    facts = f"{setting.get('corpus')}: {victims} victims, {setting.get('others')} background speakers."
    plain, incorrect = run.error_under("plain"), run.error_under("incorrect")
    if np.isfinite(plain):
        facts += f" {run.error_name} of the plain model: {plain:.1f} %; median of incorrect keys: {incorrect:.1f} %."
    return facts


def _reasons(found: AttackVerdict) -> list[list[str]]:
    """[asset, adversaries, word, sentence], once for all adversaries with the same word and sentence."""
    who: dict[tuple[str, str, str], list[str]] = {}
    for cell in found.cells:
        who.setdefault((ASSETS[cell.asset], cell.word.value, cell.sentence), []).append(cell.adversary)
    return [[asset, ", ".join(names), word, sentence] for (asset, word, sentence), names in who.items()]
