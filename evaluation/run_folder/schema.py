"""What the JSON files of a run folder hold: one schema for every reader. Imports no torch.

The files may come from strangers, from a failed disk or from an editor: every field that a reader uses has the expected
type, and anything else is one sentence. Fields that no reader uses may hold anything.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import MOST_NONTARGETS, MOST_REPLICATES, MOST_ROWS
from wrongkey.files import explained_errors

MOST_BYTES = 2**24  # of a file; a run's own has about ten thousand
MOST_LEVELS = 64  # of nested lists and tables

Count = Annotated[int, Field(ge=0, lt=2**53)]
Positive = Annotated[int, Field(ge=1, lt=2**53)]
Replicates = Annotated[int, Field(ge=0, le=MOST_REPLICATES)]
Text = str | None


class Part(BaseModel):
    """A JSON object whose named fields have these types, without conversion: a number is never text or true."""

    # built when first needed: a command reads few of them, and all together take 0.1 s
    model_config = ConfigDict(strict=True, extra="ignore", protected_namespaces=(), defer_build=True)


class Config(Part):
    """The settings of a sweep (`wrongkey.evaluation.config.SweepConfig`), and what they resolved to."""

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
    size: Positive | None = None
    dims: Positive | None = None
    bins: Count | None = None
    keys: Positive | None = None
    right: Count = 0
    seed: Count = 0
    variant: Text = None
    metric: Text = None
    trials: Text = None
    same_gender: bool = False
    nontargets: Annotated[int, Field(ge=1, le=MOST_NONTARGETS)] = 1
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
    """One of the commands that made a run."""

    started: Text = None
    device: Text = None
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] | None = None  # of a pass, as `Batch.rows` on this device
    rows_because: Text = None  # how that number was chosen
    processor: Text = None
    threads: Positive | None = None  # of each process
    versions: dict[str, str] | None = None
    git: Text = None
    command: str | list[str] | None = None
    workers: Positive | None = None
    workers_because: Text = None  # how that number was chosen
    seconds: list[FiniteFloat] | None = None  # (attacks) of ciphertext; empty for the attacks' own amounts


class Batch(Part):
    """How many queries went through the model at a time."""

    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    least_rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] | None = None  # where memory ran out with more


class CorpusFacts(Part):
    """The speech that was used."""

    name: Text = None
    recordings: Text = None
    speakers: Count | None = None
    utterances: Count | None = None
    words: Count | None = None
    classes: Count | None = None
    seconds: FiniteFloat | None = None


class TrialFacts(Part):
    """The verification trials, by number."""

    target: Count | None = None
    nontarget: Count | None = None
    source: Text = None
    sessions: Text = None  # of same-speaker trials: within, across, mixed or unknown; older runs do not say
    within_session: Count | None = None


class ModelCard(Part):
    """What the model says about itself."""

    family: Text = None


class Check(Part):
    """A self-check (`wrongkey.evaluation.run_folder.vocabulary.SelfCheck`)."""

    name: str
    passed: bool
    value: float = float("nan")
    limit: float = float("nan")
    text: str = ""


class FailedKey(Part):
    """An incorrect key that has no score, and why."""

    key: Count
    reason: str


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
    front_end: Text = None  # of the model: waveform or own (`wrongkey.evaluation.front_end`); older runs do not say
    sample_rate: Positive | None = None
    model_card: ModelCard | None = None
    self_checks: list[Check] | None = None
    cautions: list[str] = []
    tied_keys: list[Count] = []
    failed_keys: list[FailedKey] = []
    late_shards: Count = 0
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
    front_end: Text = None  # as in `Manifest`
    rate: FiniteFloat | None = None  # samples or frames of a query per second
    victims: Count | None = None
    others: Count | None = None


class AttackConfig(Part):
    """The settings of the attacks that readers use."""

    trials: Count = 0


class AboutCase(Part):
    """A case that needs less than its attack does, by the words in the column `given`."""

    needs: list[str]


class AboutAttack(Part):
    """What an attack is.

    `claims`: "key" or "use", what a claim of success says; `asset`: "key", "use" or "identity"; `null`: the baseline,
    which draws keys at random.
    """

    family: Count | None = None
    adversary: str = ""
    needs: list[str] = []
    settings: dict[str, Any] = {}
    obstacle: Text = None
    wants_key: bool | None = None
    claims: Text = None
    asset: Text = None
    null: bool = False
    cases: dict[str, AboutCase] = {}


class FailedTrial(Part):
    """A trial that has no row, and why; `given` is its case, as in the column of that name."""

    attack: str
    given: str
    trial: Count
    reason: str


class Suite(Part):
    """`attacks/suite.json`. `known`: all installed attacks, with their needs."""

    FORMAT: ClassVar[str] = "wrongkey-attacks/1"
    REMEDY: ClassVar[str] = "delete the folder that it lies in and run the attacks again"

    config: AttackConfig = AttackConfig()
    identity: dict[str, Any] = {}
    tables: Text = None
    setting: Setting = Setting()
    attacks: dict[str, AboutAttack] = {}
    known: dict[str, list[str]] = {}
    failed_trials: list[FailedTrial] = []
    late_trials: Count = 0
    repeats: bool = False
    sessions: list[Session] = []
    ended: Text = None


class MeasuredEffect(Part):
    """A measured value of a case beside that of random keys: medians of both.

    SNR and STOI are compared with random keys of the same victims.

    Attributes
    ----------
    column : str
        `key_error`, `snr` (dB), `stoi` or `error` (percent; of an EER min(e, 100 - e)).
    median, null_median : float
        Of the attack and of the random keys.
    material : bool
        Whether the median is better by enough to weaken the scheme.
    p : float
        Of the Mann-Whitney test that the attack is no better than all random keys.
    p_holm : float
        The same, corrected for all hypotheses of the run.
    """

    column: str
    median: float
    null_median: float
    material: bool
    p: float
    p_holm: float


class JudgedCase(Part):
    """One case of an attack against one asset, and what a cell of the verdict rests on.

    Attributes
    ----------
    hits, trials, failed : int
        Trials that succeeded, that count, and that an exception ended, which do not count.
    null_hits, null_trials : int
        The same of random keys.
    share, share_low, share_high : float
        Hits per trial, 0 to 1, with their Wilson interval.
    p, p_holm : float or None
        Of Fisher's test of hits against random keys, and corrected for all hypotheses of the run; None if no keys are
        counted.
    ciphertext_seconds, cpu_seconds : float or None
        Ciphertext of a victim, and processor time of a trial.
    key_error, snr, stoi, error, error_low, error_high, wer : float or None
        Medians over trials: relative, in dB, 0 to 1, and in percent; None if not measured.
    effects : list of MeasuredEffect
        Values that may weaken a scheme of which no key is recovered.
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
    """One asset and one adversary. `case`: what the verdict rests on; None if it rests on no attack."""

    asset: str
    adversary: str
    verdict: str
    sentence: str
    case: JudgedCase | None = None


