"""Which attacks a cell still needs, as AutoAttack asks only for the points that still stand (Croce and Hein, 2020).

A case settles a cell for everybody who has what it needs: it recovers most keys, or decrypts most speech.
An attack is needed as long as it may change whether one adversary who could run it breaks the scheme. What is left
out might have done so with less ciphertext or in less time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from wrongkey.attacks.base import CompleteAttack
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.successes import decrypted, ended, recovered

SHARE = 2 / 3  # of the trials of a case, for the key or for the speech

Needs = frozenset[str]


def settling(
    folder: AttackFolder, names: Iterable[str], fewest: int, trials_of: Mapping[str, int] = MappingProxyType({})
) -> set[Needs]:
    """What those cases need that settle a cell.

    Parameters
    ----------
    folder : AttackFolder
        The attacks that were run on it.
    names : iterable of str
        Which of them to ask.
    fewest : int
        Trials that a case must have.
    trials_of : mapping of str to int
        Attacks that have trials of their own number: of a smaller one, all are enough.
    """
    known = (folder.suite() or {}).get("attacks", {})
    found = set()
    for name in names:
        rows = folder.rows(name)
        if rows.empty or not known[name].get("wants_key", True):
            continue
        enough = min(fewest, trials_of.get(name, fewest))
        for given, case in ended(rows).groupby("given"):
            if len(case) >= enough and max(recovered(case).mean(), decrypted(case).mean()) >= SHARE:
                about = known[name]
                found.add(frozenset(about.get("cases", {}).get(given, about)["needs"]))
    return found


def needed(attack: CompleteAttack, settled: Iterable[Needs]) -> bool:
    """Whether one of those who could run the attack has no case that settles the cell."""
    settled = list(settled)
    able = [one for one in ADVERSARIES if one.can(attack.threat.needs)]
    return not able or not all(any(one.can(needs) for needs in settled) for one in able)
