"""What the JSON files of a run folder hold: one schema, through which every reader goes. Knows no torch.

The files may come from strangers, from a disk that failed or from an editor: what a reader uses has the type that he
expects, and anything else is one sentence. Fields that no reader uses may hold what they like.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from wrongkey.errors import BadInput

MOST_BYTES = 2**24  # of a file; a run's own has some ten thousand
MOST_LEVELS = 64  # of lists and tables in each other

Count = Annotated[int, Field(ge=0, lt=2**53)]
Positive = Annotated[int, Field(ge=1, lt=2**53)]
Replicates = Annotated[int, Field(ge=0, le=10**6)]
Text = str | None


class Part(BaseModel):
    """A table whose named fields have these types, without conversion: no text is a number, no number true."""

    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class Config(Part):
    """The settings of a sweep: those of `wrongkey.evaluation.config.SweepConfig`, and what came of them."""

    task: str = "asv"
    model: Text = None
    model_spec: Text = None
    corpus: Text = None
    corpus_spec: Text = None
    scheme: str = "rom"
    scheme_spec: Text = None
    blocks: Text = None
    block: Positive | None = None
    block_size: Positive | None = None
    dims: Positive | None = None
    bins: Count | None = None
    keys: Positive | None = None
    seed: Count = 0
    variant: Text = None
    metric: Text = None
    trials: Text = None
    same_gender: bool = False
    nontargets: Annotated[int, Field(ge=1, le=10**6)] = 1
    sessions: str = "any"
    text: Text = None
    per_speaker: Positive | None = None
    only: Text = None
    channels: str = "refuse"
    recordings: Text = None
    precision: str = "float32"
    device: str = "auto"
    replicates: Replicates = 0
    keep_outputs: bool = False
    command: str | list[str] | None = None


class Session(Part):
    started: Text = None
    device: Text = None
    versions: dict[str, str] | None = None
    git: Text = None
    command: str | list[str] | None = None


class Batch(Part):
    rows: Annotated[int, Field(ge=1, le=2**20)]


class CorpusFacts(Part):
    name: Text = None
    recordings: Text = None
    speakers: Count | None = None
    utterances: Count | None = None
    words: Count | None = None
    classes: Count | None = None
    seconds: FiniteFloat | None = None


class TrialFacts(Part):
    target: Count | None = None
    nontarget: Count | None = None
    source: Text = None
    sessions: Text = None  # within, across, mixed or unknown: of same-speaker trials; older runs do not say
    within_session: Count | None = None


class ModelCard(Part):
    family: Text = None


class Check(Part):
    name: str
    passed: bool
    value: float = float("nan")
    limit: float = float("nan")
    text: str = ""


class Manifest(Part):
    """`manifest.json`: what was asked, and what answered."""

    FORMAT: ClassVar[str] = "wrongkey-run/1"
    REMEDY: ClassVar[str] = "run the sweep again into another folder with --out"

    config: Config
    identity: dict[str, Any] = {}
    tables: Text = None
    started: Text = None
    ended: Text = None
    device: Text = None
    versions: dict[str, str] | None = None
    git: Text = None
    sessions: list[Session] | None = None
    batch: Batch | None = None
    corpus: CorpusFacts | None = None
    trials: TrialFacts | None = None
    classes: list[str] | None = None
    model_card: ModelCard | None = None
    self_checks: list[Check] | None = None
    cautions: list[str] = []
    tied_keys: list[Count] = []
    key_space: Count | None = None
    enumerated: bool | None = None
    keys_done: Count | None = None
    seconds: FiniteFloat | None = None


class Setting(Part):
    """What was attacked or analysed."""

    task: Text = None
    model: Text = None
    corpus: Text = None
    recordings: Text = None
    scheme: Text = None
    blocks: Text = None
    block_size: Count | None = None
    victims: Count | None = None
    others: Count | None = None


class AttackConfig(Part):
    trials: Count = 0


class AboutCase(Part):
    """A case that needs less than its attack does, by the words in the column `given`."""

    needs: list[str]


class AboutAttack(Part):
    """What an attack is. `asset`: "key", "use" or "identity"; `null`: it draws keys at random, the baseline."""

    family: Count | None = None
    adversary: str = ""
    needs: list[str] = []
    obstacle: Text = None
    wants_key: bool | None = None
    asset: Text = None
    null: bool = False
    cases: dict[str, AboutCase] = {}


class Suite(Part):
    """`attacks/suite.json`. `known`: all attacks that were installed, with their needs."""

    FORMAT: ClassVar[str] = "wrongkey-attacks/1"
    REMEDY: ClassVar[str] = "delete the folder that it lies in and run the attacks again"

    config: AttackConfig = AttackConfig()
    identity: dict[str, Any] = {}
    tables: Text = None
    setting: Setting = Setting()
    attacks: dict[str, AboutAttack] = {}
    known: dict[str, list[str]] = {}
    repeats: bool = False
    sessions: list[Session] = []
    ended: Text = None


class MeasuredEffect(Part):
    """A measured value of a case beside that of random keys (snr and stoi: of the same victims): medians of both.

    column: key_error, snr (dB), stoi or error (percent; of an EER min(e, 100 - e)). p: of the Mann-Whitney test that
    it is no better than all random keys, p_holm: corrected for all hypotheses of the run. material: whether the median
    is better by enough to weaken.
    """

    column: str
    median: float
    null_median: float
    material: bool
    p: float
    p_holm: float


class JudgedCase(Part):
    """An attack on one amount against one asset, and what a cell of the verdict rests on.

    hits: of `trials`, those that succeeded; `failed` more broke down by an exception and are none. null_hits: of
    `null_trials` random keys. share: hits of the trials, 0 to 1, with its Wilson interval. p: of Fisher's test of hits
    against random keys, p_holm: corrected for all hypotheses of the run; None where no keys are counted. effects: the
    values that may weaken a scheme where no key falls. ciphertext_seconds: that a victim had, cpu_seconds: of one
    trial. Medians over trials: snr in dB, stoi 0 to 1, error and wer in percent, key_error relative; None where not
    measured.
    """

    attack: str
    given: str
    asset: str
    verdict: str
    reason: str
    needs: list[str]
    hits: Count | None = None
    trials: Count
    failed: Count = 0
    null_hits: Count | None = None
    null_trials: Count | None = None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    ciphertext_seconds: float | None = None
    cpu_seconds: float | None = None
    key_error: float | None = None
    snr: float | None = None
    stoi: float | None = None
    error: float | None = None
    error_low: float | None = None
    error_high: float | None = None
    wer: float | None = None
    effects: list[MeasuredEffect] = []


class VerdictCell(Part):
    """One asset and one adversary. case: the attack that the verdict rests on; None where it rests on none."""

    asset: str
    adversary: str
    verdict: str
    sentence: str
    case: JudgedCase | None = None


class Verdicts(Part):
    """`attacks/verdicts.json`: what the rows of attacks mean, and by which limits (docs/threat-model.md).

    null_trials: random keys that everything is compared with.  alpha: share of runs of random keys that may be called
    broken.
    """

    FORMAT: ClassVar[str] = "wrongkey-verdicts/1"
    REMEDY: ClassVar[str] = "delete it: the same wrongkey attack command makes it again"

    label: str
    headline: str
    alpha: float
    limits: dict[str, float]
    null_trials: Count
    unfinished: bool
    cells: list[VerdictCell]
    cases: list[JudgedCase]


class Measure(Part):
    name: str
    label: str
    keyless: bool = False
    correlation: float | None = None
    low: float | None = None
    high: float | None = None


class Group(Part):
    error_from: float
    error_to: float
    q25: float
    median: float
    q75: float


class Groups(Part):
    low: Group
    high: Group
    nearer: float
    nearer_low: float
    nearer_high: float


class Foretold(Part):
    source: str = Field(alias="from")
    keys: Count
    rho: float
    low: float
    high: float
    r2: float
    hits: float


class Summary(Part):
    kind: str
    step: float | None
    keys: Count
    metric: str
    median: float
    min: float
    max: float


class Analysis(Part):
    """`analyses/NAME.json`."""

    FORMAT: ClassVar[str] = "wrongkey-analysis/1"
    REMEDY: ClassVar[str] = "delete it and run its analysis again"

    tables: dict[str, str] | None = None
    setting: Setting = Setting()
    metric: Text = None
    command: str | list[str] | None = None
    sentences: list[str] | None = None
    measures: list[Measure] | None = None
    groups: Groups | None = None
    prediction: list[Foretold] | None = None
    plain: float | None = None
    summary: list[Summary] | None = None


Schema = type[Manifest] | type[Suite] | type[Verdicts] | type[Analysis]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run folder. Raises BadInput for a folder that is none, and as `read_json`."""
    if not os.path.isdir(folder):
        raise BadInput(f"{folder} is not a folder: name a run folder that `wrongkey sweep --out` made")
    path = folder / "manifest.json"
    if not path.exists():
        raise BadInput(f"{folder} is not a run folder (it has no manifest.json): name one that a sweep made")
    return read_json(path, Manifest)