class Verdicts(Part):
    """`attacks/verdicts.json`: what the rows of attacks mean, and by which limits (docs/threat-model.md).

    Attributes
    ----------
    alpha : float
        The largest probability that a run of random keys is called broken or weakened.
    null_trials : int
        Random keys that all attacks are compared with.
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
    """A measure of keys, and its correlation with the error under them."""

    name: str
    label: str
    keyless: bool = False
    correlation: float | None = None
    low: float | None = None
    high: float | None = None


class Group(Part):
    """Keys of low or of high error, and the quartiles of their distance to the correct key."""

    error_from: float
    error_to: float
    q25: float
    median: float
    q75: float


class Groups(Part):
    """Low-error keys beside high-error keys. `nearer`: how often the former are nearer to the correct key, percent."""

    low: Group
    high: Group
    nearer: float
    nearer_low: float
    nearer_high: float


class Prediction(Part):
    """How well a regression on measures of keys predicts the error under new keys."""

    source: str = Field(alias="from")
    keys: Count
    rho: float
    low: float
    high: float
    r2: float
    hits: float


class Summary(Part):
    """The scores of keys at one distance from the correct key."""

    kind: str
    step: float | None
    keys: Count
    metric: str
    median: float
    min: float
    max: float


class Analysis(Part):
    """`analyses/NAME.json`. `run`: digest of the identity of the sweep that it lies beside, if there was one."""

    FORMAT: ClassVar[str] = "wrongkey-analysis/1"
    REMEDY: ClassVar[str] = "delete it and run its analysis again"

    run: Text = None
    tables: dict[str, str] | None = None
    setting: Setting = Setting()
    metric: Text = None
    command: str | list[str] | None = None
    sentences: list[str] | None = None
    measures: list[Measure] | None = None
    groups: Groups | None = None
    prediction: list[Prediction] | None = None
    plain: float | None = None
    summary: list[Summary] | None = None


class KeptClip(Part):
    """A clip: a file in `media/`, of a waveform in Ogg Opus, of a spectrogram in NumPy's format.

    Attributes
    ----------
    role : str
        What is heard.
    file : str
        Its name, which leads into no other folder.
    snr : float or None
        In dB beside the original, before Opus; None of the original.
    key_index : int or None
        The incorrect key's number in its sweep.
    """

    role: Literal["original", "encrypted", "wrong key", "best wrong key", "after the attack"]
    file: Annotated[str, Field(pattern=r"^\w[\w.-]{0,200}\.(opus|npy)$")]
    snr: FiniteFloat | None = None
    key_index: Count | None = None


class KeptClips(Part):
    """The clips of one utterance: of the sweep, or of one attack.

    Attributes
    ----------
    attack, given : str
        The attack and its case; empty for the sweep.
    voice : str
        The utterance, or of an attack the victim.
    recordings : str
        "real", "synthetic" or "unknown".
    model : str
        Empty where only speech was attacked.
    front_end : bool
        Whether the model's front end changed the waveform before it was encrypted.
    keyed : bool
        Whether the model carries a key; otherwise nothing is decrypted, and wrong keys are those that encrypted.
    keys : int or None
        Incorrect keys among which the best was chosen.
    seconds : float
        Length of each clip.
    """

    attack: str
    given: str
    voice: str
    corpus: str
    recordings: str
    model: str
    scheme: str
    blocks: str
    block_size: Positive
    front_end: bool
    keyed: bool
    keys: Count | None = None
    seconds: FiniteFloat
    clips: list[KeptClip]


class Clips(Part):
    """`media/clips.json`: which clips a run keeps."""

    FORMAT: ClassVar[str] = "wrongkey-clips/1"
    REMEDY: ClassVar[str] = "delete it and run the same command again"

    rows: list[KeptClips]


Schema = type[Manifest] | type[Suite] | type[Verdicts] | type[Analysis] | type[Clips]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run folder.

    Raises
    ------
    BadInput
        For a folder that is not a run folder, and as `read_json`.
    """
    if not os.path.isdir(folder):
        raise BadInput(f"{folder} is not a folder: name a run folder that `wrongkey sweep --out` made.")
    path = folder / "manifest.json"
    if not path.exists():
        raise BadInput(f"{folder} is not a run folder (it has no manifest.json): name one that a sweep made.")
    return read_json(path, Manifest)


