"""Run folders, read and checked.

A run folder holds `manifest.json` (what was run, and on what) and `scores/*.parquet` (one row per key, condition and
metric). One folder is one model, corpus, scheme and block size. A run that was stopped early loads like any other and
says so in `Run.state`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.score_rows import SETTING
from wrongkey.evaluation.run_folder.scores import REMEDY, read_scores
from wrongkey.evaluation.run_folder.strength import FILE as STRENGTH
from wrongkey.evaluation.run_folder.vocabulary import PRIMARY_METRIC, SelfCheck
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import scheme_label
from wrongkey.printable import brief, facts_html, printable
from wrongkey.reports.metrics import METRICS

TASKS = ("asv", "asr", "asc")  # in the order in which they are shown
VARIANT_WORDS = {  # the usual variant, that of the paper's tables I to III, is not named
    "": "",
    "both": "",
    "test": "only the test side",
    "waveform": "encrypted waveforms into the plain model",
}
VARIANT_LABELS = VARIANT_WORDS | {"waveform": "waveform to plain model"}  # where there is little room


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One run folder, as `load_run` reads it.

    Parameters
    ----------
    folder : Path
        Where it lies.
    manifest : dict
        The content of `manifest.json`.
    scores : DataFrame
        The scores, with the columns `SCORE_COLUMNS` of `wrongkey.evaluation.run_folder.scores`, ordered by metric,
        condition and key; names are categories.
    cautions : list of str
        Sentences that a reader must know beside the numbers: what the sweep noted, and whether its files could show
        that they were changed.
    """

    folder: Path
    manifest: dict[str, Any]
    scores: pd.DataFrame
    cautions: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        what = ", ".join(brief(part) for part in (self.model, self.scheme_name, self.setting))
        return f"Run({brief(self.name)!r}: {what})"

    def _repr_html_(self) -> str:
        return facts_html(
            self.name,
            {
                "model": self.model,
                "task": self.task.upper(),
                "corpus": f"{self.corpus} ({self.recordings} recordings)",
                "scheme": f"{self.scheme_name}, {self.setting}",
                "incorrect keys": f"{self.keys_done:,} ({self.state})",
                "metric": METRICS[self.metric].label,
                "self-checks": f"{sum(check.passed for check in self.self_checks)} of {len(self.self_checks)} passed",
                "cautions": " ".join(self.cautions),
            },
        )

    def section(self, name: str) -> dict[str, Any]:
        """A part of the manifest that is itself a table; empty where it is missing or null."""
        part = self.manifest.get(name)
        return part if isinstance(part, dict) else {}

    def _one(self, column: str) -> Any:
        return self.scores[column].iloc[0]

    def _words(self, section: str, name: str) -> str:
        return printable(self.section(section).get(name) or "")

    @property
    def name(self) -> str:
        """The folder's own name."""
        return printable(self.folder.resolve().name)

    @property
    def task(self) -> str:
        """The task: "asv", "asr" or "asc"."""
        return printable(self._one("task"))

    @property
    def model(self) -> str:
        """The model's name."""
        return printable(self._one("model"))

    @property
    def corpus(self) -> str:
        """The corpus' name."""
        return printable(self._one("corpus"))

    @property
    def scheme(self) -> str:
        """The key scheme as in the scores, such as "rom"."""
        return printable(self._one("scheme"))

    @property
    def scheme_name(self) -> str:
        """The key scheme as people write it, such as "ROM"."""
        return scheme_label(self.scheme)

    @property
    def block_size(self) -> int:
        """The block size M."""
        return int(self._one("block_size"))

    @property
    def dims(self) -> int:
        """Dimensions of a block: 1 of waveforms and of frames, 2 of tiles."""
        return int(self._one("dims"))

    @property
    def size(self) -> int:
        """N, elements that a key multiplies together; runs of an older wrongkey have keys of single blocks."""
        return int(self.section("config").get("size") or self.block_size**self.dims)

    @property
    def family(self) -> str:
        """The model's name without a block size at its end: HuBERT5 and HuBERT10 are one family."""
        if given := self._words("model_card", "family"):
            return given
        stem = self.model.removesuffix(str(self.block_size))
        if stem == self.model or not stem or stem[-1].isdigit():
            return self.model
        return stem.rstrip("-_ mM") or self.model

    @property
    def blocks(self) -> str:
        """How a key cuts a query: "samples" of a waveform, "tiles" or "frames" of a spectrogram."""
        return self._words("config", "blocks") or (Blocks.TILES if self.dims == 2 else Blocks.SAMPLES).value

    @property
    def variant(self) -> str:
        """The threat variant: "both" (every query under the incorrect key), "test", "waveform", or "" if not named."""
        return self._words("config", "variant")

    @property
    def keyed(self) -> bool:
        """The model carries a key, so that there is a correct one; "waveform" asks the plain model."""
        return self.variant != "waveform"

    @property
    def key_words(self) -> str:
        """Such as "incorrect ROM key"; "ROM key" where the model carries none, so that no key is the correct one."""
        return f"incorrect {self.scheme_name} key" if self.keyed else f"{self.scheme_name} key"

    @property
    def variant_words(self) -> str:
        """What is unusual about the incorrect keys in words: "" for nothing, else such as "only the test side"."""
        variant = VARIANT_WORDS.get(self.variant, f"variant {self.variant}")
        return ", ".join(filter(None, (variant, self.right_words)))

    @property
    def right(self) -> int:
        """Of several keys in turn, how many are right in each incorrect key."""
        return int(self.section("config").get("right") or 0)

    @property
    def right_words(self) -> str:
        """The same in words; "" for none."""
        return f"{self.right} of the keys right" if self.right else ""

    @property
    def variant_label(self) -> str:
        """`variant_words` for a figure, at most 24 characters for the known variants."""
        return VARIANT_LABELS.get(self.variant, self.variant_words)

    @property
    def block_words(self) -> str:
        """Such as "M = 3", of a spectrogram "M = 3 (tiles)", "M = 20 (frames)" or "whole frames of 80"."""
        if self.blocks == Blocks.SAMPLES:
            return f"M = {self.block_size}"
        if self.blocks == Blocks.FRAMES and self.section("config").get("bins") == self.block_size:
            return f"whole frames of {self.block_size}"
        return f"M = {self.block_size} ({self.blocks})"

    @property
    def setting(self) -> str:
        """Such as "M = 3", "M = 3 (tiles)" or "M = 3, only the test side"."""
        return ", ".join(filter(None, (self.block_words, self.variant_words)))

    @property
    def classes(self) -> int | None:
        """How many classes a classifier chooses from, where the manifest says so."""
        number = self.section("corpus").get("classes")
        return number if isinstance(number, int) and number > 0 else None

    @property
    def recordings(self) -> str:
        """What the corpus is made of, as its manifest says: "real", "synthetic" or "unknown"."""
        return self._words("corpus", "recordings") or "unknown"

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """Indices of the incorrect keys with a score: the manifest may be older than the last shard."""
        first, *others = (self.rows("incorrect", name)["key_index"].to_numpy(dtype=np.int64) for name in self._measured)
        different = [keys for keys in others if not np.array_equal(keys, first)]  # where older shards lack a metric
        return np.unique(np.concatenate([first, *different]))

    @property
    def keys_done(self) -> int:
        """Incorrect keys with a score."""
        return len(self._keys)

    @property
    def key_space(self) -> int | None:
        """How many incorrect keys exist, where that is finite and small."""
        size = self.manifest.get("key_space")
        return int(size) if size else None

    @property
    def keys_asked(self) -> int:
        """Incorrect keys that the sweep was asked for, as far as they exist."""
        asked = int(self.section("config").get("keys") or self.keys_done)
        return min(asked, self.key_space) if self.manifest.get("enumerated") and self.key_space else asked

    @property
    def finished(self) -> bool:
        """Whether every key that was asked for has a score."""
        return int((self._keys < self.keys_asked).sum()) == self.keys_asked

    @property
    def exhaustive(self) -> bool:
        """Whether every incorrect key that exists was tried: the numbers then have no sampling error over keys."""
        return bool(self.manifest.get("enumerated")) and self.finished

    @property
    def state(self) -> str:
        """Such as "complete" or "unfinished: 320 of 1,000 keys"."""
        if self.finished:
            return "complete"
        return f"unfinished: {int((self._keys < self.keys_asked).sum()):,} of {self.keys_asked:,} keys"

    @property
    def metric(self) -> str:
        """The run's primary metric: the task's own if it was measured, else the first known one."""
        measured = [name for name in self._measured if name not in self.partial]
        wanted = [str(self.section("config").get("metric")), PRIMARY_METRIC.get(self.task, ""), *METRICS]
        for name in wanted:
            if name in measured and name in METRICS:
                return name
        raise BadInput(
            f"{self.folder} has only metrics that the report does not know ({', '.join(map(str, measured))}): "
            f"take one of {', '.join(METRICS)}."
        )

    @property
    def metrics(self) -> list[str]:
        """The known metrics in the scores, the primary one first; none that only some keys have."""
        shown = set(self._measured) - set(self.partial) - {self.metric}
        return [self.metric, *(name for name in METRICS if name in shown)]

    @cached_property
    def partial(self) -> dict[str, int]:
        """Metrics that only some incorrect keys have, and how many: an earlier wrongkey did not measure them."""
        keys = {name: len(self.rows("incorrect", name)) for name in self._measured}
        return {name: count for name, count in keys.items() if 0 < count < self.keys_done}

    @cached_property
    def self_checks(self) -> list[SelfCheck]:
        """The checks that the run made of itself."""
        return [
            SelfCheck(
                name=check["name"],
                passed=check["passed"],
                value=float(check.get("value", np.nan)),
                limit=float(check.get("limit", np.nan)),
                text=check.get("text", ""),
            )
            for check in self.manifest.get("self_checks") or []
        ]

    @cached_property
    def _measured(self) -> list[str]:
        """The metrics in the scores, in the order in which they were measured."""
        return [str(name) for name in self.scores["metric"].unique()]

    @cached_property
    def _places(self) -> dict[tuple[str, str], slice]:
        """Where the rows of each condition and metric lie."""
        if self.scores.empty:
            return {}
        codes = self.scores[["condition", "metric"]].astype("category").apply(lambda one: one.cat.codes).to_numpy()
        starts = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]).any(axis=1)])  # rows are in the order of `_order`
        first = self.scores[["condition", "metric"]].iloc[starts].astype(str)
        ends = [*starts[1:], len(codes)]
        return dict(zip(first.itertuples(index=False, name=None), map(slice, starts, ends), strict=True))

    def rows(self, condition: str, metric: str) -> pd.DataFrame:
        """Rows of one condition and metric, ordered by key."""
        return self.scores.iloc[self._places.get((condition, metric), slice(0))].reset_index(drop=True)

    def incorrect(self, metric: str) -> NDArray[np.float64]:
        """Scores of the incorrect keys, ordered by key; BadInput where the metric was not measured."""
        values = np.asarray(self.rows("incorrect", metric)["value"], dtype=np.float64)
        if len(values) == 0:
            measured = ", ".join(sorted(self._measured))
            raise BadInput(f"{self.folder} has no {metric} scores of incorrect keys: ask for one of {measured}.")
        return values


