"""A table or figure of the paper beside our own experiment: Markdown, CSV and, for distributions, figures.

Reads run folders only. A cell is "published | ours"; what differs (block size, model, corpus, number of keys) is said
in sentences below the table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.files import explained_errors, write_text_atomically
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import scheme_label
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.figures.violins import violin_figure
from wrongkey.reports.latex import to_latex
from wrongkey.reports.metrics import get_metric
from wrongkey.reports.paper.experiments import PaperExperiment
from wrongkey.reports.paper.published import published_values, what_differs
from wrongkey.reports.runs import Run
from wrongkey.reports.statistics.key_statistics import Estimate, KeyStatistics, summarise_all
from wrongkey.reports.tables import keys_text, markdown_text, score_table, significant, to_csv, to_markdown
from wrongkey.reports.verdicts import cautions, evidence, session_caution

NONE = "–"
CONDITIONS = {"plain_query": "plain query", "correct": "correct key", "incorrect": "incorrect keys"}
SIDES = {"both": "both sides", "test": "only the test side"}  # under an incorrect key
ENROLMENT = "The paper does not say how speakers were enrolled"
READINGS = {
    ("both",): "Here both sides of a trial are under the same key, also an incorrect one, which is our reading of it; "
    "--variant both,test shows beside it what speakers enrolled under the correct key give.",
    ("test",): "Here they are enrolled under the correct key and only the test side guesses; --variant both,test shows "
    "beside it both sides under the same incorrect key.",
    ("both", "test"): "Both readings are shown: both sides of a trial under the same key, also an incorrect one; and "
    "speakers enrolled under the correct key, so that only the test side guesses. The published value is the same "
    "beside either.",
}


@dataclass(frozen=True)
class Cell:
    """A number of the paper, one of ours, or both; None where there is none. Values in the metric's unit.

    scheme: "" for the plain model.  block_size: 0 where the paper's number does not depend on it.
    condition: of the scores, or "variance" over the incorrect keys.  keys: how many our number is over.
    variant: which sides of a trial an incorrect key is on; "" where none is.
    """

    model: str
    scheme: str
    block_size: int
    condition: str
    published: float | None
    ours: Estimate | None
    keys: int
    variant: str = ""

    @property
    def text(self) -> str:
        """Both numbers: "33.3 | 20.84"."""
        return f"{self.published_text} | {self.our_text}"

    @property
    def published_text(self) -> str:
        """As the paper prints it."""
        return NONE if self.published is None else f"{self.published:g}"

    @property
    def our_text(self) -> str:
        """Our number; a variance with three significant digits."""
        if self.ours is None:
            return NONE
        return significant(self.ours.value) if self.condition == "variance" else f"{self.ours.value:.2f}"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """One experiment of the paper and our runs of it."""

    experiment: PaperExperiment
    results: tuple[KeyStatistics, ...]

    @classmethod
    def of(cls, experiment: PaperExperiment, runs: Iterable[Run]) -> "Reproduction":
        """Make one of runs. Raises BadInput where there is none, and for a run of another task or variant."""
        runs = list(runs)
        if not runs:
            raise BadInput(f"There is no run of {experiment.name}: give at least one.")
        keyless = experiment.variant == "waveform"
        for run in runs:
            if run.task != experiment.task or run.keyed == keyless:
                kind = "encrypted waveforms into a plain model" if keyless else "an encrypted model"
                raise BadInput(f"{run.folder} is not a run of {experiment.name}: that is {experiment.task}, {kind}.")
        results = summarise_all(runs, experiment.metric)
        if keyless:  # the title names the variant
            results = [replace(r, label=r.label.replace(f", {r.run.variant_words}", "", 1)) for r in results]
        return cls(experiment, tuple(results))

    @cached_property
    def cells(self) -> list[Cell]:
        """Every pair of a published number and ours, in the order of the table."""
        made = {"conditions": _conditions, "block sizes": _block_sizes, "distribution": _distribution}
        return made[self.experiment.form](self)

    def table(self) -> pd.DataFrame:
        """The paper's table, each cell "published | ours"."""
        laid = {"conditions": _condition_table, "block sizes": _block_size_table, "distribution": _distribution_table}
        return laid[self.experiment.form](self)

    def numbers(self) -> pd.DataFrame:
        """For machines: one row per cell, unrounded."""
        experiment, run = self.experiment, self.results[0].run
        return pd.DataFrame(
            {
                "experiment": experiment.name,
                "source": experiment.source,
                "task": experiment.task,
                "metric": experiment.metric,
                "model": cell.model,
                "corpus": run.corpus,
                "scheme": cell.scheme,
                "blocks": run.blocks,
                "variant": cell.variant or None,
                "block_size": cell.block_size or None,
                "condition": cell.condition,
                "published": cell.published,
                "ours": None if cell.ours is None else cell.ours.value,
                "ours_low": None if cell.ours is None else cell.ours.low,
                "ours_high": None if cell.ours is None else cell.ours.high,
                "keys": cell.keys or None,
            }
            for cell in self.cells
        )

    def latex(self) -> str:
        """The table for a paper."""
        metric = get_metric(self.experiment.metric)
        beside = "" if self.experiment.name == "fig11" else " Cells: published | ours."
        caption = f"{self.experiment.source}: {self.experiment.title}; {metric.axis}.{beside}"
        return to_latex(self.table(), caption, self.experiment.name)

    def markdown(self, figure: str | None = None) -> str:
        """The page: table, what differs, and how our incorrect keys are distributed. `figure`: name of its image."""
        experiment = self.experiment
        metric = get_metric(experiment.metric)
        parts = [f"# {experiment.source}: {experiment.title}\n"]
        if figure:
            parts.append(f"![{experiment.title}]({figure})\n")
        cells = "" if experiment.name == "fig11" else "“a | b”: the paper’s value | ours. "
        if experiment.form == "block sizes":
            cells += f"Means over {_same_keys(self) or 'n'} keys. "
        parts.append(f"{cells}{metric.axis[:1].upper()}{metric.axis[1:]}; {metric.safer} is safer.\n")
        parts.append(to_markdown(self.table()))
        parts += [f"- {markdown_text(sentence)}" for sentence in sentences(self)]
        if experiment.form != "distribution":  # whose table it is already
            parts.append(f"\n## Our runs, {metric.axis}\n")
            parts.append(to_markdown(score_table(self.results)))
        return "\n".join(parts).rstrip() + "\n"


