"""How many trials an attack has, and with how much ciphertext: decided by what its trials gave and took so far.

The most ciphertext comes first. More of it contains the less, so that what an attack cannot do with the most it cannot
be expected to do with a part: trials of a costly attack are spent where they can still tell something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pandas import isna

from wrongkey.attacks.base import Case, CompleteAttack
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.board_protocol import Attacks
from wrongkey.evaluation.run_folder.successes import broken, died, ended


@dataclass(frozen=True)
class Schedule:
    """The trials of a cell, as `wrongkey.attacks.harness.suite.run_attacks` asks for them.

    Attributes
    ----------
    asked : Attacks
        What the protocol says of attacks.
    shortened : dict of str to str
        Receives the attacks that have fewer trials than the protocol asks for, and why, as a sentence.
    """

    asked: Attacks
    shortened: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, attack: CompleteAttack, cases: Sequence[Case], folder: AttackFolder
    ) -> Iterator[tuple[Sequence[Case], int]]:
        """Cases with the trials that each is to have; asked again after these, it goes by the rows so far.

        Cases that take no ciphertext by the second come with those that have most of it.
        """
        amounts = sorted({case.seconds for case in cases if case.seconds is not None}, reverse=True)
        for place, amount in enumerate(amounts or [None]):
            group = [case for case in cases if case.seconds == amount or (place == 0 and case.seconds is None)]
            yield from self._rounds(attack, group, folder)
            if amount is None or not worth_less(attack, folder, amount):
                return

    def asks_again(self, folder: AttackFolder) -> bool:
        """Whether it asks for a trial whose process died, so that the same command tries it again.

        Not of trials that it no longer asks for, since others decided: they would never be run. Random keys and
        guessing have numbers of their own. False of a folder whose rows cannot be read.
        """
        try:
            return any(self._asks_for_dead(name, folder) for name in (folder.suite() or {}).get("attacks", {}))
        except BadInput:
            return False

    def _asks_for_dead(self, name: str, folder: AttackFolder) -> bool:
        rows = folder.rows(name)
        dead = rows[died(rows)]
        if dead.empty or name not in self.asked.names:
            return not dead.empty
        amounts = rows.drop_duplicates("given").set_index("given")["given_seconds"]
        # a case here has its words as its variant: the schedule itself looks at seconds alone
        cases = [Case(None if isna(one) else float(one), variant=str(given)) for given, one in amounts.items()]
        return any(
            ((dead["given"] == case.variant) & (dead["trial"] < trials)).any()
            for group, trials in replace(self, shortened={})(open_attack(name), cases, folder)
            for case in group
        )

    def _rounds(
        self, attack: CompleteAttack, group: Sequence[Case], folder: AttackFolder
    ) -> Iterator[tuple[Sequence[Case], int]]:
        """A trial of each case, the fewest where they fit the budget, and all of an attack that takes little time."""
        wanted = self._wanted(attack)
        fewest = min(wanted, self.asked.fewest)
        trials, why = (1 if self.asked.budget else fewest), ""
        yield group, trials
        for more in (fewest, wanted):
            if more > trials and not (why := self._why_not(attack, folder, more, more == wanted)):
                trials = more
                yield group, trials
            if why:
                break
        if why and (number := trials_of(folder, attack.name)) < wanted:  # rows of an earlier session count
            self.shortened[attack.name] = f"{attack.name}: {number} of {wanted} trials, since {why}."

    def _why_not(self, attack: CompleteAttack, folder: AttackFolder, more: int, all_of_them: bool) -> str:
        """Why an attack is to have no more trials; empty where it is."""
        spent, asked = seconds_of(folder, attack.name), self.asked
        if asked.budget and more * sum(spent) > asked.budget:
            return f"{more} of them would take more than the budget of {asked.budget:,.0f} s"
        if all_of_them and more > asked.fewest and max(spent, default=0) > asked.costly_after:
            return f"one takes more than {asked.costly_after:g} s"
        return ""

    def _wanted(self, attack: CompleteAttack) -> int:
        """Trials that the protocol asks for; an attack without a key is scored on all victims, and knows its number."""
        number = self.asked.trials_of.get(attack.name, self.asked.trials)
        return number if attack.wants_key else min(number, attack.most_trials or number)


def worth_less(attack: CompleteAttack, folder: AttackFolder, seconds: float) -> bool:
    """Whether an attack is to be tried with less ciphertext, after its trials with this much.

    Parameters
    ----------
    attack : CompleteAttack
        One without a key is scored on all victims at once, and tried with every amount.
    folder : AttackFolder
        What was run so far.
    seconds : float
        The amount of ciphertext of the last trials.

    Returns
    -------
    bool
        False where no trial found the key or decrypted speech.
    """
    rows = folder.rows(attack.name)
    if rows.empty:
        return False
    with_this_much = ended(rows[rows["given_seconds"] == seconds])
    return bool(broken(with_this_much).any()) if attack.wants_key else not with_this_much.empty


def seconds_of(folder: AttackFolder, attack: str) -> list[float]:
    """Median CPU seconds of a trial, for each case of an attack that has rows; not of one whose process died."""
    rows = folder.rows(attack)
    rows = rows[~died(rows)]
    return [] if rows.empty else [float(case["seconds"].median()) for _, case in rows.groupby("given")]


def trials_of(folder: AttackFolder, attack: str) -> int:
    """The trials of an attack that have rows, in the case that has fewest; one whose process died is none."""
    rows = folder.rows(attack)
    return 0 if rows.empty else int(rows.assign(ended=~died(rows)).groupby("given")["ended"].sum().min())
