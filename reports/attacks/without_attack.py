"""What needs no attack: random keys that do as well as the correct one."""

from wrongkey.evaluation.run_folder.successes import decrypted, recovered
from wrongkey.reports.attacks.attacked_task import AttackedTask
from wrongkey.reports.attacks.decisions import ALWAYS, share_interval
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.threats import Word


def opened(run: AttackRun, asset: str) -> tuple[Word, str] | None:
    """Whether random keys do as well as the correct one: OPEN or UNDECIDED, and why; None where they do not."""
    if asset == "use" and run.task:
        return open_model(run.task)
    if asset in ("key", "speech") and len(run.null):
        hits, n = int((recovered if asset == "key" else decrypted)(run.null).sum()), len(run.null)
        low, high = share_interval(hits, n)
        if low >= ALWAYS:
            verb = "are close enough to it" if asset == "key" else "decrypt the speech"
            return Word.OPEN, f"Without any attack: {hits} of {n} random keys {verb} [{percent(low, high)}]."
    return None


def open_model(task: AttackedTask) -> tuple[Word, str] | None:
    """Whether incorrect keys answer as well as plain: OPEN or UNDECIDED, and why; None where they do not."""
    if task.doubt(task.margin):
        return None
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


def percent(low: float, high: float) -> str:
    """An interval of a share, such as "30, 64 %"."""
    return f"{100 * low:.0f}, {100 * high:.0f} %"
