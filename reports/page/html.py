"""The report: one HTML page that explains run folders to someone who was not there.

The page is self-contained (figures and style inside, nothing fetched), is the same for the same runs, and is written to
a temporary file first: an existing report is replaced only by a complete one.
"""

import json
import os
import platform
import re
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.printable import printable
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.figures.block_size import block_size_figure
from wrongkey.reports.figures.confusion import confusion_figure
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.figures.violins import violin_figure
from wrongkey.reports.metrics import METRICS, Metric
from wrongkey.reports.page.analysis_section import analysis_context, analysis_figures
from wrongkey.reports.page.attack_section import attack_context, attack_figures
from wrongkey.reports.page.heard import heard_table
from wrongkey.reports.paper.published import differences, published_beside, published_table
from wrongkey.reports.runs import Run, load_runs, run_labels
from wrongkey.reports.statistics.intervals import FEWEST_FOR_VARIANCE
from wrongkey.reports.statistics.key_statistics import FEW_KEYS, FEWEST, KeyStatistics, summarise
from wrongkey.reports.statistics.tails import tail_table
from wrongkey.reports.tables import beside_table, closeness_table, score_table, to_html, worst_key_table
from wrongkey.reports.verdicts import check_rows, evidence_rows, verdicts

_PACKAGES = ("wrongkey", "numpy", "scipy", "pandas", "matplotlib")


@dataclass(frozen=True)
class Plate:
    """A figure of the page: `name` is its file name, `markup` the SVG as it stands in the page."""

    name: str
    caption: str
    markup: Markup


@dataclass(frozen=True)
class Section:
    """Everything about the runs that share a task, a metric and whether their models carry keys.

    Figures only for the task's own metric.

    details: (label of a run, its confusion matrices or what was heard), for runs that kept their outputs.
    """

    metric: Metric
    task: str
    results: list[KeyStatistics]
    plates: list[Plate]
    scores: Markup
    worst: Markup
    close: Markup
    tails: Markup | None
    beside: Markup | None
    published: Markup | None
    differs: list[tuple[str, str, list[str]]]
    details: list[tuple[str, Plate | Markup]]

    @property
    def main(self) -> bool:
        """Whether its metric is the primary one of the runs."""
        return any(result.run.metric == self.metric.name for result in self.results)

    @property
    def keyed(self) -> bool:
        """Whether the models carry keys, so that there are a correct one and incorrect ones."""
        return self.results[0].run.keyed

    @property
    def heading(self) -> str:
        """Such as "ASV: EER under incorrect keys" or "ASR, encrypted waveforms into the plain model: WER"."""
        task, label = self.task.upper(), self.metric.label
        if not self.main:
            return f"{task}: {label}, also measured{'' if self.keyed else ' (plain model)'}"
        if self.keyed:
            return f"{task}: {label} under incorrect keys"
        return f"{task}, {self.results[0].run.variant_words}: {label}"


def write_report(
    folders: Iterable[Path | str | Run],
    out: Path,
    figures: Path | None = None,
    attacks: Sequence[AttackRun] = (),
    analyses: Sequence[Analysis] = (),
) -> Path:
    """Write the report of some run folders, and its figures as PNG and SVG beside it.

    Parameters
    ----------
    folders : iterable of Path, str or Run
        Run folders, or runs that are already read. May be empty where there are attacks or analyses.
    out : Path
        The HTML file.
    figures : Path, optional
        Folder for the figures, by default `<stem of out>-figures` next to `out`.
    attacks : sequence of AttackRun
        Of these or other run folders (`wrongkey.reports.attacks.rows.find_attacks`).
    analyses : sequence of Analysis
        Of these or other run folders (`wrongkey.reports.analyses.find_analyses`).

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    BadInput
        For folders that cannot be read, and for an `out` that cannot be written.
    """
    out = Path(out)
    if out.is_dir():
        raise BadInput(f"{out} is a folder: name a file for the report, for example {out / 'report.html'}.")
    given = list(folders)
    runs = load_runs(given) if given or not (attacks or analyses) else []
    labels = run_labels(runs)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=out.parent) as scratch:
            place = Path(scratch)
            sections = _sections(runs, labels, place)
            attack_plates = [_plate(*drawn, place) for drawn in attack_figures(attacks)]
            analysis_plates = [(kind, _plate(*drawn, place)) for kind, drawn in analysis_figures(analyses)]
            drawn_files = sorted(place.iterdir())
            attacked, analysed = attack_context(attacks, attack_plates), analysis_context(analyses, analysis_plates)
            text = render(runs, labels, sections, attacked, analysed)
            page = place / "report.html"
            page.write_text(text, encoding="utf-8", errors="backslashreplace")
            folder = figures or out.with_name(f"{out.stem}-figures")
            folder.mkdir(parents=True, exist_ok=True)
            for path in drawn_files:
                os.replace(path, folder / path.name)
            os.replace(page, out)
    except OSError as error:
        raise BadInput(f"The report cannot be written to {out} ({error}): choose another place.") from None
    return out