def read_json(path: Path, schema: Schema) -> dict[str, Any]:
    """Read a JSON file of a run folder and check it against its schema.

    Parameters
    ----------
    path
        The file.
    schema
        The types of its fields.

    Returns
    -------
    dict
        The content as it is in the file.

    Raises
    ------
    BadInput
        If the file cannot be read, is not JSON, is larger than `MOST_BYTES`, nested deeper than `MOST_LEVELS`, names a
        field twice, has another format, or a field has another type; the sentence names the file and the field.
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
        raise _broken(path, schema, "it is not a JSON object")
    if "format" in found and found["format"] != schema.FORMAT:
        raise BadInput(
            f"{path} has the format {reprlib.repr(found['format'])} and this wrongkey reads {schema.FORMAT!r}: use the "
            f"wrongkey that made it, or {schema.REMEDY}."
        )
    try:
        schema.model_validate(found)
    except ValidationError as error:
        raise _broken(path, schema, first_fault(error)) from None
    if "format" not in found:
        raise _broken(path, schema, "it names no format")
    return found


def _text(path: Path) -> str:
    """Read the file as text, with or without a byte order mark; ValueError if it is not UTF-8 or too large."""
    if not path.is_file():
        raise BadInput(f"{path} is not a file: move it away.")
    with explained_errors(path, "check its permissions", action="read"), path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
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
    """Count how deep lists and tables are nested, up to one level too many."""
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
    return BadInput(f"{path} is broken ({reason}): {schema.REMEDY}.")


def first_fault(error: ValidationError) -> str:
    """Describe the first error, as "it has no seed" or "config.keys is 'many' and should be a valid integer"."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"it has no {field}"
    if first["type"] == "extra_forbidden":
        return f"it has {field}, which is no setting"
    wanted = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{field} is {reprlib.repr(first['input'])} and {wanted}"
