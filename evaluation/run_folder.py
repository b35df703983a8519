"""The run folder: the only thing that passes between computing and looking (design, section 3).

Every file is written under a temporary name and renamed, so that a killed run leaves whole files only. A folder
belongs to one experiment: another model, corpus, scheme or seed is refused with a sentence that says what differs.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from keys.errors import BadInput

FORMAT = "wrongkey-run/1"
# what a run that was stopped before its manifest may have left, and what attacks keep beside it
OWN = ("scores", "outputs", "trials.txt", "enrolment.txt", "attacks", "analyses", "media")
SHARD = re.compile(r"incorrect-(\d+)-(\d+)\.parquet")

SCORE_COLUMNS = [
    "task", "model", "corpus", "scheme", "block_size", "dims", "condition",
    "key_seed", "key_index", "metric", "value", "ci_low", "ci_high", "n",
]  # fmt: skip


class RunFolder:
    """One sweep's results on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def manifest_path(self) -> Path:
        return self.path / "manifest.json"

    def manifest(self) -> dict[str, Any] | None:
        """What the folder says of itself; None where there is no manifest yet."""
        try:
            text = self.manifest_path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise BadInput(f"{self.manifest_path} cannot be read ({error.strerror})") from error
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            raise BadInput(f"{self.manifest_path} is not JSON any more: choose another folder with --out") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BadInput(f"{self.manifest_path} is not of the format {FORMAT}: choose another --out")
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time: raises BadInput while another one writes here. Ends with the process, however."""
        self._attempt(lambda: self.path.parent.mkdir(parents=True, exist_ok=True))
        lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)

        def acquire() -> None:
            try:
                lock.acquire()
            except Timeout:
                raise BadInput(
                    f"{self.path} is being written by another wrongkey: wait, or choose another --out"
                ) from None

        self._attempt(acquire)
        try:
            yield
        finally:
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)

    def claim(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Make the folder, or check that it holds this very experiment and return its manifest.

        Raises BadInput for a folder of another experiment, a folder with foreign files, or one that cannot be
        written.
        """
        found = self.manifest()
        if found is None:
            foreign = self.path.is_dir() and any(entry.name not in OWN for entry in self.path.glob("[!.]*"))
            if foreign or any(self.path.glob("scores/incorrect-*")):
                raise BadInput(f"{self.path} holds files but no manifest: choose an empty or new folder with --out")
            self._attempt(lambda: self.path.mkdir(parents=True, exist_ok=True))
        else:
            differing = [name for name in identity if not same(found["identity"].get(name), identity[name])]
            if differing:
                names = ", ".join(_difference(name, found["identity"].get(name), identity[name]) for name in differing)
                raise BadInput(f"{self.path} was made with another {names}: choose another --out")
        self._attempt(lambda: (self.path / "scores").mkdir(exist_ok=True))
        return found

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, **manifest}, indent=2, ensure_ascii=False) + "\n"
        self._write(self.manifest_path, lambda part: part.write_text(text, encoding="utf-8"))

    def write_scores(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        table = pd.DataFrame(list(rows), columns=SCORE_COLUMNS)
        self._write(self.path / "scores" / f"{name}.parquet", lambda part: table.to_parquet(part, index=False))

    def write_outputs(self, name: str, table: pd.DataFrame) -> None:
        """Raw scores or hypotheses (``--keep-outputs``)."""
        self._attempt(lambda: (self.path / "outputs").mkdir(exist_ok=True))
        self._write(self.path / "outputs" / f"{name}.parquet", lambda part: table.to_parquet(part, index=False))

    def write_text(self, name: str, text: str) -> None:
        self._write(self.path / name, lambda part: part.write_text(text, encoding="utf-8"))

    def keys_done(self) -> set[int]:
        """Indices of the incorrect keys whose shards are whole; a damaged shard is removed and counts as missing."""
        done: set[int] = set()
        for shard in (self.path / "scores").glob("incorrect-*.parquet"):
            if bounds := SHARD.fullmatch(shard.name):
                if _is_whole(shard):
                    done.update(range(int(bounds[1]), int(bounds[2])))
                else:
                    shard.unlink()
        return done

    def missing(self, total: int, shard_size: int) -> list[tuple[int, int]]:
        """Shards ``[start, stop)`` of the keys ``0 … total - 1`` that are still to be done."""
        done = self.keys_done()
        shards: list[tuple[int, int]] = []
        for index in (i for i in range(total) if i not in done):
            if shards and shards[-1][1] == index and index - shards[-1][0] < shard_size:
                shards[-1] = (shards[-1][0], index + 1)
            else:
                shards.append((index, index + 1))
        return shards

    def _write(self, path: Path, write: Callable[[Path], object]) -> None:
        part = path.with_name(f".{path.name}.{os.getpid()}.part")

        def whole_or_nothing() -> None:
            write(part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)

        try:
            self._attempt(whole_or_nothing)
        finally:
            part.unlink(missing_ok=True)

    def _attempt(self, act: Callable[[], object]) -> None:
        """Do something to the disk; say in one sentence why it does not let us."""
        try:
            act()
        except OSError as error:
            raise BadInput(
                f"{self.path} cannot be written ({error.strerror or error}): free space or choose another --out; "
                "what is already there stays"
            ) from error


def shard_name(start: int, stop: int) -> str:
    return f"incorrect-{start:08d}-{stop:08d}"


def find_runs(folder: Path) -> list[Path]:
    """Run folders in and below ``folder``, sorted by name."""
    return sorted(path.parent for path in folder.rglob("manifest.json"))


def _is_whole(shard: Path) -> bool:
    try:
        pq.read_metadata(shard)
    except Exception:  # pyarrow raises several kinds for truncated and foreign files
        return False
    return True


def same(before: Any, now: Any) -> bool:
    """Equal, but for the rounding of numbers that another machine computed."""
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=1e-3)
    return bool(before == now)


def _difference(name: str, before: Any, now: Any) -> str:
    """'seed (0 there, 1 now)'; of hashes only the name."""
    hashed = isinstance(now, str) and len(now) == 64
    return name if hashed else f"{name} ({before} there, {now} now)"