def render(
    runs: Sequence[Run],
    labels: Sequence[str],
    sections: Sequence[Section],
    attacks: dict[str, Any] | None = None,
    analyses: Sequence[dict[str, Any]] = (),
) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["units"] = keep_units_together
    main = [result for section in sections for result in section.results]
    main = [result for result in main if result.metric.name == result.run.metric]
    return environment.get_template("report.html.j2").render(
        sections=sections,
        attacks=attacks,
        analyses=analyses,
        keyless=not all(run.keyed for run in runs),
        verdicts=verdicts(main),
        checks=check_rows(main),
        evidence=evidence_rows(runs),
        runs=[_run_context(run, label) for run, label in zip(runs, labels, strict=True)],
        versions=_versions(),
        fewest=FEWEST,
        fewest_for_variance=FEWEST_FOR_VARIANCE,
    )


def _shown(value: object) -> object:
    """How a page prints a value: untrusted names without control characters."""
    return printable(value, keep="\n") if isinstance(value, str) and not isinstance(value, Markup) else value


def keep_units_together(text: str) -> str:
    """A number and its percent sign, and "M = 3", stay on one line; markup stays markup."""
    joined = re.sub(r"(?<=\d) (?=%)|(?<=\bM) (?==)|(?<==) (?=\d)", "\u00a0", text)
    return Markup(joined) if isinstance(text, Markup) else joined


def _mark_intervals(table: str) -> str:
    """Intervals that a page too narrow for the table can put below their values."""
    return re.sub(r" (\[[^][<>]*\])</td>", r' <span class="interval">\1</span></td>', table)


def _sections(runs: Sequence[Run], labels: Sequence[str], folder: Path) -> list[Section]:
    """Results by what a `Section` shares, each task's own metric first; figures are drawn into `folder`."""
    groups: dict[tuple[str, bool, str], list[KeyStatistics]] = {}
    for run, label in zip(runs, labels, strict=True):
        short = label if run.keyed else label.replace(f", {run.variant_words}", "", 1)  # which the heading says
        for name in run.metrics:
            if len(run.rows("incorrect", name)) and (name == run.metric or not METRICS[name].beside):
                groups.setdefault((run.task, run.keyed, name), []).append(summarise(run, name, short))
    return [_section(task, results, folder) for (task, *_), results in groups.items()]


def _section(task: str, results: list[KeyStatistics], folder: Path) -> Section:
    metric = results[0].metric
    published = [row for result in results for row in published_beside(result)]
    main = metric.name == results[0].run.metric
    tails, beside = (tail_table(results), beside_table(results)) if main else (None, None)
    section = Section(
        metric=metric,
        task=task,
        results=results,
        plates=[],
        scores=Markup(_mark_intervals(to_html(score_table(results)))),
        worst=Markup(to_html(worst_key_table(results))),
        close=Markup(to_html(closeness_table(results))),
        tails=None if tails is None else Markup(to_html(tails)),
        beside=None if beside is None else Markup(to_html(beside)),
        published=Markup(to_html(published_table(published, metric))) if published else None,
        differs=differences(published),
        details=[],
    )
    if section.main:
        for kind, caption, figure in _figures(results):
            name = f"{kind}-{task}-{metric.name}{'' if section.keyed else '-plain-model'}"
            section.plates.append(_plate(name, caption, figure, folder))
        for number, result in enumerate(results, start=1):
            section.details.extend((result.label, detail) for detail in _details(result, number, folder))
    return section


def _plate(title: str, caption: str, figure: Figure, folder: Path) -> Plate:
    name = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
    svg = save_figure(figure, folder, name).svg
    return Plate(name, caption, _inline(svg))


def _details(result: KeyStatistics, number: int, folder: Path) -> list[Plate | Markup]:
    """What a run kept of its answers: confusion matrices (ASC), what was heard (ASR)."""
    heard, figure = heard_table(result), confusion_figure(result)
    found: list[Plate | Markup] = [] if heard is None else [Markup(to_html(heard))]
    if figure is not None:
        caption = (
            "Shares of the clips of each class in percent: the plain model, and the key under which most clips were "
            "classified correctly."
        )
        name = f"confusion-{number}-{result.label[:60]}{'' if result.run.keyed else '-plain-model'}"
        found.append(_plate(name, caption, figure, folder))
    return found


