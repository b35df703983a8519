"""Damaged and strange input files, thousands of each kind: every one must be read or refused in one sentence.

    python -m benchmarks.fuzz --mutations 2000 [--kinds wav flac trials] [--keep faults/]

Each mutation of a sound file (bytes flipped, cut, doubled, moved; numbers and words replaced by ones that parsers
stumble over) is opened by the function that a command uses. *read* means that it was accepted and that what can be
cross-checked agrees, *refused* a `BadInput` of one printable line. Everything else is a fault: another exception, a
crash, more than `MEMORY` of address space or `SECONDS` of time, a number that contradicts another, and a peak of
resident memory above twice the honest size and `SPARE`. The honest size is that of the damaged file or, if this is
more, of what the sound one holds once it is decoded. The last column has the most by which memory grew. The exit code
is 1 where there are faults; their files go to --keep. docs/reliability.md has the results.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from benchmarks.fuzz_kinds import KINDS
from benchmarks.peak_memory import peak_memory
from wrongkey.errors import BadInput

MEMORY = 8 * 2**30  # bytes of address space: torch and its libraries take 3 GiB of it
SPARE = 32 * 2**20  # bytes of resident memory that any file may take
SECONDS = 20
LARGEST_KEPT = 2**20  # bytes of a file that is kept
BATCH = 50  # mutations that a process tries before their outcome is written down
STRANGE = [b"", b"\0", b"-1", b"0", b"1e309", b"nan", b"inf", b"99999999999999999999", b"\xff\xfe", b"\xef\xbb\xbf",
           b"\xe9", b"../../etc/passwd", b"|", b"\t", b"\r\n", b"{}", b"[]", b"null", b"true", b"\x1b[31m",
           b"\xe2\x80\xae", b"~", b"=1+1", b"[" * 5000, b'{"a":' * 3000,
           b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"]  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to four changes of a file's bytes; headers, where most harm is done, as often as all the rest."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        end = len(data) if rng.random() < 0.5 else min(len(data), 128)
        at = rng.randrange(end + 1) if end else 0
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.randrange(1, 40)]
            case 3:
                data[at:at] = rng.choice(STRANGE)
            case 4:
                strange = rng.choice(STRANGE)
                data[at : at + len(strange)] = strange
            case 5:
                piece = data[at : at + rng.randrange(1, 200)]
                data[at:at] = piece * rng.choice((1, 1, 20))
            case _:
                data[at : at + 4] = rng.randrange(2**32).to_bytes(4, rng.choice(("little", "big")))
    return bytes(data)


class Outcome(NamedTuple):
    """What became of a file: "read", "refused", or what went wrong; and the bytes by which memory grew at most."""

    what: str
    grown: int

    @property
    def wrong(self) -> bool:
        """Whether it is a fault."""
        return self.what not in ("read", "refused")


class Late(BaseException):
    """The time is over; no reader takes it for an error of the disk, as it would a TimeoutError."""


def outcome(kind: str, seed: int, keep: Path | None) -> Outcome:
    """What became of mutation `seed` of a kind."""
    with tempfile.TemporaryDirectory(prefix="wrongkey-fuzz-") as place:
        file = KINDS[kind].make(Path(place))
        file.write_bytes(mutated(file.read_bytes(), random.Random(f"{kind} {seed}")))
        size = file.stat().st_size
        found = opened(kind, file)
        if found.wrong and keep is not None and size < LARGEST_KEPT:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, keep / f"{kind.replace(' ', '-')}-{seed}{file.suffix}")
        return found


def opened(kind: str, file: Path) -> Outcome:
    """What became of opening a file of a kind, and of the memory meanwhile."""
    _warm(kind)
    honest = max(file.stat().st_size, KINDS[kind].decoded)
    with peak_memory() as peak:
        what = tried(lambda: KINDS[kind].use(file))
    if what in ("read", "refused") and peak.grown > 2 * honest + SPARE:
        what = f"fault: {peak.grown >> 20} MiB of memory for an honest size of {honest:,} bytes"
    return Outcome(what, peak.grown)


@cache
def _warm(kind: str) -> None:
    """Open a sound file once in each process: what it imports and keeps is no memory of a later file."""
    with tempfile.TemporaryDirectory(prefix="wrongkey-fuzz-") as place:
        KINDS[kind].use(KINDS[kind].make(Path(place)))
    gc.collect()
    gc.freeze()  # the modules are looked through no more, a tenth of a second for each file


def tried(use: Callable[[], None]) -> str:
    """What became of opening a file: "read", "refused", or what went wrong."""

    def late(*_: object) -> None:
        raise Late

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        use()
    except BadInput as error:
        said = str(error)
        return "refused" if said.isprintable() else f"fault: a sentence that does not print: {said!r}"
    except BaseException as error:  # a fault is what this looks for
        return f"fault: {type(error).__name__}: {' '.join(str(error).split())[:100]}"
    finally:
        signal.alarm(0)
    return "read"


def _batch(kind: str, seeds: Sequence[int], keep: Path | None) -> list[Outcome]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return [outcome(kind, seed, keep) for seed in seeds]


def fuzz(kind: str, seeds: Sequence[int], keep: Path | None = None) -> tuple[Counter[str], int]:
    """Outcomes of the mutations `seeds` of a kind, and the most bytes by which memory grew.

    They are tried in a process of their own: a crash is one of the outcomes.
    """
    counts: Counter[str] = Counter()
    most = 0
    pending = [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fuzz_kinds"])  # imported once for the processes of all kinds
    while pending:
        with ProcessPoolExecutor(1, context) as pool:
            try:
                while pending:
                    found = pool.submit(_batch, kind, pending[0], keep).result()
                    counts.update(one.what for one in found)
                    most = max(most, *(one.grown for one in found))
                    pending.pop(0)
            except BrokenProcessPool:  # cut down to the mutation that crashes
                first = pending.pop(0)
                if len(first) == 1:
                    counts[f"fault: crash, seed {first[0]}"] += 1
                else:
                    pending[:0] = [first[: len(first) // 2], first[len(first) // 2 :]]
    return counts, most


def main() -> int:
    """Mutate files of all kinds; 1 where there are faults."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mutations", type=int, default=1000, help="of each kind (default 1000)")
    options.add_argument("--first", type=int, default=0, help="number of the first mutation (default 0)")
    options.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    options.add_argument("--keep", type=Path, help="folder for the files that showed a fault")
    asked = options.parse_args()
    faults = total = 0
    print("| input | tried | read | refused | faults | MiB |\n| :--- | ---: | ---: | ---: | ---: | ---: |")
    for kind in asked.kinds:
        counts, most = fuzz(kind, range(asked.first, asked.first + asked.mutations), asked.keep)
        wrong = {what: count for what, count in counts.items() if what not in ("read", "refused")}
        tried = f"{counts.total():,} | {counts['read']:,} | {counts['refused']:,} | {sum(wrong.values()):,}"
        print(f"| {kind} | {tried} | {most / 2**20:.1f} |", flush=True)
        for what, count in sorted(wrong.items(), key=lambda item: -item[1])[:8]:
            print(f"  {count:5,} {what}", file=sys.stderr, flush=True)
        faults, total = faults + sum(wrong.values()), total + counts.total()
    print(f"{total:,} tried, {faults:,} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