def write_reproduction(experiment: PaperExperiment, runs: Iterable[Run], folder: Path) -> str:
    """Write an experiment of the paper beside our runs of it.

    Parameters
    ----------
    experiment : PaperExperiment
        One of `wrongkey.reports.paper.experiments.EXPERIMENTS`.
    runs : iterable of Run
        Our runs of it.
    folder : Path
        Gets `<name>.md`, `.tex` and `.csv`, for a distribution also `.png`, `.svg` and `.pdf`.

    Returns
    -------
    str
        The Markdown.

    Raises
    ------
    BadInput
        If there is no run, one is of another task or variant, or the folder cannot be written.
    """
    ours = Reproduction.of(experiment, runs)
    drawn = experiment.form == "distribution"
    text = ours.markdown(f"{experiment.name}.svg" if drawn else None)
    with explained_errors(folder, "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        if drawn:
            save_figure(violin_figure(ours.results), folder, experiment.name)
        write_text_atomically(folder / f"{experiment.name}.csv", to_csv(ours.numbers()))
        write_text_atomically(folder / f"{experiment.name}.tex", ours.latex())
        write_text_atomically(folder / f"{experiment.name}.md", text)
    return text


def sentences(ours: Reproduction) -> list[str]:
    """What a reader must know: block sizes that are not the paper's, what else differs, cautions, evidence."""
    kinds = list(dict.fromkeys((result.run.recordings != "real", evidence(result.run)) for result in ours.results))
    found = [sentence for doubtful, sentence in kinds if doubtful] + _block_sentences(ours) + _enrolment(ours)
    found += _differences(ours)
    if ours.experiment.name == "fig11":
        found.append("The paper prints Fig. 11 as a violin plot only, so it has no number to compare with.")
    found += _trend(ours)
    if ours.experiment.task == "asr":
        found += _runaways(ours)
    for result in ours.results:
        said_once = session_caution(result.run)
        own = [c for c in cautions(result) if not c.startswith("Only ") and c not in said_once]
        found += [*said_once, *(f"{result.label}: {caution}" for caution in own)]
    few = sorted({result.n for result in ours.results if not result.run.exhaustive and result.n < 30})
    if few and ours.experiment.form != "distribution":
        number = " or ".join(map(str, few))
        found.append(f"A mean of {number} keys says nothing about rare keys that work well: see a sweep of many.")
    return list(dict.fromkeys([*found, *(sentence for doubtful, sentence in kinds if not doubtful)]))


def _conditions(ours: Reproduction) -> list[Cell]:
    """Tables I to III: the plain model, then for each scheme plain query, correct key, mean over incorrect keys."""
    table = published_values()[ours.experiment.task]
    cells = []
    for model, block_size in _settings(ours):
        results = [r for r in ours.results if (r.run.model, r.run.block_size) == (model, block_size)]
        plain = next((r.plain for r in results if r.plain is not None), None)
        cells += [
            Cell(model, "", block_size, "plain_query", table["plain_model_plain_query"], plain, 0, variant)
            for variant in _variants(ours)[:1]
        ]
        for result in results:
            published = table.get(result.run.scheme, {})
            for condition, key in (
                ("plain_query", "plain_query"), ("correct", "correct_key"), ("incorrect", "incorrect_key"),
            ):  # fmt: skip
                value = result.mean if condition == "incorrect" else getattr(result, condition)
                keys = result.n if condition == "incorrect" else 0
                side = "" if condition == "correct" else _variant(result)
                cell = Cell(model, result.run.scheme, block_size, condition, published.get(key), value, keys, side)
                cells.append(cell)
    return cells


def _condition_table(ours: Reproduction) -> pd.DataFrame:
    rows = []
    several, same = len(_settings(ours)) > 1, _same_keys(ours)
    titles = _titles(ours)
    for model, block_size in _settings(ours):
        cells = [cell for cell in ours.cells if (cell.model, cell.block_size) == (model, block_size)]
        for scheme in dict.fromkeys(cell.scheme for cell in cells):
            name = scheme_label(scheme) if scheme else "Plain"
            if several:
                name += f", {model}, M = {block_size}" if scheme else f", {model}"
            row = {"Model encryption": name} | dict.fromkeys(titles.values(), NONE)
            for cell in cells:
                if cell.scheme == scheme:
                    row[titles[cell.condition, cell.variant]] = (
                        cell.text if same or not cell.keys else f"{cell.text} (n = {cell.keys:,})"
                    )
            rows.append(row)
    return pd.DataFrame(rows)


def _titles(ours: Reproduction) -> dict[tuple[str, str], str]:
    """The columns' names by condition and variant, in order; sides are named where the runs have both variants."""
    same, variants = _same_keys(ours), _variants(ours)
    titles = {}
    for condition, name in CONDITIONS.items():
        mean = f" (mean{same and f' of {same:,}'})" if condition == "incorrect" else ""
        for variant in [""] if condition == "correct" else variants:
            sides = f", {SIDES.get(variant, variant)}" if variant and len(variants) > 1 else ""
            titles[condition, variant] = f"{name}{sides}{mean}"
    return titles


def _variant(result: KeyStatistics) -> str:
    """The variant, "both" or "test", where speakers are verified; "" for other tasks, which have no such choice."""
    return (result.run.variant or "both") if result.run.task == "asv" else ""


def _variants(ours: Reproduction) -> list[str]:
    return sorted({_variant(result) for result in ours.results})


def _enrolment(ours: Reproduction) -> list[str]:
    """What the reader must know about a choice that the paper leaves open."""
    reading = READINGS.get(tuple(_variants(ours)))
    return [f"{ENROLMENT}. {reading}"] if reading else []


def _block_sizes(ours: Reproduction) -> list[Cell]:
    """Table IV: plain speech, then the mean over keys for each block size and scheme."""
    table = published_values()["plain_asr"]
    cells = []
    for model in dict.fromkeys(result.run.model for result in ours.results):
        results = [result for result in ours.results if result.run.model == model]
        plain = next((result.plain for result in results if result.plain is not None), None)
        cells.append(Cell(model, "", 0, "plain", table["plain_query"], plain, 0))
        for result in sorted(results, key=lambda r: r.run.block_size):
            run = result.run
            known = run.scheme in table and run.block_size in table["block_size"]
            published = table[run.scheme][table["block_size"].index(run.block_size)] if known else None
            cells.append(Cell(model, run.scheme, run.block_size, "incorrect", published, result.mean, result.n))
    return cells


def _block_size_table(ours: Reproduction) -> pd.DataFrame:
    models = list(dict.fromkeys(cell.model for cell in ours.cells))
    schemes = list(dict.fromkeys(result.run.scheme for result in ours.results))
    rows, same = [], _same_keys(ours)
    for model in models:
        cells = [cell for cell in ours.cells if cell.model == model]
        named = {"Model": model} if len(models) > 1 else {}
        rows.append(named | {"M": "plain speech"} | dict.fromkeys(map(scheme_label, schemes), cells[0].text))
        for size in dict.fromkeys(cell.block_size for cell in cells[1:]):
            row = named | {"M": str(size)} | dict.fromkeys(map(scheme_label, schemes), NONE)
            some = [cell for cell in cells if cell.block_size == size]
            row |= {scheme_label(c.scheme): c.text if same else f"{c.text} (n = {c.keys:,})" for c in some}
            rows.append(row)
    return pd.DataFrame(rows)


def _distribution(ours: Reproduction) -> list[Cell]:
    """Figs. 9 and 11: mean, quantiles and best wrong key of ours, the variance beside the paper's."""
    return [cell for result in ours.results for cell in _distribution_of(result).values()]


def _distribution_of(result: KeyStatistics) -> dict[str, Cell]:
    """The cells of one run by condition."""
    run = result.run
    sweep = published_values()["sweep"][run.task]
    variances = {v["block_size"]: v["variance"] for v in sweep.values() if isinstance(v, dict) and "variance" in v}
    comparable = (run.scheme, run.blocks) == (sweep["scheme"], sweep["blocks"])
    ours: dict[str, Estimate | None] = {
        "plain": result.plain,
        "incorrect": result.mean,
        "variance": result.variance,
        "median": Estimate(result.median),
        **{f"q{round(100 * q):02d}": Estimate(value) for q, value in result.quantiles.items()},
        "best": result.worst.score,
    }
    published = {"variance": variances.get(run.block_size)} if comparable else {}
    return {
        name: Cell(run.model, run.scheme, run.block_size, name, published.get(name), value, result.n, _variant(result))
        for name, value in ours.items()
    }


def _distribution_table(ours: Reproduction) -> pd.DataFrame:
    titles = {"plain": "Plain", "incorrect": "Mean", "variance": "Variance", "q05": "5 %", "q25": "25 %"}
    titles |= {"median": "Median", "q75": "75 %", "q95": "95 %", "best": "Best wrong key"}
    rows = []
    for result in ours.results:
        cells = _distribution_of(result)
        row = {"Run": result.label, "Keys": keys_text(result)}
        row |= {title: cells[name].our_text for name, title in titles.items()}
        if ours.experiment.name == "fig9":
            row["Variance"] = cells["variance"].text
        rows.append(row)
    return pd.DataFrame(rows)


def _same_keys(ours: Reproduction) -> int | str:
    """How many keys every mean is over; "" where that differs, so that each cell says it."""
    numbers = {result.n for result in ours.results}
    return numbers.pop() if len(numbers) == 1 else ""


def _settings(ours: Reproduction) -> list[tuple[str, int]]:
    """Model and block size of each group of rows, in the order of the runs."""
    return list(dict.fromkeys((result.run.model, result.run.block_size) for result in ours.results))


def _block_sentences(ours: Reproduction) -> list[str]:
    """Block sizes and ways to cut blocks that are not the paper's."""
    experiment = ours.experiment
    theirs = f"M = {', '.join(map(str, experiment.block_sizes))} ({experiment.blocks})"
    found = []
    for result in ours.results:
        run = result.run
        if run.blocks != experiment.blocks or run.block_size not in experiment.block_sizes:
            own = run.block_words if run.blocks != Blocks.SAMPLES else f"{run.block_words} (samples)"
            found.append(f"{run.model}: {own} is not the paper’s block, which is {theirs}.")
    return list(dict.fromkeys(found))


def _differences(ours: Reproduction) -> list[str]:
    """How model, corpus and number of keys differ from the paper's, each sentence once."""
    found = []
    for result in ours.results:
        table, model, keys = _source(ours.experiment, result)
        sentence = what_differs(result, model, table["corpus"], keys)
        found.append(sentence.replace("This run:", "Ours:"))
    return list(dict.fromkeys(found))


def _source(experiment: PaperExperiment, result: KeyStatistics) -> tuple[dict[str, Any], str, int | None]:
    """The paper's table or figure, the model it used for a run's setting, and its number of keys."""
    values = published_values()
    if experiment.form == "conditions":
        table = values[experiment.task]
        return table, table["model"], table["incorrect_keys_averaged"]
    if experiment.form == "block sizes":
        return values["plain_asr"], values["plain_asr"]["model"], None
    sweep = values["sweep"][experiment.task]
    models = {v["block_size"]: name for name, v in sweep.items() if isinstance(v, dict)}
    return sweep, sweep.get("model") or models.get(result.run.block_size, "RawNeXt and HuBERT"), sweep["keys"]


def _trend(ours: Reproduction) -> list[str]:
    """How mean and variance change with M, and what the paper says about that."""
    if ours.experiment.form != "distribution":
        return []
    found = []
    for scheme, variant in dict.fromkeys((result.run.scheme, _variant(result)) for result in ours.results):
        own = (r for r in ours.results if (r.run.scheme, _variant(r)) == (scheme, variant))
        results = sorted(own, key=lambda r: r.run.block_size)
        distinct = len({r.run.block_size for r in results})
        if distinct < 2 or distinct < len(results):
            continue
        sides = f", {SIDES.get(variant, variant)}" if len(_variants(ours)) > 1 else ""
        sizes = ", ".join(str(r.run.block_size) for r in results)
        means = ", ".join(f"{r.mean.value:.1f}" for r in results)
        variances = ", ".join(NONE if r.variance is None else significant(r.variance.value) for r in results)
        found.append(
            f"{scheme_label(scheme)}, M = {sizes}{sides}: mean {means}; variance {variances}. In the paper the mean "
            "rises and the distribution narrows as M grows."
        )
    return found


def _runaways(ours: Reproduction) -> list[str]:
    """How many decoders were stopped by their bound, plain and under keys."""
    measured = [result.run for result in ours.results if "runaway" in result.run.metrics]
    if not measured:
        return []
    plain: list[float] = [float(value) for run in measured for value in run.rows("plain", "runaway")["value"]]
    means = [float(run.incorrect("runaway").mean()) for run in measured]
    before = f"plain {_range(plain)}, " if plain else ""
    return [f"Decodings stopped by their bound (counted as they stand): {before}mean over keys {_range(means)}."]


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"
