"""The verdict on guessing keys, from the incorrect keys of a sweep: one criterion for the board and for `--fail-if`.

An adversary who gets the model's answers draws keys at random until one works. Where a share q of the keys works, that
takes 1 / q guesses on average. Where the number of keys S is known, the correct one counts as well, and no key is tried
twice: of 1 + (S - 1) q good keys, the first comes after (S + 1) / (2 + (S - 1) q) guesses on average.
docs/threat-model.md has the reasons for the limits.
"""

import math
from dataclasses import dataclass

from wrongkey.reports.attacks.attacked_task import AttackedTask
from wrongkey.reports.attacks.threats import Word
from wrongkey.reports.statistics.key_statistics import count_words
from wrongkey.reports.statistics.proportions import exact_interval

MOST_GUESSES = 1_000  # on average: as many or fewer break or weaken
EXCLUDED = 0.01  # the share of keys near plain that must be excluded before guessing counts as in vain
ENOUGH_KEYS = math.ceil(math.log(0.05) / math.log(1 - EXCLUDED))  # of which none came near: 299
GUESSING_NEEDS = frozenset({"answers"})


@dataclass(frozen=True)
class Near:
    """The incorrect keys within `distance` points of plain.

    coarse: why the error cannot tell how many there are; `hits` then count for nothing.  space: of keys, with the
    correct one; None where they are a continuum.
    """

    distance: float
    hits: int
    tried: int
    exhaustive: bool
    space: int | None
    coarse: str

    @property
    def share(self) -> float:
        """Of the keys tried; 0 where the error is too coarse to call any key good."""
        return 0.0 if self.coarse else self.hits / self.tried

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the share; none where every key was tried.

        Without a hit the lower end is 0 whatever the keys, so that all of the 5 % lies above (the rule of three).
        """
        if self.coarse:
            return 0.0, 1.0
        if self.exhaustive:
            return self.share, self.share
        return exact_interval(self.hits, self.tried, "two-sided" if self.hits else "less")

    def guesses(self, share: float) -> float:
        """Guesses on average where this share of the incorrect keys is good."""
        if self.space is not None:
            return (self.space + 1) / (2 + (self.space - 1) * share)
        return 1 / share if share else math.inf

    @property
    def expected(self) -> float:
        """Guesses on average, by the share that was found."""
        return self.guesses(self.share)

    @property
    def most(self) -> float:
        """Guesses on average, by the lower end of the share."""
        return self.guesses(self.interval[0])

    @property
    def fewest(self) -> float:
        """Guesses on average, by the upper end of the share."""
        return self.guesses(self.interval[1])

    @property
    def found(self) -> str:
        """Such as "57 of 1,000 keys within 1 point", "none of 24 keys within 5 points"."""
        return f"{_hits(self)} of {self.tried:,} key{'' if self.tried == 1 else 's'} within {_points(self.distance)}"

    @property
    def span(self) -> str:
        """The interval of the guesses, such as " [14, 23]"; empty where all keys were tried, or none came near."""
        if self.exhaustive or not self.hits or self.coarse:
            return ""
        return f" [{_number(self.fewest)}, {_number(self.most)}]"

    @property
    def begins(self) -> str:
        """How the sentence on guessing begins: the keys near plain, and the interval of their share."""
        if self.coarse:
            return f"Guessing: {self.coarse}"
        low, high = self.interval
        interval = "" if self.exhaustive else f" [{100 * low:.2g}, {100 * high:.2g} %]"
        come = "comes" if self.hits < 2 else "come"
        near = f"{come} within {_points(self.distance)} of plain"
        return f"Guessing: {_hits(self)} of {self.tried:,} incorrect keys{interval} {near}"


@dataclass(frozen=True)
class Guess:
    """What guessing achieves: the verdict with its sentence, and in short the price and how sure it is.

    near: the incorrect keys near plain that decide.
    """

    word: Word
    sentence: str
    near: Near
    price: str = ""
    sure: str = ""
    guesses: float = math.inf


def guessed(task: AttackedTask) -> Guess | None:
    """Judge guesses by the incorrect keys of a sweep; None where it has none.

    Broken: a key within the smallest distance of plain is expected in at most `MOST_GUESSES` guesses, also by the lower
    end of the share. Weakened: the same within the largest distance. In vain: no key came within that, of enough keys
    to exclude a share of `EXCLUDED`; or more than `MOST_GUESSES` are needed also by the upper end. Undecided otherwise.
    """
    if not len(task.incorrect):
        return None
    near, far = (_near(task, distance) for distance in (task.distances[0], task.distances[-1]))
    if task.unusable:
        return Guess(Word.UNDECIDED, f"Guessing: {task.unusable}.", far)
    if near.most <= MOST_GUESSES:
        return _cheap(Word.BROKEN, near)
    if far.most <= MOST_GUESSES:
        return _cheap(Word.WEAKENED, far, "" if near.coarse else f"{_hits(near)} within {_points(near.distance)}")
    if far.coarse:
        return Guess(Word.UNDECIDED, f"{far.begins}.", far)
    in_vain = not far.hits and far.interval[1] <= EXCLUDED
    if in_vain or far.fewest > MOST_GUESSES:
        least = f"{math.floor(far.fewest):,} guesses"
        sentence = f"{far.begins}: at least {least} on average."
        return Guess(Word.NOT_SHOWN, sentence, far, f"at least {least}", far.found)
    if not far.hits:
        few = f"{ENOUGH_KEYS} keys are needed to exclude that one in {1 / EXCLUDED:.0f} does"
        return Guess(Word.UNDECIDED, f"{far.begins}; {few}.", far, sure=far.found)
    best = near if near.expected <= MOST_GUESSES else far
    number = f"{_guesses(best)}{best.span}; more keys must show whether {MOST_GUESSES:,} are enough"
    price = _guesses(best) + ("" if best is near else f" to within {_points(far.distance)}")
    sentence, sure = f"{best.begins}: {number}.", f"{best.found}{best.span}"
    return Guess(Word.UNDECIDED, sentence, best, price, sure, best.expected)


def _near(task: AttackedTask, distance: float) -> Near:
    coarse = task.doubt(distance)
    return Near(distance, task.within(distance), len(task.incorrect), task.exhaustive, task.key_space, coarse)


def _cheap(word: Word, near: Near, beside: str = "") -> Guess:
    """Few guesses are enough: by the keys near plain, or because all keys there are can be tried."""
    few = near.space is not None and near.guesses(0) <= MOST_GUESSES
    all_keys = f"all {near.space:,} keys can be tried" if few else ""
    facts = "; ".join(filter(None, (beside, all_keys)))
    average = " on average" if near.coarse else ""
    price = _guesses(near) + average + ("" if word is Word.BROKEN else f" to within {_points(near.distance)}")
    sentence = f"{'; '.join(filter(None, (near.begins, facts)))}: {_guesses(near)} on average{near.span}."
    counted = "" if near.coarse else f"{near.found}{near.span}"
    return Guess(word, sentence, near, price, "; ".join(filter(None, (counted, facts))), near.expected)


def _guesses(near: Near) -> str:
    if near.coarse:  # a bound is rounded up
        step = 10 if near.expected < 10 else 1
        return f"at most {_number(math.ceil(step * near.expected) / step)} guesses"
    return f"about {_number(near.expected)} guesses"


def _number(guesses: float) -> str:
    return count_words(round(guesses, 1))


def _hits(near: Near) -> str:
    return f"{near.hits:,}" if near.hits else "none"


def _points(distance: float) -> str:
    return f"{distance:g} point{'' if distance == 1 else 's'}"
