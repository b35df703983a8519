"""The run folder: all that passes from computing to reporting (docs/design.md).

Every file is written under a temporary name and renamed, so that a killed run leaves complete files only, and every
table says what it is (`wrongkey.evaluation.run_folder.tables`). A folder belongs to one experiment: another model,
corpus, scheme or seed is refused with a sentence that says what differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.compaction import FEW, MANY, compact, keep_sound, shard_files
from wrongkey.evaluation.run_folder.groups import ShardMark
from wrongkey.evaluation.run_folder.key_ranges import KeyRanges
from wrongkey.evaluation.run_folder.sameness import same
from wrongkey.evaluation.run_folder.schema import Manifest, read_json
from wrongkey.evaluation.run_folder.score_rows import SCORE_COLUMNS, TEXTS, storable
from wrongkey.evaluation.run_folder.scores import Part, score_parts
from wrongkey.evaluation.run_folder.scores import shard_name as shard_name
from wrongkey.evaluation.run_folder.tables import (
    FORMAT as TABLES,
)
from wrongkey.evaluation.run_folder.tables import (
    Damaged,
    Kind,
    Sealed,
    identity_digest,
    key_range,
    read_seal,
    read_table,
    set_aside,
    table_files,
    write_table,
)
from wrongkey.files import atomic_write, explained_errors, is_part
from wrongkey.printable import brief, facts_html

FORMAT = Manifest.FORMAT
# What a run that was stopped before its manifest may have left, and what attacks keep beside it.
OWN = ("scores", "outputs", "trials.txt", "enrolment.txt", "attacks", "analyses", "media", "strength")
LOCK = ".wrongkey.lock"


class RunFolder:
    """One sweep's results on disk.

    Parameters
    ----------
    path
        The folder, which need not exist; `~` at its head is the user's home.

    Attributes
    ----------
    damaged : list of str
        A sentence for each damaged table that `claim` set aside.
    claimed : KeyRanges
        The incorrect keys that `claim` found, without reading their shards again.

    Raises
    ------
    BadInput
        For an empty path, which is more often a variable that was not set than the working directory.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = RunFolder(f"{place}/run")
    ...     folder.claim({"scheme": "rom"})
    ...     folder.missing(10, shard_size=4)
    [(0, 4), (4, 8), (8, 10)]
    """

    def __init__(self, path: Path | str) -> None:
        if not str(path).strip() or "\0" in str(path):
            raise BadInput("--out names no folder: give one for the results, or `.` for this one.")
        self.path = Path(path).expanduser()
        self.damaged: list[str] = []
        self.claimed = KeyRanges()
        self._small = 0  # shards in files of their own
        self._manifest: Mapping[str, Any] | None = None  # of the run that claimed the folder

    def __repr__(self) -> str:
        return f"{type(self).__name__}({brief(self.path, 120)!r})"

    def _repr_html_(self) -> str:
        found = self.manifest() or {}
        names = ("task", "model", "corpus", "scheme", "block", "keys")
        facts = {name: found.get("config", {}).get(name) for name in names}
        return facts_html(self.path.name, {**facts, "keys done": found.get("keys_done")})

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies, or will lie."""
        return self.path / "manifest.json"

    def manifest(self) -> dict[str, Any] | None:
        """Read what the folder says about itself; None if there is no manifest yet.

        Raises
        ------
        BadInput
            If the manifest is broken.
        """
        return read_json(self.manifest_path, Manifest) if os.path.lexists(self.manifest_path) else None

    def digest(self) -> str | None:
        """Return the digest of the run's identity, by which its files know it; None for a folder without a sweep.

        Raises
        ------
        BadInput
            If the manifest is broken.
        """
        identity = (self.manifest() or {}).get("identity")
        return identity_digest(identity) if identity else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process alone; the lock ends with the process, however that ends.

        The lock file lies in the folder, so that every spelling of its path meets the same one.

        Raises
        ------
        BadInput
            While another process writes here, and on a disk that cannot lock files.
        """
        new = not os.path.lexists(self.path)
        self.make("")
        lock = FileLock(self.path / LOCK, timeout=0)
        with self._writing():
            try:
                lock.acquire()
            except Timeout:
                raise BadInput(
                    f"{self.path} is being written by another wrongkey: wait, or choose another --out."
                ) from None
            except NotImplementedError:
                raise BadInput(f"{self.path} is on a disk that cannot lock files: choose another --out.") from None
        try:
            self._clear()
            yield
        finally:
            with suppress(OSError):
                (self.path / LOCK).unlink()  # while it is held: a process that opened it meanwhile sees that it is gone
            lock.release()
            if new:
                with suppress(OSError):  # it usually holds something and stays
                    self.path.rmdir()

    def tidy(self) -> None:
        """Remove what a killed command has left, where nobody is writing and the disk allows it."""
        if os.path.lexists(self.path / LOCK):
            with suppress(BadInput), self.locked():
                pass

    def claim(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Make the folder, or check that it holds this experiment.

        Damaged tables are set aside and named in `damaged`: their keys are missing again. A manifest without scores,
        which a command leaves that failed early, claims nothing.

        Parameters
        ----------
        identity
            What the scores depend on, as the manifest keeps it.

        Returns
        -------
        dict or None
            The manifest that was there; None for a new run.

        Raises
        ------
        BadInput
            For a folder of another experiment, with foreign files, or that cannot be written.
        """
        found = self.continued(identity)
        self.make("scores")
        self._manifest = found or {"identity": json.loads(json.dumps(identity)), "tables": TABLES}
        if found is not None:
            self._mend()
        return found

    def continued(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the manifest of the run that this experiment continues, None for a new run; nothing is written.

        Parameters
        ----------
        identity
            What the scores depend on, or what is known of it.

        Raises
        ------
        BadInput
            For a folder of another experiment, or with foreign files.
        """
        found = self.manifest()
        if found is None:
            if self._foreign():
                raise BadInput(f"{self.path} holds files but no manifest: choose an empty or new folder with --out.")
            return None
        before = found.get("identity", {})
        differing = [name for name in identity if not same(before.get(name), identity[name])]
        if differing and table_files(self.path / "scores"):
            names = ", ".join(_difference(name, before.get(name), identity[name]) for name in differing)
            raise BadInput(f"{self.path} was made with another {names}: choose another --out.")
        return None if differing else found

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write `manifest.json`; format names are added."""
        self._manifest = {"format": FORMAT, "tables": TABLES, **manifest}
        self.write_json("manifest.json", self._manifest)

    def write_scores(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows of scores, under the names that model and corpus had when the run began."""
        config = (self._manifest or {}).get("config", {})
        names = {column: storable(config[column]) for column in ("model", "corpus") if config.get(column)}
        table = pd.DataFrame([{**row, **names} for row in rows], columns=SCORE_COLUMNS)
        self._write_table("scores", name, table)
        self._small += 1

    def compact(self, *, ended: bool = False) -> None:
        """Merge small score files where there are many of them (`wrongkey.evaluation.run_folder.compaction`).

        A run that keeps outputs stays as it is: each of its shards has a large file of them beside it.

        Parameters
        ----------
        ended
            Whether the sweep has ended: fewer files are many then.

        Raises
        ------
        BadInput
            If the disk refuses; nothing is lost then.
        """
        if self._small < (FEW if ended else MANY) or any((self.path / "outputs").glob("incorrect-*")):
            return
        with self._writing():
            compact(self.path, self._manifest or self.manifest() or {})
        self._small = 0

    def write_outputs(self, name: str, table: pd.DataFrame) -> None:
        """Write raw scores or hypotheses (`--keep-outputs`)."""
        self.make("outputs")
        self._write_table("outputs", name, table)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file; bytes of file names that are not text are written as they were."""
        with self._writing(), atomic_write(self.path / name) as file:
            file.write(text.encode("utf-8", "surrogateescape"))

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file; a byte of a file name that is not text becomes an escape, and is read back as it was."""
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        with self._writing(), atomic_write(self.path / name) as file:
            file.write(text.encode("utf-8", "backslashreplace"))

    def make(self, name: str) -> None:
        """Make a folder in this one, or with an empty name this one itself; BadInput if that is impossible."""
        with self._writing():
            if self.path.exists() and not self.path.is_dir():
                raise BadInput(f"{self.path} is a file: name a folder for the results with --out.")
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def keys_done(self) -> KeyRanges:
        """Return the indices of the incorrect keys whose shards are sound."""
        return KeyRanges(self.shards())

    def keys_named(self) -> KeyRanges:
        """Return the indices of the incorrect keys that the score files claim to hold, of which nothing is read."""
        found = KeyRanges()
        for path in shard_files(self.path):
            with suppress(Damaged):
                seal = read_seal(path)
                groups = seal.groups if seal is not None else ()
                named = [shard[:2] for group in groups for shard in group.shards]
                for start, stop in named or [key_range(path.stem) or (0, 0)]:
                    found.add(start, stop)
        return found

    def shards(self) -> list[tuple[int, int]]:
        """List the sound shards of the folder as ranges `[start, stop)` of keys, in order, as they were computed."""
        parts = score_parts(self.path, self._manifest or self.manifest())
        return sorted((start, stop) for part in parts if part.table is not None for start, stop, _ in part.shards)

    def missing(self, total: int, shard_size: int, done: KeyRanges | None = None) -> list[tuple[int, int]]:
        """List the shards of keys that are still to be done.

        Parameters
        ----------
        total
            How many incorrect keys the run has.
        shard_size
            The most keys of a shard.
        done
            What `keys_done` returned, if the caller has it already: it reads every shard.

        Returns
        -------
        list of tuple
            Ranges `[start, stop)` of keys, in order.
        """
        done = self.keys_done() if done is None else done
        return [
            (first, min(first + shard_size, stop))
            for start, stop in done.gaps(total)
            for first in range(start, stop, shard_size)
        ]

    def _foreign(self) -> bool:
        """Whether the folder holds what no run without a manifest holds."""
        if not os.path.isdir(self.path):
            return False
        return any(entry.name not in OWN for entry in self.path.glob("[!.]*")) or any(
            self.path.glob("scores/incorrect-*")
        )

    def _clear(self) -> None:
        """Remove what a killed command was writing; whoever holds the lock is the only one who writes here."""
        places = [self.path.iterdir(), *((self.path / name).rglob(".*") for name in OWN)]
        for path in filter(is_part, chain.from_iterable(places)):
            with suppress(OSError):
                path.unlink()

    def _mend(self) -> None:
        """Set aside every table that is damaged or repeats keys of another, and seal those of an older wrongkey.

        A shard is set aside together with its outputs.
        """
        assert self._manifest is not None
        kept = bool(self._manifest.get("config", {}).get("keep_outputs")) and (self.path / "outputs").is_dir()
        broken: list[tuple[Path, Damaged, set[tuple[ShardMark, ...]]]] = []
        whole, spare = {"conditions"}, []
        self.claimed, self._small = KeyRanges(), 0
        for path, parts in groupby(score_parts(self.path, self._manifest), key=lambda part: part.path):
            if path.stem != "conditions" and key_range(path.stem) is None:
                broken.append((path, Damaged("its name does not give its keys"), set()))
                continue
            found = list(map(self._adopted, parts))
            if found[0].spare:
                spare.append(path)
                continue
            fault = next((part.fault for part in found if part.fault is not None), None)
            sound = {part.shards for part in found if part.fault is None and part.shards}
            if kept and fault is None and sound:
                fault = self._fault_of_outputs(path, sound)
                sound = sound if fault is None else set()
            if fault is None:
                whole.add(path.stem)
                self._small += not (found[0].seal is not None and found[0].seal.groups)
            else:
                broken.append((path, fault, sound))
            for start, stop, _ in (shard for shards in sound for shard in shards):
                self.claimed.add(start, stop)
        with self._writing():
            for path in spare:
                path.unlink()
            self._set_aside(broken)
            self._mend_conditions_of_outputs()
            for path in table_files(self.path / "outputs") if kept else ():
                if path.stem not in whole:  # its shard was set aside, or its scores were never written
                    set_aside(path)

    def _adopted(self, part: Part) -> Part:
        """Seal the rows of an older wrongkey, and let go of them."""
        if part.table is not None and part.seal is None:
            texts = [part.table[name].cast(pa.large_string()) if name in TEXTS else part.table[name]
                     for name in part.table.column_names]  # fmt: skip
            table = pa.table(texts, names=part.table.column_names).to_pandas()
            self._write_table("scores", part.path.stem, table, adopted=True)
        return part._replace(table=None)

    def _set_aside(self, broken: Sequence[tuple[Path, Damaged, set[tuple[ShardMark, ...]]]]) -> None:
        """Give damaged score files other names; sound groups of compacted ones are written anew, and last of all.

        What is written may get a name that a damaged file had.
        """
        for path, reason, sound in broken:
            if sound:
                self.damaged.append(f"{path} is damaged in part ({reason}): the keys of that part are made again.")
            else:
                set_aside(path)
                self.damaged.append(f"{path} is damaged ({reason}): it is set aside and made again.")
        if partly := {path: sound for path, _, sound in broken if sound}:
            assert self._manifest is not None
            keep_sound(partly, identity_digest(self._manifest["identity"]))

    def _fault_of_outputs(self, path: Path, sound: set[tuple[ShardMark, ...]]) -> Damaged | None:
        """Why the outputs beside a score file cannot be used, if so; those of an older wrongkey are sealed."""
        keys = [range(start, stop) for shards in sound for start, stop, _ in shards]
        try:
            outputs = self._outputs(path.name, range(keys[0].start, keys[-1].stop))
        except Damaged as error:
            return Damaged(f"its outputs: {error}")
        self._adopt("outputs", path.stem, outputs)
        return None

    def _mend_conditions_of_outputs(self) -> None:
        """Seal or set aside the outputs of the conditions without a key, which every sweep writes anew."""
        path = self.path / "outputs" / "conditions.parquet"
        if path.exists():
            try:
                self._adopt("outputs", path.stem, self._outputs(path.name, range(-1, 0)))
            except Damaged as error:
                set_aside(path)
                self.damaged.append(f"{path} is damaged ({error}): it is set aside and made again.")

    def _adopt(self, kind: Kind, name: str, read: Sealed) -> None:
        if read.seal is None:
            self._write_table(kind, name, read.table, adopted=True)

    def _outputs(self, name: str, keys: range) -> Sealed:
        """Read the answers kept for some keys; Damaged if they are incomplete."""
        assert self._manifest is not None
        run, sealed = identity_digest(self._manifest["identity"]), bool(self._manifest.get("tables"))
        read = read_table(self.path / "outputs" / name, run, "outputs", sealed=sealed)
        found = read.table.get("key_index", pd.Series(dtype=np.int64))
        if not np.array_equal(found.unique(), np.array(keys)):
            raise Damaged("they belong to other keys")
        return read

    def _write_table(self, kind: Kind, name: str, table: pd.DataFrame, adopted: bool = False) -> None:
        run = identity_digest((self._manifest or self.manifest() or {}).get("identity", {}))
        with self._writing():
            write_table(self.path / kind / f"{name}.parquet", table, run, kind, adopted=adopted)

    def _writing(self) -> AbstractContextManager[None]:
        """Explain an error of the disk in one sentence; around everything that writes."""
        return explained_errors(self.path, "free space or choose another --out; what is already there stays")


def find_runs(folder: Path) -> list[Path]:
    """List the run folders in and below `folder`, sorted by name."""
    return [path.parent for path in find_files(folder, "manifest.json")]


def find_files(folder: Path, name: str) -> list[Path]:
    """List files of this name in and below `folder`, sorted; links to folders are followed, each folder once."""
    found, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if name in files or name in folders:
            found.append(Path(place) / name)
    return sorted(found)


def _difference(name: str, before: Any, now: Any) -> str:
    """Say what differs: 'seed (0 there, 1 now)'; of hashes only the name."""
    hashed = isinstance(now, str) and len(now) == 64
    return name if hashed else f"{name} ({before} there, {now} now)"
