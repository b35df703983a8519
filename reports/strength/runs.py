"""Strength read from run folders: one measurement for a key scheme, block size and model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wrongkey.evaluation.run_folder.folder import find_files
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.strength import FILE, Estimate, Strength, read_strength
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import place_of_scheme, scheme_label
from wrongkey.printable import printable
from wrongkey.reports.metrics import METRICS, Metric
from wrongkey.reports.runs import TASKS, VARIANT_WORDS, place_in, told_apart
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE

NAMES = ("task", "model", "corpus", "scheme", "blocks", "variant", "metric")  # untrusted texts


@dataclass(frozen=True, eq=False)
class StrengthRun:
    """The strength that one run folder keeps.

    Parameters
    ----------
    folder : Path
        Where it lies.
    found : Strength
        The content of `strength/strength.json`, with printable names and its estimates by distance.
    manifest : dict
        The content of `manifest.json`; empty where there is none.
    label : str
        Such as "asv-raw10, ROM, M = 10".
    """

    folder: Path
    found: Strength
    manifest: dict[str, Any]
    label: str

    @property
    def name(self) -> str:
        """The folder's own name."""
        return printable(self.folder.resolve().name)

    @property
    def scheme_name(self) -> str:
        """The key scheme as people write it, such as "ROM"."""
        return scheme_label(self.found.scheme)

    @property
    def recordings(self) -> str:
        """What the corpus is made of: "real", "synthetic" or "unknown"."""
        return printable(self.found.recordings or "unknown")

    @property
    def metric(self) -> Metric:
        """What keys are scored by; one that the report does not know is taken for an error rate in percent."""
        name = self.found.metric
        return METRICS.get(name) or Metric(name, name, "%", True, 2, (1.0, 2.0, 5.0))

    @property
    def nearest(self) -> Estimate | None:
        """The estimate for the smallest distance that has bits."""
        return next((one for one in self.found.estimates if one.bits is not None), None)

    @property
    def cautions(self) -> list[str]:
        """Sentences that a reader must know beside the numbers."""
        running = ["The measurement has not ended: the same wrongkey strength command goes on."]
        checks = [check for check in self.manifest.get("self_checks") or [] if not check["passed"]]
        failed = [f"{check.get('text') or check['name']} FAILED: do not trust this run." for check in checks]
        doubt = [] if self.recordings == "real" else [EVIDENCE.get(self.recordings, UNKNOWN_EVIDENCE)]
        return [*failed, *(running if self.found.state == "running" else []), *doubt]


def load_strength(folder: Path) -> StrengthRun | None:
    """The strength that a run folder keeps; None where it keeps none.

    Raises
    ------
    BadInput
        If its file or its manifest is broken.
    """
    found = read_strength(folder)
    if found is None:
        return None
    found = found.model_copy(update={name: printable(getattr(found, name)) for name in NAMES})
    manifest = read_manifest(folder) if (folder / "manifest.json").exists() else {}
    return StrengthRun(folder, found, manifest, _label(found))


def find_strength(paths: Iterable[Path]) -> list[StrengthRun]:
    """Find the strength of every key that was measured in and below some folders.

    Parameters
    ----------
    paths : iterable of Path
        Run folders, or folders that hold some.

    Returns
    -------
    list of StrengthRun
        Each once, by task, scheme, block size and model.

    Raises
    ------
    BadInput
        If a file is broken.

    Examples
    --------
    >>> find_strength([Path("no-such-folder")])
    []
    """
    files = (file for path in paths for file in find_files(path, Path(FILE).name))
    places = {file.parent.parent.resolve(): file.parent.parent for file in files if file.parent.name == "strength"}
    return ordered([run for place in places.values() if (run := load_strength(place))])


def ordered(runs: Sequence[StrengthRun]) -> list[StrengthRun]:
    """By task, scheme, block size and model, with labels that tell them apart."""
    runs = sorted(runs, key=lambda run: (_place(run.found), str(run.folder)))
    labels = told_apart(
        [_label(run.found) for run in runs], [run.found.corpus for run in runs], [run.name for run in runs]
    )
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]


def strength_alone(folder: Path) -> bool:
    """Whether a folder keeps the strength of a key, and no score of an incorrect key: it is no sweep."""
    return (folder / FILE).exists() and not any((folder / "scores").glob("incorrect-*"))


def _place(found: Strength) -> tuple[Any, ...]:
    return place_in(TASKS, found.task), place_of_scheme(found.scheme), found.block_size, found.model


def _label(found: Strength) -> str:
    of = "" if found.blocks == Blocks.SAMPLES else f" ({found.blocks})"
    variant = VARIANT_WORDS.get(found.variant, f"variant {found.variant}")
    parts = (found.model, scheme_label(found.scheme), f"M = {found.block_size}{of}", variant)
    return ", ".join(filter(None, parts))
