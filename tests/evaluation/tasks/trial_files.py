"""Trials as a run folder keeps them, for tests that read them back."""

from pathlib import Path

from wrongkey.evaluation.tasks.enrolment import ENROLMENT
from wrongkey.evaluation.tasks.trials import Trials


def write_trials(path: Path, trials: Trials) -> None:
    """Write the list, and `enrolment.txt` beside it where several utterances enrol a speaker."""
    path.write_text("".join(f"{line}\n" for line in trials.lines()), encoding="utf-8")
    if trials.models:
        text = "".join(f"{line}\n" for line in trials.enrolment_lines())
        path.with_name(ENROLMENT).write_text(text, encoding="utf-8")
