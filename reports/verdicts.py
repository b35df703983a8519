"""Sentences computed from numbers: what a run shows, and what a reader must know before relying on it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wrongkey.evaluation.run_folder.vocabulary import SelfCheck
from wrongkey.reports.runs import Run
from wrongkey.reports.statistics.key_statistics import FEW_KEYS, KeyStatistics

EVIDENCE = {
    "real": "Real recordings.",
    "synthetic": "Synthetic voices: not evidence. These numbers show that the experiment runs, nothing more.",
}
UNKNOWN_EVIDENCE = "The corpus does not say whether its recordings are real: not evidence until it does."
DISTRUST = "do not trust this run"


@dataclass(frozen=True)
class Verdict:
    """The runs of one model on one corpus: (headline, cautions) of each, and the evidence if it is none."""

    title: str
    lines: list[tuple[str, list[str]]]
    evidence: str | None


@dataclass(frozen=True)
class CheckRow:
    """One self-check over all runs that made it: `failed` holds the labels of the runs that did not pass."""

    text: str
    runs: int
    failed: list[str]
    value: float
    limit: float


def verdicts(results: Iterable[KeyStatistics]) -> list[Verdict]:
    """Headlines grouped by model and corpus, in the order of the runs."""
    groups: dict[tuple[str, str, str | None], list[tuple[str, list[str]]]] = {}
    for result in results:
        run = result.run
        doubt = None if run.recordings == "real" else evidence(run)
        line = (headline(result), cautions(result))
        groups.setdefault((run.model, run.corpus, doubt), []).append(line)
    return [Verdict(f"{model} on {corpus}", lines, doubt) for (model, corpus, doubt), lines in groups.items()]


def headline(result: KeyStatistics) -> str:
    """Say how the incorrect keys do, how the best of them does, and how many come close to the plain model.

    Parameters
    ----------
    result : KeyStatistics
        Of `summarise`.

    Returns
    -------
    str
        Such as "1,000 incorrect ROM keys, M = 3: median EER 31.2 % (plain 7.9 %); the best of them reached 12.4 %.
        None came within 5 points of the plain model."
    """
    run, metric = result.run, result.metric
    keys = f"{run.key_words}{'s' if result.n != 1 else ''}, {run.setting}"
    if run.exhaustive:
        who = f"All {result.n:,} {keys}" if result.n != 1 else f"The only {keys}"
    else:
        who = f"{result.n:,} {keys}"
    plain = "" if result.plain is None else f" (plain {metric.words(result.plain.value)})"
    text = f"{who}: {'median ' if result.n > 1 else ''}{metric.label} {metric.words(result.median)}{plain}"
    if result.n > 1:
        text += f"; the best of them reached {metric.words(result.worst.score.value)}"
    return f"{text}. {_closeness(result)}".rstrip()


def cautions(result: KeyStatistics) -> list[str]:
    """What a reader must know before relying on the headline."""
    run, metric, sentences = result.run, result.metric, [*result.run.cautions, *session_caution(result.run)]
    if not run.finished:
        sentences.append(f"This run is {run.state}.")
    if result.plain is None:
        good = "the correct key is" if run.keyed else "it is without encryption"
        sentences.append(f"The plain model was not measured: it is not known how good {good}.")
    elif fails(result) and not any("from chance" in sentence for sentence in run.cautions):
        score = f"fails ({metric.label} {metric.words(result.plain.value)})"
        how = score if metric.chance is None else "is near chance"
        sentences.append(f"The plain model itself {how}: this run cannot show protection.")
    if result.correct is None:
        if run.keyed:
            sentences.append("The correct key was not measured.")
    elif result.plain is not None and not result.coincides:
        sentences.append(
            f"The correct key does not give the plain model’s score ({metric.number(result.correct.value)} "
            f"instead of {metric.number(result.plain.value)}): {DISTRUST}."
        )
    failed = [check.name for check in run.self_checks if not check.passed]
    if failed:
        sentences.append(f"Self-checks failed ({', '.join(failed)}): {DISTRUST}.")
    if result.n < FEW_KEYS and not run.exhaustive:
        keys = f"{result.n} key{'s' if result.n != 1 else ''}"
        sentences.append(f"Only {keys}: rare keys that work well would be missed.")
    return sentences


def session_caution(run: Run) -> list[str]:
    """A sentence where same-speaker trials do not all cross sessions; none where an older run does not say."""
    trials = run.section("trials")
    some = f"{trials.get('within_session') or 0:,} of {trials.get('target') or 0:,} same-speaker trials"
    how = {
        "within": "All same-speaker trials lie within one recording session",
        "mixed": f"{some} lie within one recording session",
        "unknown": "The corpus does not say its recording sessions, in which same-speaker trials may lie",
    }.get(str(trials.get("sessions")))
    return [f"{how}: microphone and room help to tell speakers apart, not the voice alone."] if how else []


def fails(result: KeyStatistics) -> bool:
    """Whether the plain model is about as bad as it can be, which leaves nothing to protect.

    Within a fifth of guessing; where no score of guessing is known, four fifths of the answers are wrong, as at a WER
    of 80 %. A minDCF may be near its end while the EER is good.
    """
    metric, plain = result.metric, result.plain
    if plain is None:
        return False
    if metric.chance is not None:
        return abs(metric.chance - plain.value) <= metric.chance / 5
    return metric.unit == "%" and (plain.value >= 80 if metric.higher_is_safer else plain.value <= 20)


def evidence(run: Run) -> str:
    """Whether a run's numbers say something about real speech, by what its corpus is made of."""
    return EVIDENCE.get(run.recordings, UNKNOWN_EVIDENCE)


def check_rows(results: Sequence[KeyStatistics]) -> list[CheckRow]:
    """Every check once, with the largest difference any run saw; the one on the scores comes first."""
    seen: dict[tuple[str, float], list[tuple[str, SelfCheck]]] = {}
    for result in results:
        if result.correct_minus_plain is not None:
            name, limit = f"correct key, {result.metric.label}", result.metric.distances[0] / 10
            text = f"The correct key gives the plain model’s {result.metric.label}."
            check = SelfCheck(name, abs(result.correct_minus_plain), limit, text, passed=result.coincides)
            seen.setdefault((name, limit), []).append((result.label, check))
    for result in results:
        for check in result.run.self_checks:
            seen.setdefault((check.name, check.limit), []).append((result.label, check))
    rows = []
    for (name, limit), entries in seen.items():
        text = entries[0][1].text or name
        failed = [label for label, check in entries if not check.passed]
        worst = max(check.value for _, check in entries)
        rows.append(CheckRow(text[:1].upper() + text[1:], len(entries), failed, worst, limit))
    return rows


def _closeness(result: KeyStatistics) -> str:
    """The smallest distance that some key reached, or that none reached the largest."""
    if not result.guesses:
        return ""
    close = next((guess for guess in result.guesses if guess.hits), result.guesses[-1])
    distance = result.metric.distance_words(close.distance)
    who = f"{close.hits:,} of {close.tried:,}" if close.hits else "None"
    text = f"{who} came within {distance} of the plain model"
    if close.most is None or (close.fewest, close.most) == (close.hits, close.hits):
        return f"{text}."
    return f"{text} ({close.fewest:,} to {close.most:,} by the ends of the keys’ own intervals)."
