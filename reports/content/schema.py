"""What `report.json` holds: one schema for those who write it and those who read it (docs/report-json.md).

The file is made to be handed out: it holds no path of the machine that made it, and no character that a terminal or a
browser would obey. Values are in the unit of their metric.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat

FORMAT: Final = "wrongkey-report/1"


class Part(BaseModel):
    """A JSON object that has these fields and no others."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())


class Table(Part):
    """A table of texts, a list per row. `note`: how to read it; empty where it needs no words."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""


class Figure(Part):
    """A figure. `name`: its file without the suffix; `alt`: what it shows in words and values."""

    name: str
    caption: str
    alt: str


class Clip(Part):
    """A recording to listen to. `audio` and `plate` (a spectrogram) name files of the report; `audio` may be null."""

    role: str
    caption: str
    alt: str
    audio: str | None
    plate: str
    seconds: FiniteFloat


class ClipRow(Part):
    """The clips of one scheme and block size."""

    label: str
    facts: str
    anchor: str
    clips: list[Clip]


class Listen(Part):
    """What can be heard. `withheld`: why something cannot; `real`: whether real people speak."""

    rows: list[ClipRow]
    withheld: str
    real: bool


class Column(Part):
    """An adversary of the board, and what they have."""

    name: str
    has: str


class Cell(Part):
    """What one adversary achieves against one row.

    Attributes
    ----------
    also : str
        The quickest case that needs more than the cheapest one.
    like : str
        The first adversary of the row whose cell rests on the same case.
    command : str or None
        What tries what was not tried.
    """

    adversary: str
    state: str
    icon: str
    price: str
    sure: str
    also: str
    like: str
    sentence: str
    command: str | None
    caution: str


class Row(Part):
    """A scheme with its block size, blocks, front end and model. `strength`: its effective bits, where measured."""

    label: str
    facts: str
    scheme: str
    block_size: int
    blocks: str
    front_end: str
    model: str
    task: str
    anchor: str
    strength: str = ""
    cells: list[Cell]


class Board(Part):
    """The verdict on every row against every adversary, the cheapest first; its headline is `answer` and `rest`."""

    headline: str
    verdict: str
    answer: str
    rest: str
    cautions: list[str]
    criteria: str
    columns: list[Column]
    rows: list[Row]


class Metric(Part):
    """What is measured, and which way is safer for the owner of the key."""

    name: str
    label: str
    axis: str
    unit: str
    decimals: int
    higher_is_safer: bool
    distances: list[FiniteFloat]
    chance: FiniteFloat | None


class BestKey(Part):
    """The incorrect key that works best. `ties`: further keys with the same score, at most ten of `tied`."""

    index: int
    score: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    tied: int
    ties: list[int]
    command: str


class Keys(Part):
    """The keys of a run: all of the best, a sample of the rest, a position in each of the lists for each.

    Attributes
    ----------
    run, label, short : str
        Name of the run's folder, of the run in tables, and of the run where there is little room.
    tried : int
        Incorrect keys of the run.
    index : list of int
        Numbers of the shown keys, for `wrongkey keys draw --index`.
    score, low, high : list of float
        Scores, and the ends of each key's own 95 % interval (empty lists where the run has none).
    rank : list of int
        1 for the key that works best for an attacker.
    grid, density : list of float
        The outline of a violin: scores, and the density there as a share of its largest value.
    """

    run: str
    label: str
    short: str
    scheme: str
    scheme_label: str = ""
    block_size: int
    dims: int
    seed: int
    draw: list[str]
    tried: int
    plain: FiniteFloat | None
    correct: FiniteFloat | None
    q25: FiniteFloat
    median: FiniteFloat
    q75: FiniteFloat
    best: BestKey
    index: list[int]
    score: list[FiniteFloat]
    rank: list[int]
    low: list[FiniteFloat]
    high: list[FiniteFloat]
    grid: list[FiniteFloat]
    density: list[FiniteFloat]


class Survival(Part):
    """The share of random keys that come within each distance of the plain model, with its 95 % band."""

    run: str
    label: str
    distance: list[FiniteFloat]
    share: list[FiniteFloat]
    low: list[FiniteFloat]
    high: list[FiniteFloat]


class Sentence(Part):
    """What one run shows, and what to know before relying on it."""

    label: str
    sentence: str
    cautions: list[str]


class Section(Part):
    """The runs that share a task and a metric. `main`: whether it is the task's own metric."""

    anchor: str
    heading: str
    task: str
    metric: Metric
    main: bool
    keyed: bool
    sentences: list[Sentence]
    figures: list[Figure]
    keys: list[Keys]
    survival: list[Survival]
    tables: list[Table]
    details: list[Table]
    differs: list[str]


