"""Sweeps, attacks and analyses that are about the same setting, brought together: the rows of the board."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from wrongkey.evaluation.run_folder.vocabulary import error_percent
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import place_of_scheme, scheme_label
from wrongkey.printable import printable
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.attacked_task import AttackedTask, task_of
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.attacks.verdicts import AttackVerdict
from wrongkey.reports.board.leaks import rows_about
from wrongkey.reports.runs import TASKS, VARIANT_WORDS, Run, place_in
from wrongkey.reports.statistics.key_statistics import KeyStatistics
from wrongkey.reports.strength.runs import StrengthRun

UNKNOWN, WAVEFORM = "unknown", "waveform"
USUAL = "both"  # the threat variant that is not named


@dataclass(frozen=True)
class Place:
    """What a row is about.

    model, task: "" where speech alone was attacked.  front_end: what the model's makes of a waveform: "waveform" where
    it leaves it as it is, "own", or "unknown" in older folders.  variant: of the sweep; "" for the usual one.
    """

    task: str
    scheme: str
    block_size: int
    blocks: str
    front_end: str
    model: str
    variant: str = ""

    @property
    def scheme_name(self) -> str:
        """As people write it, such as "ROM"."""
        return scheme_label(self.scheme)

    @property
    def size(self) -> str:
        """Such as "10", "3 (tiles)" or "10, only the test side"."""
        size = f"{self.block_size}" + ("" if self.blocks == Blocks.SAMPLES else f" ({self.blocks})")
        return size + (f", {VARIANT_WORDS.get(self.variant, self.variant)}" if self.variant else "")

    @property
    def order(self) -> tuple[Any, ...]:
        """Speech alone, then by task, scheme, block size and model."""
        task = place_in(TASKS, self.task) if self.task else -1
        return (
            task,
            place_of_scheme(self.scheme),
            self.block_size,
            self.blocks,
            self.model,
            self.front_end,
            self.variant,
        )

    @property
    def anchor(self) -> str:
        """An id for links: letters, digits and hyphens."""
        parts = ("board", self.scheme, str(self.block_size), self.blocks, self.model or "speech", self.task)
        words = (re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in (*parts, self.front_end, self.variant))
        return "-".join(filter(None, words))


@dataclass
class Evidence:
    """All that was measured in one place.

    rates: sample rates of the model's queries, where folders say them.  judged: the verdict of every run of attacks.
    known: needs of all attacks that the folders of the board know, by name.
    """

    place: Place
    sweeps: list[KeyStatistics] = field(default_factory=list)
    attacks: list[AttackRun] = field(default_factory=list)
    analyses: list[Analysis] = field(default_factory=list)
    strengths: list[StrengthRun] = field(default_factory=list)
    rates: set[float] = field(default_factory=set)
    judged: Mapping[AttackRun, AttackVerdict] = field(default_factory=dict)
    known: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def attacks_on_it(self) -> list[AttackRun]:
        """The attacks on the model itself, or on speech where the row is about speech alone."""
        return [run for run in self.attacks if bool(run.setting.get("model")) == bool(self.place.model)]

    @property
    def verdicts(self) -> list[AttackVerdict]:
        """The verdict of each attack run."""
        return [self.judged[run] for run in self.attacks]

    @cached_property
    def sweep(self) -> KeyStatistics | None:
        """The sweep with the most keys, which decides what guessing gives: others may be of other trials."""
        return max(self.sweeps, key=lambda one: one.n, default=None)

    def decides(self, run: AttackRun) -> bool:
        """Whether the sweep beside some attacks is the one that decides."""
        return self.sweep is None or _folder(run.folder) == _folder(self.sweep.run.folder)

    @cached_property
    def tasks(self) -> list[AttackedTask]:
        """What the error of the sweep that decides shows; where attacks lie beside it, their verdict says it."""
        if self.sweep is None or any(self.decides(run) for run in self.attacks):
            return []
        return [_task(self.sweep.run)]


def join(
    results: Iterable[KeyStatistics],
    judged: Mapping[AttackRun, AttackVerdict],
    analyses: Iterable[Analysis] = (),
    strengths: Iterable[StrengthRun] = (),
) -> tuple[list[Evidence], list[AttackRun]]:
    """The rows in their order, and the attacks on plain waveforms that count for no model beside them.

    judged: the attacks, each with its verdict.

    Only the task's own metric counts, and only sweeps of a model with a key: "waveform" asks the plain model.
    """
    results = [one for one in results if one.metric.name == one.run.metric and one.run.keyed]
    attacks = list(judged)
    fronts = _known_front_ends(results, attacks)
    rows: dict[Place, Evidence] = {}

    def at(place: Place) -> Evidence:
        if place.front_end == UNKNOWN:
            place = replace(place, front_end=fronts.get(place.model, UNKNOWN))
        return rows.setdefault(place, Evidence(place))

    for result in results:
        row = at(_place_of_sweep(result.run))
        row.sweeps.append(result)
        row.rates |= _rates(result.run.manifest.get("sample_rate"))
    for run in attacks:
        if run.setting.get("model"):
            row = at(_place_of_attack(run))
            row.attacks.append(run)
            row.rates |= _rates(run.setting.get("rate"))
    alone = []
    for run in attacks:
        if run.setting.get("model"):
            continue
        place, rate = _place_of_attack(run), _rates(run.setting.get("rate"))
        same = [row for row in rows.values() if row.place.model and _same_keys(row.place, place)]
        fitting = [row for row in same if row.place.front_end == WAVEFORM and rate and row.rates == rate]
        for row in fitting or [at(place)]:
            row.attacks.append(run)
        if len(fitting) < len(same):
            alone.append(run)
    known = _known_needs(attacks)
    for row in rows.values():
        row.known, row.judged = known, judged
        row.analyses = [one for one in analyses if _is_about(one, row.place)]
        row.strengths = [one for one in strengths if _is_of(one, row.place)]
    return sorted(rows.values(), key=lambda row: row.place.order), alone


def _place_of_sweep(run: Run) -> Place:
    front_end = str(run.manifest.get("front_end") or UNKNOWN)
    variant = ", ".join(filter(None, ("" if run.variant == USUAL else run.variant, run.right_words)))
    return Place(run.task, run.scheme, run.block_size, run.blocks, front_end, run.model, variant)


def _place_of_attack(run: AttackRun) -> Place:
    setting, model = run.setting, run.setting.get("model")
    front_end = setting.get("front_end") or (UNKNOWN if model else WAVEFORM)
    texts = (setting.get("task") or "") if model else "", run.scheme
    blocks = setting.get("blocks") or Blocks.SAMPLES.value
    task, scheme, blocks, front_end, model = map(printable, (*texts, blocks, front_end, model or ""))
    return Place(task, scheme, run.block_size, blocks, front_end, model)


def _same_keys(one: Place, other: Place) -> bool:
    return (one.scheme, one.block_size, one.blocks) == (other.scheme, other.block_size, other.blocks)


def _is_about(analysis: Analysis, place: Place) -> bool:
    """Whether an analysis says what ciphertext of this place tells an eavesdropper."""
    if place.front_end != WAVEFORM:
        return False
    return bool(len(rows_about(analysis, place.scheme, place.block_size, place.blocks)))


def _is_of(run: StrengthRun, place: Place) -> bool:
    """Whether a strength is that of the keys of this place."""
    found, names = run.found, ("task", "scheme", "block_size", "blocks", "model")
    front_end = run.manifest.get("front_end") or place.front_end
    variant = "" if found.variant == USUAL else found.variant
    same = all(getattr(found, name) == getattr(place, name) for name in names)
    return same and (front_end, variant) == (place.front_end, place.variant)


def _known_front_ends(results: Sequence[KeyStatistics], attacks: Sequence[AttackRun]) -> dict[str, str]:
    """Front ends by model, where some folder says them and all that do agree: older folders of the model do not."""
    found: dict[str, set[str]] = {}
    for place in (*(_place_of_sweep(one.run) for one in results), *map(_place_of_attack, attacks)):
        if place.model and place.front_end != UNKNOWN:
            found.setdefault(place.model, set()).add(place.front_end)
    return {model: ends.pop() for model, ends in found.items() if len(ends) == 1}


def _known_needs(attacks: Iterable[AttackRun]) -> dict[str, frozenset[str]]:
    """Needs of all attacks that some folder knows, without those that draw keys at random."""
    known: dict[str, frozenset[str]] = {}
    for run in attacks:
        known |= {name: frozenset(needs) for name, needs in (run.suite.get("known") or {}).items()}
    return known


def _rates(rate: object) -> set[float]:
    return {float(rate)} if isinstance(rate, int | float) else set()


def _folder(path: Path) -> Path:
    return path.resolve()


def _task(run: Run) -> AttackedTask:
    rows = run.scores[run.scores["metric"] == run.metric][["condition", "value", "n"]]
    return task_of(run.metric, run.manifest, rows.assign(value=error_percent(run.metric, rows["value"])))