def load_run(folder: Path | str) -> Run:
    """Read a run folder.

    Parameters
    ----------
    folder : Path or str
        `~` at its head is the user's home.

    Returns
    -------
    Run
        Also of a sweep that was stopped early, which `Run.state` says.

    Raises
    ------
    BadInput
        For a folder that is not a run, a run without a score of an incorrect key, a broken or foreign manifest, and
        score files that are broken, of another run, mixed or contradictory.
    """
    folder = Path(folder).expanduser()
    manifest = read_manifest(folder)
    scores, cautions = read_scores(folder, manifest)
    noted = [_sentence(caution) for caution in manifest.get("cautions", [])]
    return Run(folder, manifest, _whole(folder, scores), [*noted, *cautions])


def _sentence(line: str) -> str:
    """A line of a log as a sentence of a page."""
    return line[:1].upper() + line[1:] + ("" if line.endswith(".") else ".")


def load_runs(folders: Iterable[Path | str | Run]) -> list[Run]:
    """Read several run folders.

    Parameters
    ----------
    folders : iterable of Path, str or Run
        Runs that are already read stay as they are.

    Returns
    -------
    list of Run
        In the order given, each once.

    Raises
    ------
    BadInput
        If there is no folder, and as `load_run`.
    """
    unique: dict[Path, Run | None] = {}
    for given in folders:
        folder, run = (given.folder, given) if isinstance(given, Run) else (Path(given), None)
        unique[folder] = unique.get(folder) or run
    if not unique:
        raise BadInput("No run folder was given: name at least one, for example runs/demo.")
    return [run or load_run(folder) for folder, run in unique.items()]


