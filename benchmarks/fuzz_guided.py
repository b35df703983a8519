"""Input files found by a coverage-guided fuzzer: every one must be read or refused in one sentence. Linux only.

    pip install atheris==3.0.0
    python -m benchmarks.fuzz_guided --seconds 60 [--kinds trials toml] [--keep faults/]

The kinds of files, what opens them, and what a fault is are those of `benchmarks.fuzz`. Atheris (libFuzzer) keeps what
reaches new branches of wrongkey's own code and changes that further, starting from a sound file and from `DAMAGED`
damaged ones. Each kind has a process of its own. Prints a row for each: inputs tried, branches reached by the first
inputs and at the end, and faults; the exit code is 1 where there are any, and their files go to --keep.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import Table

DAMAGED = 40  # files that it starts from, beside a sound one
LONGEST = 2**16  # bytes of an input
MEGABYTES = 6_000  # of a process; torch and its libraries take most of a gigabyte
COUNTED = re.compile(r"number_of_executed_units:\s*(\d+)")
REACHED = re.compile(r"cov: (\d+)")


def main() -> int:
    """Fuzz the kinds one after the other; 1 where there are faults."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=60, help="of each kind (default 60)")
    options.add_argument("--kinds", nargs="+", help="names of benchmarks.fuzz (default all)")
    options.add_argument("--keep", type=Path, default=Path("faults"), help="folder for the files that showed a fault")
    options.add_argument("--one", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)  # in this very process
    asked = options.parse_args()
    if asked.one:
        kind, folder = asked.one
        guided(kind, folder, asked.seconds)
    from benchmarks.fuzz_kinds import KINDS

    if unknown := [kind for kind in asked.kinds or () if kind not in KINDS]:
        raise SystemExit(f"{unknown[0]!r} is none of the kinds: {', '.join(KINDS)}.")
    rows = [fuzzed(kind, asked.seconds, asked.keep) for kind in asked.kinds or KINDS]
    print(Table(("kind", ">inputs", ">branches at first", ">branches reached", ">faults"), rows, "").markdown())
    return 1 if any(row[-1] != "0" for row in rows) else 0


def fuzzed(kind: str, seconds: int, keep: Path) -> list[str]:
    """The row of a kind. A process ends with its first fault."""
    from benchmarks.fuzz import mutated
    from benchmarks.fuzz_kinds import KINDS

    with tempfile.TemporaryDirectory(prefix="wrongkey-fuzz-") as place:
        folder = Path(place)
        for name in ("sound", "inputs", "faults"):
            (folder / name).mkdir()
        sound = KINDS[kind].make(folder / "sound").read_bytes()
        starts = [sound, *(mutated(sound, random.Random(f"{kind} {number}")) for number in range(DAMAGED))]
        for number, content in enumerate(starts):
            (folder / "inputs" / str(number)).write_bytes(content)
        command = [sys.executable, "-m", "benchmarks.fuzz_guided", "--seconds", str(seconds), "--one", kind, place]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
        faults = sorted((folder / "faults").iterdir())
        for fault in faults:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(fault, keep / f"{kind.replace(' ', '-')}-{fault.name}")
    # an end that libFuzzer kept no input of, such as a death by a signal, is a fault, too
    row = row_of(kind, ended.stderr, len(faults) or int(ended.returncode != 0))
    print(f"{kind}: {row[1]} inputs, {row[-1]} faults", file=sys.stderr, flush=True)
    return row


def row_of(kind: str, said: str, faults: int) -> list[str]:
    """The row of what libFuzzer said; no branches where the very first input, an empty one, is a fault.

    Raises SystemExit where it did not run.
    """
    counted, reached = COUNTED.search(said), [f"{int(found):,}" for found in REACHED.findall(said)] or ["–"]
    if counted is None:
        raise SystemExit(f"The fuzzer does not run:\n{said[-2000:]}")
    return [kind, f"{int(counted[1]):,}", reached[0], reached[-1], str(faults)]


def guided(kind: str, place: str, seconds: int) -> None:
    """Fuzz a kind in this process, which libFuzzer ends."""
    import atheris

    # What is fuzzed is imported here for the first time: atheris adds its counters as modules are loaded.
    with atheris.instrument_imports(include=["wrongkey"]):
        from benchmarks.fuzz import opened
        from benchmarks.fuzz_kinds import KINDS

    with tempfile.TemporaryDirectory(prefix="wrongkey-fuzz-") as own:
        file = KINDS[kind].make(Path(own))

        def one(content: bytes) -> None:
            file.write_bytes(content)
            if (found := opened(kind, file)).wrong:
                raise RuntimeError(found.what)

        atheris.Setup(_arguments(Path(place), seconds), one)
        atheris.Fuzz()


def _arguments(folder: Path, seconds: int) -> Sequence[str]:
    """What libFuzzer is told; the time that an input may take is watched by `tried`."""
    return [
        "fuzz",
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-rss_limit_mb={MEGABYTES}",
        "-timeout=0",
        "-report_slow_units=0",  # their files would count as faults
        "-print_final_stats=1",
        f"-artifact_prefix={folder / 'faults'}/",
        str(folder / "inputs"),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