def _figures(results: Sequence[KeyStatistics]) -> list[tuple[str, str, Figure]]:
    """(kind, caption, figure) for the runs of one metric."""
    metric = results[0].metric
    if results[0].run.keyed:
        keys, best = "incorrect keys", "incorrect key that works best"
        line = "correct key; it must lie on the star"
    else:
        keys, best = "random keys, encrypted waveforms into the plain model", "key that hides least"
        line = "plain speech into the plain model"
    marks = f"Star: plain model. Triangle: the {best}."
    caption = (
        f"{metric.label} under {keys}, one shape per run; {metric.safer} is safer for the owner. "
        f"{marks} Horizontal line: {line}."
    )
    if any(result.n < FEW_KEYS for result in results):
        caption += f" Runs of fewer than {FEW_KEYS} keys show every key as a dot."
    figures = [("violins", caption[0].upper() + caption[1:], violin_figure(results))]
    if len({result.run.block_size for result in results}) > 1:
        caption = f"{metric.label} against block size M: median and 5–95 % of the {keys}. {marks}"
        figures.append(("block-size", caption[0].upper() + caption[1:], block_size_figure(results)))
    return figures


def _run_context(run: Run, label: str) -> dict[str, Any]:
    """What the page says about how a run was made."""
    return {
        "label": label,
        "facts": _facts(run),
        "command": _command(run.section("config").get("command")),
        "manifest": json.dumps(run.manifest, indent=2, ensure_ascii=False, sort_keys=True),
    }


def _facts(run: Run) -> dict[str, str]:
    """Short facts of the manifest, those that it holds."""
    manifest, config = run.manifest, run.section("config")
    seed = config.get("seed", "unknown")
    classes = manifest.get("classes")
    versions = run.section("versions").items()
    facts = {
        "folder": printable(run.folder),
        "data": ", ".join(_data(run)),
        "text": f"normalised by “{config.get('text')}”" if run.task == "asr" else "",
        "classes": ", ".join(map(str, classes)) if isinstance(classes, list) else "",
        "query": f"{run.block_words} of a {'waveform' if run.blocks == Blocks.SAMPLES else 'spectrogram'}",
        "left out": ", ".join(_left_out(run)),
        "keys": f"{run.keys_done:,} {'incorrect' if run.keyed else run.scheme_name}, seed {seed}, {run.state}",
        "variant": f"{run.variant}: {run.variant_words}" if run.variant_words else run.variant,
        "key space": f"{run.key_space:,} incorrect keys" if run.key_space else "",
        "made": _made(manifest),
        "device": str(manifest.get("device") or ""),
        "git": str(manifest.get("git") or ""),
        "versions": ", ".join(f"{name} {number}" for name, number in versions),
    }
    return {name: text for name, text in facts.items() if text}


def _data(run: Run) -> list[str]:
    """The corpus, how large it is, and how many trials were asked of it."""
    corpus, trials = run.section("corpus"), run.section("trials")
    counts = [
        (corpus.get("speakers"), "speakers"),
        (corpus.get("utterances"), "utterances"),
        (corpus.get("words"), "words in the transcripts"),
        (corpus.get("classes"), "classes"),
        (trials.get("target"), "target trials"),
        (trials.get("nontarget"), "nontarget trials"),
    ]
    facts = [run.corpus, *(f"{count:,} {noun}" for count, noun in counts if _is_number(count) and count)]
    if _is_number(corpus.get("seconds")):
        facts.append(f"{corpus['seconds'] / 60:,.0f} min")
    return facts


def _left_out(run: Run) -> list[str]:
    """Metrics that only some of the keys have."""
    return [
        f"{METRICS[name].label}, which only {count:,} of the keys have"
        for name, count in run.partial.items()
        if name in METRICS
    ]


def _made(manifest: dict[str, Any]) -> str:
    """When the run was made, and how long it took."""
    made = " to ".join(str(manifest[key]) for key in ("started", "ended") if manifest.get(key))
    if _is_number(manifest.get("seconds")):
        made += f" ({manifest['seconds']:,.0f} s)"
    return made


def _command(command: object) -> str | None:
    if isinstance(command, list):
        return shlex.join(str(part) for part in command)
    return str(command) if command else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _inline(svg: Path) -> Markup:
    """An SVG file as an element of a page: no XML prologue, and ids that no other figure of the page has."""
    text = svg.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="([^"]+)"', rf'id="{svg.stem}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{svg.stem}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{svg.stem}-\1)", text)
    return Markup(text.replace("<svg ", '<svg aria-hidden="true" ', 1))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout
            continue
    return found