def place_in(order: Sequence[str], name: str) -> int:
    """Where a task is shown; behind all others where the order does not know it."""
    return order.index(name) if name in order else len(order)


def find_readable(folders: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """Read the runs among some folders that a report can show.

    Parameters
    ----------
    folders : iterable of Path
        Any folders.

    Returns
    -------
    runs : list of Run
        Those that can be shown.
    reasons : list of str
        For each of the others, a sentence that says why not.
    """
    runs, reasons = [], []
    for folder in folders:
        try:
            run = load_run(folder)
            run.incorrect(run.metric)
        except BadInput as error:
            reasons.append(str(error))
        else:
            runs.append(run)
    return runs, reasons


def run_labels(runs: Iterable[Run]) -> list[str]:
    """A short name for each run: model, scheme, block size, unusual variant, and whatever else distinguishes them."""
    runs = list(runs)
    return told_apart(
        [f"{run.model}, {run.scheme_name}, {run.setting}" for run in runs],
        [run.corpus for run in runs],
        [run.name for run in runs],
        [printable(run.folder) for run in runs],
    )


def told_apart(labels: list[str], *additions: Sequence[str]) -> list[str]:
    """Labels with what tells those apart that are the same: the first additions, one per label, that differ.

    Examples
    --------
    >>> told_apart(["ROM", "ROM", "flipping"], ["raw3", "raw5", "raw5"], ["a", "b", "c"])
    ['ROM, raw3', 'ROM, raw5', 'flipping']
    """
    for addition in additions:
        extras: dict[str, set[str]] = {}
        for label, extra in zip(labels, addition, strict=True):
            extras.setdefault(label, set()).add(extra)
        labels = [
            f"{label}, {extra}" if len(extras[label]) > 1 else label
            for label, extra in zip(labels, addition, strict=True)
        ]
    return labels


def _whole(folder: Path, scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of all files as those of one run, each once. Raises BadInput where they are not."""
    if not len(scores):
        raise BadInput(f"{folder} has no scores yet: let its sweep finish at least one shard of keys.")
    for column in SETTING:
        found = scores[column].unique()
        if len(found) > 1:
            raise BadInput(
                f"{folder / 'scores'} mixes several values of {column} ({found[0]!s}, {found[1]!s}): "
                "keep one run per folder."
            )
    scores = scores.take(_order(scores)).reset_index(drop=True)
    if _repeats(scores).any():
        scores = scores.drop_duplicates(ignore_index=True)
    twice = _repeats(scores)
    if twice.any():
        key = scores["key_index"][int(np.argmax(twice))]
        raise BadInput(f"{folder / 'scores'} holds two different scores for key {key}: {REMEDY}.")
    if not (scores["condition"] == "incorrect").any():
        if (folder / STRENGTH).exists():
            raise BadInput(
                f"{folder} keeps the strength of a key, which wrongkey report shows, and no score of an incorrect key: "
                "run wrongkey sweep into it."
            )
        raise BadInput(f"{folder} has no scores yet of an incorrect key: let its sweep finish one shard of keys.")
    return scores


def _order(scores: pd.DataFrame) -> NDArray[np.int64]:
    """The places of the rows by metric, condition and key; `sort_values` takes four times as long."""
    keys = [scores[name].to_numpy() for name in ("key_index", "key_seed")]
    codes = [scores[name].cat.codes.to_numpy() for name in ("condition", "metric")]
    return np.lexsort([*keys, *codes])


def _repeats(scores: pd.DataFrame) -> NDArray[np.bool_]:
    """Which of the ordered rows are of the same metric, condition and key as the row before them."""
    repeats = np.zeros(len(scores), dtype=bool)
    repeats[1:] = True
    for name in ("metric", "condition", "key_seed", "key_index"):
        column = scores[name]
        values = column.cat.codes.to_numpy() if name in ("metric", "condition") else column.to_numpy()
        repeats[1:] &= values[1:] == values[:-1]
    return repeats
