"""What the attacks of a run achieved, as `compare` sets it beside another run's: shares of trials, and errors.

An attack that ran on one run alone says nothing about the difference, and its absence must not help B: as long as an
attack is missing on either side, nothing is shown. An attack that does not apply to a run (the harness says why) is not
missing there: it succeeds in none of its trials.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wrongkey.reports.comparison.gain_of_errors import TaskError, gain_of_errors
from wrongkey.reports.comparison.gain_of_shares import Share, gain_of_shares
from wrongkey.reports.comparison.noninferiority import Gain

NEVER = Share(0, 1, exhaustive=True)  # an attack that does not apply


@dataclass(frozen=True)
class Attacked:
    """The attacks on a run, by "attack (case): what was lost".

    shares: of the trials that ended, in how many the asset was lost.
    errors: of the model that an attack without a key returns.
    failed: trials that failed with an exception and do not count, by "attack (case)"; zeros left out.
    broken: cases without a trial that ended.
    obstacles: attacks that do not apply, with the reason.
    command: the last one that attacked the run, "" where none is known.
    """

    shares: Mapping[str, Share] = field(default_factory=dict)
    errors: Mapping[str, TaskError] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    obstacles: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def found(self) -> dict[str, Share | TaskError]:
        """Shares and errors together."""
        return {**self.shares, **self.errors}

    def beside(self, other: "Attacked") -> "Attacked":
        """The same, with the other run's attacks that do not apply to this one and so succeed in no trial."""
        spared = {name: NEVER for name in other.shares if name not in self.shares and attack_of(name) in self.obstacles}
        return replace(self, shares={**self.shares, **spared})

    def lacks(self, other: "Attacked") -> list[str]:
        """What is missing on this run: attacks that the other had, and those that never ended here."""
        lacking = [name for name in other.found if name not in self.found]
        named = {case_of(name) for name in lacking}
        return lacking + [case for case in sorted(self.broken) if case not in named]


def attack_of(name: str) -> str:
    """The attack of a name: "order" of "order (5 s): key or speech"."""
    return name.split(" (", 1)[0]


def case_of(name: str) -> str:
    """The attack and its case: "order (5 s)" of "order (5 s): key or speech"."""
    return name.rsplit(": ", 1)[0]


def attack_gains(b: Attacked, a: Attacked) -> list[tuple[str, str, Gain]]:
    """Kind ("attack" of shares, "error" of errors), name and gain of every attack that both runs had."""
    gains = [("attack", name, gain_of_shares(b.shares[name], a.shares[name])) for name in a.shares if name in b.shares]
    return gains + [
        ("error", name, gain_of_errors(b.errors[name], a.errors[name])) for name in a.errors if name in b.errors
    ]