class Analysis(Part):
    """One kind of analysis. `lead`: its result in one sentence."""

    anchor: str
    heading: str
    lead: str
    sentences: list[Sentence]
    figures: list[Figure]
    tables: list[Table]
    note: str
    commands: list[str]


class AttackRun(Part):
    """The attacks of one run folder."""

    run: str
    label: str
    sentence: str
    cautions: list[str]
    facts: str
    tables: list[Table]
    reasons: list[list[str]]
    obstacles: list[list[str]]


class Attacks(Part):
    """All attacks. `adversaries`: what each attack has and does, by its name."""

    criteria: str
    figures: list[Figure]
    runs: list[AttackRun]
    adversaries: list[list[str]]


class StrengthEstimate(Part):
    """How likely a random key comes within a distance of the plain model; null where no bits are given (`why_not`)."""

    within: FiniteFloat
    goal: FiniteFloat | None
    bits: FiniteFloat | None
    bits_low: FiniteFloat | None
    bits_high: FiniteFloat | None
    probability: FiniteFloat | None
    guesses: FiniteFloat | None
    why_not: str


class StrengthRun(Part):
    """The strength of the keys of one scheme, block size and model, in numbers."""

    run: str
    label: str
    scheme: str
    scheme_label: str
    block_size: int
    dims: int
    blocks: str
    model: str
    task: str
    corpus: str
    recordings: str
    variant: str
    metric: str
    plain: FiniteFloat
    nominal_bits: FiniteFloat | None
    tolerance: FiniteFloat | None
    estimates: list[StrengthEstimate]
    evaluations: int
    best: FiniteFloat | None
    best_distance: FiniteFloat | None
    state: str


class Strength(Part):
    """The strength of all keys that was measured. `lead`: the weakest of them in one sentence."""

    lead: str
    sentences: list[Sentence]
    figures: list[Figure]
    tables: list[Table]
    note: str
    runs: list[StrengthRun]


class RunFacts(Part):
    """How one run was made. `command` repeats it with every setting spelled out."""

    name: str
    label: str
    kind: Literal["sweep", "attacks", "analysis", "strength"]
    facts: list[list[str]]
    command: str
    manifest: dict[str, Any]


class Report(Part):
    """`report.json`.

    Attributes
    ----------
    made : str
        The UTC date on which the last of the runs ended, "" where none says; never the date of the report.
    reading : list of [term, sentence]
        How to read the tables, each term once.
    downloads : list of str
        Files beside the page.
    """

    FORMAT: ClassVar[str] = FORMAT
    REMEDY: ClassVar[str] = "make it again with wrongkey report RUNS --format json"

    format: Literal["wrongkey-report/1"]
    wrongkey: str
    made: str
    title: str
    headline: str
    verdict: str
    cautions: list[str]
    facts: list[str]
    criteria: str
    board: Board | None
    listen: Listen | None
    sections: list[Section]
    analyses: list[Analysis]
    attacks: Attacks | None
    strength: Strength | None = None
    checks: Table | None
    failed_checks: list[str]
    reading: list[list[str]]
    runs: list[RunFacts]
    downloads: list[str]
    bibtex: str
