"""What needs no attack: random keys that do as well as the correct one, and guesses one after the other."""

from wrongkey.reports.attacks.attacked_task import AttackedTask
from wrongkey.reports.attacks.decisions import ALWAYS, ENOUGH_TRIALS, share_interval
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.successes import UNLOCKED, decrypted, recovered
from wrongkey.reports.attacks.threats import Word

RARE_GUESS = 0.01  # lower bound of the share of keys from which guessing alone weakens a model


def opened(run: AttackRun, asset: str) -> tuple[Word, str] | None:
    """Whether random keys do as well as the correct one: OPEN or UNDECIDED, and why; None where they do not."""
    if asset == "use" and run.task:
        return _open_model(run.task)
    if asset in ("key", "speech") and len(run.null):
        hits, n = int((recovered if asset == "key" else decrypted)(run.null).sum()), len(run.null)
        low, high = share_interval(hits, n)
        if low >= ALWAYS:
            verb = "are close enough to it" if asset == "key" else "decrypt the speech"
            return Word.OPEN, f"Without any attack: {hits} of {n} random keys {verb} [{percent(low, high)}]."
    return None


def _open_model(task: AttackedTask) -> tuple[Word, str] | None:
    middle, low, high = task.incorrect_median
    limit = task.plain + task.margin
    said = (
        f"incorrect keys have a median {task.effective_name} of {middle:.1f} % [{low:.1f}, {high:.1f} %], plain "
        f"{task.plain:.1f} %"
    )
    if high <= limit:
        return Word.OPEN, f"Without any attack: {said}."
    if middle <= limit:
        return Word.UNDECIDED, f"Perhaps open without any attack: {said}; more --keys decide."
    return None


def guessed(task: AttackedTask) -> tuple[Word, str] | None:
    """The verdict on the use of the model by guessing, from the incorrect keys of the sweep; None where it has none.

    Where the number of keys S is known, the correct one counts as well: with a share q of the incorrect keys,
    1 + (S - 1) q keys are good. A share of all incorrect keys has no interval. Where the error is too coarse to call an
    incorrect key good, the correct one still is.
    """
    hits, n = task.guesses
    if not n:
        return None
    space, doubt = task.key_space, task.doubt(UNLOCKED)
    share, (low, high) = hits / n, share_interval(hits, n)
    interval = "" if task.exhaustive else f" [{percent(low, high)}]"
    said = f"Guessing: {hits} of {n} incorrect keys{interval} come within {UNLOCKED:g} point of plain"
    if task.exhaustive:
        low = share
    if doubt:
        share, low, said = 0.0, 0.0, f"Guessing: {doubt}"
    if space is not None:
        share, low = ((1 + (space - 1) * value) / space for value in (share, low))
        if task.exhaustive or space * RARE_GUESS <= 1:
            said += f"; all {space:,} keys can be tried"
    if low >= RARE_GUESS:
        tries = 1 / share if space is None else (space + 1) / (space * share + 1)  # no key is tried twice
        return Word.WEAKENED, f"{said}: {'at most ' if doubt else ''}{tries:.3g} guesses on average."
    if doubt or (n < ENOUGH_TRIALS and not task.exhaustive):
        return Word.UNDECIDED, f"{said}."
    return Word.NOT_SHOWN, f"{said}."


def percent(low: float, high: float) -> str:
    """An interval of a share, such as "30, 64 %"."""
    return f"{100 * low:.0f}, {100 * high:.0f} %"
