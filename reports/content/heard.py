"""What a recogniser heard: a few utterances as they were said, and under the plain model and two incorrect keys.

An error rate does not show whether the words that remain give the content away; reading them does. The utterances are
evenly spaced over the corpus' list, not picked.
"""

from collections.abc import Sequence

import pandas as pd

from wrongkey.evaluation.spacing import evenly_spaced
from wrongkey.reports.outputs import kept_condition, kept_key
from wrongkey.reports.statistics.key_statistics import KeyStatistics

UTTERANCES = 4
LONGEST = 160  # characters of a text; a decoder that runs away writes thousands
COUNTS = ("substitutions", "deletions", "insertions")
COLUMNS = ("utterance", "reference", "hypothesis", *COUNTS, "hits", "runaway")
CHARACTERS = ("character_errors", "characters")
ERRORS = {"wer": "Word errors", "cer": "Character errors"}


def heard_table(result: KeyStatistics, utterances: int = UTTERANCES) -> pd.DataFrame | None:
    """Set references beside what was recognised by the plain model, under the median and the best wrong key.

    Parameters
    ----------
    result : KeyStatistics
        Of a run of a recogniser.
    utterances : int
        How many utterances to show.

    Returns
    -------
    DataFrame or None
        Four rows per utterance, with the errors in words, or in characters where CER is the run's primary metric. None
        for a run of another metric, or one that kept no outputs (`--keep-outputs`).

    Raises
    ------
    BadInput
        If the outputs are broken.
    """
    run = result.run
    if result.metric.name not in ERRORS:
        return None
    errors = ERRORS[result.metric.name]
    columns = (*COLUMNS, *CHARACTERS) if result.metric.name == "cer" else COLUMNS
    plain = kept_condition(run, "plain", columns)
    median, best = median_key(result), result.worst.key_index
    heard = {
        "plain model": plain,
        f"median key, number {median}": kept_key(run, median, columns),
        f"best {'wrong ' if run.keyed else ''}key, number {best}": kept_key(run, best, columns),
    }
    if plain is None or any(table is None for table in heard.values()):
        return None
    rows = []
    for utterance in evenly_spaced(list(plain["utterance"]), utterances):
        answers = {who: table[table["utterance"] == utterance] for who, table in heard.items() if table is not None}
        if any(len(answer) != 1 for answer in answers.values()):  # a shard of another corpus
            continue
        reference = str(answers["plain model"]["reference"].iloc[0])
        rows.append({"Utterance": utterance, "Heard by": "said", "Words": shortened(reference), errors: ""})
        rows += [
            {
                "Utterance": "",
                "Heard by": who,
                "Words": _words(answer.iloc[0]),
                errors: _errors(answer.iloc[0], columns),
            }
            for who, answer in answers.items()
        ]
    return pd.DataFrame(rows) if rows else None


def median_key(result: KeyStatistics) -> int:
    """Index of the incorrect key whose score lies nearest to the median (the first where several do)."""
    rows = result.run.rows("incorrect", result.metric.name)
    return int(rows["key_index"].iloc[int((rows["value"] - result.median).abs().to_numpy().argmin())])


def shortened(text: str) -> str:
    """One line of at most `LONGEST` characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _words(answer: "pd.Series[object]") -> str:
    text = shortened(str(answer["hypothesis"])) or "(nothing)"
    return f"{text} (stopped by its bound)" if answer["runaway"] else text


def _errors(answer: "pd.Series[object]", columns: Sequence[str]) -> str:
    """Edits, and words or characters of the reference: "3 of 9"."""
    if CHARACTERS[0] in columns:
        return " of ".join(str(int(str(answer[name]))) for name in CHARACTERS)
    number = {name: int(str(answer[name])) for name in (*COUNTS, "hits")}
    return f"{sum(number[name] for name in COUNTS)} of {number['substitutions'] + number['deletions'] + number['hits']}"
