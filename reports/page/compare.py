"""The page of `wrongkey compare --out`: verdict, counts, figures and tables of two runs, in one file, no script."""

import base64
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from wrongkey import __version__
from wrongkey.errors import BadInput
from wrongkey.files import temporary_folder, write_text_atomically
from wrongkey.printable import printable
from wrongkey.reports.analyses import prediction_table
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.comparison.attack_gains import Attacked
from wrongkey.reports.comparison.compare import Comparison
from wrongkey.reports.comparison.compare_attacks import AttackComparison
from wrongkey.reports.comparison.sentences import ANSWERS, OUTCOMES, QUESTION, bounds_words, gain_words, share_words
from wrongkey.reports.comparison.strength import key_analysis
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.figures.survival import survival_figure, survival_words
from wrongkey.reports.figures.violins import violin_figure
from wrongkey.reports.page.html import style
from wrongkey.reports.statistics.key_statistics import KeyStatistics
from wrongkey.reports.tables import score_table, worst_key_table
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE, headline

STATES = {"shown": "yes", "worse": "no", "undecided": "partly"}


@dataclass(frozen=True)
class Plate:
    """A figure of the page: an address that holds it whole, its caption, and what it shows in words."""

    uri: str
    caption: str
    alt: str


def write_comparison(comparison: Comparison | AttackComparison, out: Path) -> Path:
    """Write a comparison as one HTML file.

    Parameters
    ----------
    comparison : Comparison or AttackComparison
        Of `compare` or `compare_attacks`.
    out : Path
        The file.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    BadInput
        For a place that cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(out, render_comparison(comparison))
    except OSError as error:
        raise BadInput(f"The page cannot be written to {out} ({error.strerror}): choose another --out.") from None
    return out


def render_comparison(comparison: Comparison | AttackComparison) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = (("A", comparison.a), ("B", comparison.b))
    folders = _folders(comparison)
    return environment.get_template("compare.html.j2").render(
        css=style("compare.css"),
        question=QUESTION,
        answer=ANSWERS[comparison.verdict],
        state=STATES[comparison.verdict],
        runs=[(name, side.label, _facts(side)) for name, side in runs],
        cautions=_cautions(comparison),
        counts=count_table(comparison),
        plates=list(_plates(comparison)),
        tables=list(_tables(comparison)),
        strength=comparison.strength,
        warnings=[_without_paths(sentence, folders) for sentence in comparison.warnings],
        words=[_without_paths(line, folders) for line in str(comparison).splitlines()],
        version=__version__,
    )


def count_table(comparison: Comparison | AttackComparison) -> pd.DataFrame:
    """For people: what the verdict rests on, one row per count, and the attacks that only one of the two had."""
    metric = comparison.metric if isinstance(comparison, AttackComparison) else comparison.a.metric
    rows = []
    for one in comparison.hypotheses:
        what, sides, gain = one.attack, _sides(comparison, one.kind, one.attack), one.gain
        if one.kind == "mean":
            what, margin = f"Mean {metric.label} over keys", metric.distance_words(one.margin)
            difference = gain_words(gain.value, metric)
            bounds = bounds_words(gain.low, gain.high, f"+.{metric.decimals}f", 1.0)
        elif one.kind == "error":
            margin, difference = metric.distance_words(one.margin), f"{gain.value:+.1f} points"
            bounds = bounds_words(gain.low, gain.high, "+.1f", 1.0)
        else:
            what = what or f"Weak keys, within {metric.distance_words(metric.distances[0])} of plain"
            margin, difference = f"{100 * one.margin:g} %", f"{0.0 - 100 * gain.value:+.1f} %"
            bounds = bounds_words(-gain.high, -gain.low, "+.1f", 100.0)
        row = {"Count": what, "A": sides[0], "B": sides[1], "B against A": f"{difference} ({bounds})"}
        rows.append(row | {"Margin": margin, "B is": OUTCOMES[one.decision]})
    a, b = _attacked(comparison)
    for name in dict.fromkeys([*a.found, *b.found]):
        if (name in a.found) != (name in b.found):
            row = {"Count": name, "A": _found(a, name), "B": _found(b, name), "B against A": "–", "Margin": "–"}
            rows.append(row | {"B is": OUTCOMES["undecided"]})
    return pd.DataFrame(rows)


def _attacked(comparison: Comparison | AttackComparison) -> tuple[Attacked, Attacked]:
    if isinstance(comparison, AttackComparison):
        return comparison.attacked
    a, b = (side.attacked for side in comparison.protections)
    return a, b


def _sides(comparison: Comparison | AttackComparison, kind: str, attack: str) -> tuple[str, str]:
    """What a count is in A and in B."""
    if isinstance(comparison, Comparison):
        if kind == "mean":
            words = comparison.a.metric.words
            return words(comparison.a.mean.value), words(comparison.b.mean.value)
        if kind == "tail":
            left, right = comparison.weak_keys()
            return share_words(left), share_words(right)
    a, b = _attacked(comparison)
    return _found(a, attack), _found(b, attack)


def _found(attacked: Attacked, attack: str) -> str:
    """What an attack achieved."""
    if attack in attacked.errors:
        return f"{attacked.errors[attack].value:.1f} %"
    return share_words(attacked.shares[attack]) if attack in attacked.shares else "not run"


def _facts(side: KeyStatistics | AttackRun) -> str:
    """A run in a sentence."""
    if isinstance(side, KeyStatistics):
        return headline(side)
    attacks = len({outcome.attack for outcome in side.outcomes})
    return f"{attacks} attack{'s' if attacks != 1 else ''} on speech of “{side.setting.get('corpus') or 'unknown'}”."


def _cautions(comparison: Comparison | AttackComparison) -> list[str]:
    """What a reader must know before the counts: an open B, and voices that are no evidence."""
    a, b = _doubt(comparison.a), _doubt(comparison.b)
    doubts = [a] if a == b else [f"{name}: {doubt}" for name, doubt in (("A", a), ("B", b)) if doubt]
    return [sentence for sentence in (comparison.caution, *doubts) if sentence]


def _doubt(side: KeyStatistics | AttackRun) -> str:
    """Why a run is no evidence; empty where it is."""
    recordings = side.run.recordings if isinstance(side, KeyStatistics) else side.recordings
    return "" if recordings == "real" else EVIDENCE.get(recordings, UNKNOWN_EVIDENCE)


def _plates(comparison: Comparison | AttackComparison) -> Iterator[Plate]:
    """Both distributions, and both survival curves where the plain models were measured."""
    if isinstance(comparison, AttackComparison):
        return
    results, metric = [comparison.a, comparison.b], comparison.a.metric
    effective = " An EER above 50 % counts as 100 minus it." if metric.name == "eer" else ""
    caption = f"{metric.label} under the keys of A (left) and B; {metric.safer} is safer for the owner.{effective}"
    yield Plate(_uri(violin_figure(results)), caption, " ".join(map(headline, results)))
    if all(result.plain is not None for result in results):
        caption = "Share of random keys that come within a distance of the plain model, with 95 % bands."
        yield Plate(_uri(survival_figure(results)), caption, survival_words(results))


def _tables(comparison: Comparison | AttackComparison) -> Iterator[tuple[str, pd.DataFrame]]:
    if isinstance(comparison, Comparison):
        results = [comparison.a, comparison.b]
        yield "Scores under incorrect keys", score_table(results)
        yield "The best wrong key, and how many guesses it takes to come close", worst_key_table(results)
    if comparison.strength:
        analyses = [found for folder in _folders(comparison) if (found := key_analysis(folder)) is not None]
        table = prediction_table(analyses)
        if table is not None:
            yield "How well the error of a key is predicted", table


def _folders(comparison: Comparison | AttackComparison) -> list[Path]:
    if isinstance(comparison, Comparison):
        return [comparison.a.run.folder, comparison.b.run.folder]
    return [comparison.a.folder, comparison.b.folder]


def _without_paths(sentence: str, folders: Sequence[Path]) -> str:
    """The sentence with the folders' own names: a page is handed on, and its reader's machine has no such path."""
    for folder in folders:
        if folder.name:
            sentence = sentence.replace(printable(folder), printable(folder.name))
    return sentence


def _uri(figure: Any) -> str:
    """A figure as an address that holds it whole."""
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as scratch:
        svg = save_figure(figure, Path(scratch), "figure")[1].read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"


def _shown(value: object) -> object:
    """How the page prints a value: untrusted names without control characters."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