def read_json(path: Path, schema: Schema) -> dict[str, Any]:
    """A JSON file of a run folder, as it stands there, whose fields have the types of `schema`.

    Raises:
        BadInput: it cannot be read, is no JSON, larger than `MOST_BYTES`, nested deeper than `MOST_LEVELS`, names a
            field twice, is of another format, or a field has another type; the sentence names the file and the field.
    """
    try:
        found = json.loads(_text(path), object_pairs_hook=_each_name_once)
        if _levels(found) > MOST_LEVELS:
            raise RecursionError
    except BadInput:
        raise
    except RecursionError:
        raise _broken(path, schema, "it is nested too deep") from None
    except ValueError as error:
        raise _broken(path, schema, str(error)) from None
    if not isinstance(found, dict):
        raise _broken(path, schema, "it is no table")
    if "format" in found and found["format"] != schema.FORMAT:
        raise BadInput(
            f"{path} has the format {reprlib.repr(found['format'])} and this wrongkey reads {schema.FORMAT!r}: use the "
            f"wrongkey that made it, or {schema.REMEDY}"
        )
    try:
        schema.model_validate(found)
    except ValidationError as error:
        raise _broken(path, schema, _first(error)) from None
    if "format" not in found:
        raise _broken(path, schema, "it names no format")
    return found


def _text(path: Path) -> str:
    """The file as text, with or without a byte order mark. Raises BadInput, and ValueError where it is not UTF-8."""
    if not path.is_file():
        raise BadInput(f"{path} is not a file: move it away")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}): check its permissions") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
    return content.decode("utf-8-sig")


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"it names {reprlib.repr(twice)} twice")
    return table


def _levels(value: Any) -> int:
    """How deep lists and tables lie in each other; stops counting where it is too deep."""
    levels, inside = 0, [value]
    while inside and levels <= MOST_LEVELS:
        levels += 1
        inside = [
            part
            for outer in inside
            if isinstance(outer, dict | list)
            for part in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return levels


def _broken(path: Path, schema: Schema, reason: str) -> BadInput:
    return BadInput(f"{path} is broken ({reason}): {schema.REMEDY}")


def _first(error: ValidationError) -> str:
    """ "config.keys is 'many', which is no valid integer"."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"it has no {field}"
    wanted = first["msg"].removeprefix("Input ")
    return f"{field} is {reprlib.repr(first['input'])} and {wanted}"
