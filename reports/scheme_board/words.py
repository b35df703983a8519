"""Words that stand where a number is missing, and numbers of the board as tables have them."""

from wrongkey.evaluation.run_folder.board_cell import Cost
from wrongkey.reports.board.words import cpu

NOT_RUN = "not run"
NO_ATTACK = "no attack"  # a typical wrong key does nearly as well as the right one
UNFINISHED = "The attacks are unfinished."


def does_not_apply(why: str) -> str:
    """That something does not apply, with its reason.

    Examples
    --------
    >>> does_not_apply("There is no model.")
    'does not apply: there is no model'
    """
    reason = why.rstrip(".")
    return f"does not apply: {reason[:1].lower()}{reason[1:]}" if reason else "does not apply"


def not_run(why: str) -> str:
    """That something was not run, with its reason if there is one.

    Examples
    --------
    >>> not_run("There is no model."), not_run("")
    ('not run: there is no model', 'not run')
    """
    return does_not_apply(why).replace("does not apply", NOT_RUN, 1)


def percent_words(value: float) -> str:
    """Such as "12.3 % EER"."""
    return f"{value:.1f} % EER"


def cost_words(cost: Cost | None, missing: str) -> str:
    """What encryption costs; `missing` where it was not measured.

    Examples
    --------
    >>> cost_words(Cost(owner_seconds=0.012, user_seconds=0.0005), "")
    'owner 12 ms CPU a model; user < 1 ms CPU a second of speech'
    """
    if cost is None:
        return missing or NOT_RUN
    owner = f"owner {cpu(cost.owner_seconds)} a model" if cost.owner_seconds is not None else "no model is encrypted"
    words = f"{owner}; user {cpu(cost.user_seconds)} a second of speech"
    return words if cost.data_factor == 1 else f"{words}; {cost.data_factor:.3g} times the data"
