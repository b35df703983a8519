"""What wrongkey survives: faults that are injected into its commands, and what is left afterwards. Linux only.

``python -m benchmarks.faults [FAULT …] [--rounds 50] [--rows faults.csv]``

COMMAND-SIGNAL  a command (sweep, attack, strength, analyse, report, board) stopped by a signal (SIGKILL, SIGTERM,
                SIGINT, SIGSTOP) at a random moment, and given again (`benchmarks.stopped_commands`)
COMMAND-disk-…  a disk that is full, has no inodes left, turns read-only, or loses the folder, and the command given
                again (`benchmarks.full_disks`; root alone can run these)
memory          a sweep whose address space is limited, in each round by other amounts: a sentence, and given again
                without the limit
kill-caller     SIGKILL of the calling process, each round 0.2 s later after its first worker was started: no process
                may be left ten seconds later
stubborn        the same while a worker computes and holds the interpreter
interrupt       Ctrl-C to all processes at such a moment: exit code 130, a sentence, nothing left
kill-worker     SIGKILL of one worker: a sentence
kill-source     SIGKILL of the process that workers are forked from: the same
hang            a model that never answers to two keys, under --timeout: a sentence, and all other keys are there
strength-hang   a worker that hangs in `strength`, under --timeout: the numbers of one that does not
attack-hang     an attack that never ends in one trial, under --timeout: a sentence, and all other trials are there
raise           a model that raises at two keys: the same
nan             a model that answers NaN to two keys: the same
two-writers     a second sweep into the same folder while the first one computes: a sentence, and the first one ends
resume          SIGKILL of the caller again and again until the sweep is done: the score files of an undisturbed one

Every sentence must be one line on standard error with exit code 2, and what was done must stay. Each round is a row of
the CSV file, with the revision of the code; the same command continues where it was stopped, first rounds of all faults
before second ones, and tries again what failed. Prints a table of the last row of every round; the exit code is 1 where
one failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import pandas as pd
import psutil

from benchmarks.full_disks import DISKS, disk_fault
from benchmarks.rows import append, read
from benchmarks.started import Started, unclean
from benchmarks.stopped_commands import COMMANDS, SIGNALS, Stops
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.strength import strength_content

STEP = 0.2  # seconds
LEAST_MEMORY, MEMORY_STEP = 9 * 2**27, 2**25  # bytes of address space; PyTorch, loaded, has 1.05 GiB of it
TIMEOUT = 60  # seconds, in which a worker starts on a busy machine
KEYS = 20  # of the toy models, which fail at two of them
FIELDS = ("fault", "round", "date", "code", "seconds", "moment", "wrong")
SURVIVED = "", "late"  # the latter: the command had ended before its fault came, or had not begun


class Run(Started):
    """A sweep."""

    def __init__(self, out: Path, settings: str, before: Sequence[str] = ()) -> None:
        super().__init__(["sweep", *settings.split(), "--out", str(out)], before=before)


def toy(model: str, workers: int = 2, keys: int = KEYS, more: str = "") -> str:
    """Arguments of a sweep with one of the faulty models of tests/faulty.py."""
    shared = f"--corpus bundled --per-speaker 2 --replicates 0 --device cpu --keys {keys} --workers {workers} {more}"
    return f"--model tests.faulty:{model} {shared}"


SMALL = "--model asv-raw3 --corpus bundled --per-speaker 2 --keys 200 --rows 8 --workers 2 --device cpu --replicates 0"


def kill_caller(folder: Path, number: int) -> str | None:
    """SIGKILL of the calling process while workers start or compute."""
    run = Run(folder / "run", SMALL)
    run.until(run.workers)
    time.sleep(STEP * number)
    run.process.kill()
    run.process.wait()
    return run.emptied()


def stubborn(folder: Path, number: int) -> str | None:
    """SIGKILL of the calling process while a worker holds the interpreter."""
    run = Run(folder / "run", toy("stubborn"))
    run.until(lambda: len(keys_done(folder / "run")) >= 6)  # both workers are at the bad keys soon
    time.sleep(3.0)
    time.sleep(STEP * number)
    run.process.kill()
    run.process.wait()
    return run.emptied()


def interrupt(folder: Path, number: int) -> str | None:
    """Ctrl-C to all processes of a sweep."""
    run = Run(folder / "run", SMALL)
    run.until(run.workers)
    time.sleep(number * (STEP if number % 2 else STEP / 10))  # by halves while workers are being started
    os.killpg(run.process.pid, signal.SIGINT)
    code, said = run.finish()
    if code not in (0, 130):
        return f"exit code {code}: {said}"
    return unclean(said) or run.emptied()


def kill_worker(folder: Path, number: int) -> str | None:
    """SIGKILL of one worker."""
    run = Run(folder / "run", SMALL)
    run.until(run.workers)
    time.sleep(STEP * number)
    if workers := run.workers():
        os.kill(workers[number % len(workers)], signal.SIGKILL)
    return run.refused("A worker was killed", or_done=True)


def kill_source(folder: Path, number: int) -> str | None:
    """SIGKILL of the process that workers are forked from, and the same sweep again."""
    out = folder / "run"
    run = Run(out, SMALL)
    run.until(run.workers)
    time.sleep(STEP * number)
    with suppress(IndexError, psutil.NoSuchProcess):  # it has just ended
        source = psutil.Process(run.workers()[0]).parent()
        if source is not None and source.pid in run.left():
            source.kill()
    if wrong := run.refused("the process that workers are forked from was killed", or_done=True):
        return wrong
    return Run(out, SMALL).done() or (None if keys_done(out) == set(range(200)) else "keys are missing")


def hang(folder: Path, number: int) -> str | None:
    """A model that never answers to two keys, with a time-out."""
    settings = toy("hanging", workers=1 + number % 2, more="--timeout 20")
    return but_two(folder / "run", Run(folder / "run", settings))


def strength_hang(folder: Path, number: int) -> str | None:
    """A worker that hangs once while the strength of a key is measured, with a time-out."""
    how = "--corpus bundled --per-speaker 2 --replicates 0 --device cpu --rows 8 --within 5 --population 50 --moves 1"
    more = f"--repetitions 1 --workers {1 + number % 2} --timeout {TIMEOUT}"
    for model in ("sound", "hanging_once"):
        asked = ["strength", "--model", f"tests.faulty:{model}", *how.split(), *more.split()]
        if wrong := Started([*asked, "--out", str(folder / model)]).done():
            return wrong
    found, whole = (strength_content(folder / model) for model in ("hanging_once", "sound"))
    if found is None or whole is None:
        return "strength.json is missing"
    names = ("plain", "estimates", "evaluations", "history")
    differing = [name for name in names if found[name] != whole[name]]
    if not read_manifest(folder / "hanging_once")["late_shards"]:
        return "late"  # it never met a bad key
    return f"another {differing[0]}" if differing else None


def attack_hang(folder: Path, number: int) -> str | None:
    """An attack that never ends in one of its trials, with a time-out."""
    how = f"--corpus bundled --scheme rom --block 4 --trials 4 --keys 4 --workers {1 + number % 2} --timeout {TIMEOUT}"
    run = Started(["attack", "tests.attacks.harness.dawdling:Hanging", *how.split(), "--out", str(folder / "run")])
    if wrong := run.refused("1 of 8 trials failed: trial 1 of hanging (no answer within"):
        return wrong
    kept = sorted(pd.read_parquet(folder / "run/attacks/hanging.parquet")["trial"])
    return None if kept == [0, 2, 3] else f"kept {kept}"


def raising(folder: Path, number: int) -> str | None:
    """A model that raises under two keys."""
    return but_two(folder / "run", Run(folder / "run", toy("raising", workers=1 + number % 2)))


def silent(folder: Path, number: int) -> str | None:
    """A model that answers NaN to two keys."""
    return but_two(folder / "run", Run(folder / "run", toy("silent", workers=1 + number % 2)))


def but_two(out: Path, run: Run) -> str | None:
    """What is wrong with a sweep that should have lost two keys, and said so."""
    wrong = run.refused("2 of 20 keys failed; the first was number 10")
    kept = keys_done(out)
    return wrong or (None if kept == set(range(KEYS)) - {10, 13} else f"kept {sorted(kept)}")


def two_writers(folder: Path, number: int) -> str | None:
    """A second sweep into the folder of one that computes."""
    first = Run(folder / "run", SMALL)
    first.until(first.workers)
    second = Run(folder / "run", SMALL)
    return second.refused("is being written by another wrongkey") or first.done()


def resume(folder: Path, number: int) -> str | None:
    """A sweep that is killed after each shard and continued, against one that was left alone."""
    code, said = Run(folder / "whole", SMALL).finish()
    if code:
        return said
    kills = 0
    while True:
        run = Run(folder / "run", SMALL)
        before = len(keys_done(folder / "run"))
        run.until(partial(more_keys_done, folder / "run", before))
        time.sleep(STEP * number)
        if run.process.poll() is not None:
            break
        run.process.kill()
        run.process.wait()
        kills += 1
        if wrong := run.emptied():
            return wrong
    code, said = run.finish()
    if code:
        return said
    whole, pieces = scores(folder / "whole"), scores(folder / "run")
    return None if whole.equals(pieces) else f"other scores after {kills} kills"


def more_keys_done(folder: Path, before: int) -> bool:
    return len(keys_done(folder)) > before


def keys_done(folder: Path) -> set[int]:
    """Numbers of the keys whose scores are in a run folder."""
    done: set[int] = set()
    for file in folder.glob("scores/incorrect-*.parquet"):
        start, stop = map(int, file.stem.split("-")[1:])
        done |= set(range(start, stop))
    return done


def scores(folder: Path) -> pd.DataFrame:
    """All score rows of a run folder, in one order."""
    table = pd.concat(pd.read_parquet(file) for file in folder.glob("scores/*.parquet"))
    return table.sort_values(["condition", "metric", "key_index"], ignore_index=True)


def memory(folder: Path, number: int) -> str | None:
    """A sweep that may take less address space than it needs; the limit holds for each of its processes."""
    limit = LEAST_MEMORY + number % 8 * MEMORY_STEP
    out = folder / "run"
    code, said = Run(out, SMALL, before=["prlimit", f"--as={limit}"]).finish()
    if code not in (0, 2):
        return f"exit code {code} under {limit >> 20} MiB: {said}"
    if wrong := unclean(said):
        return wrong
    if code == 0:
        return "late"
    return Run(out, SMALL).done() or (None if keys_done(out) == set(range(200)) else "keys are missing")


SWEEPS = {
    "memory": memory,
    "kill-caller": kill_caller,
    "stubborn": stubborn,
    "interrupt": interrupt,
    "kill-worker": kill_worker,
    "kill-source": kill_source,
    "hang": hang,
    "strength-hang": strength_hang,
    "attack-hang": attack_hang,
    "raise": raising,
    "nan": silent,
    "two-writers": two_writers,
    "resume": resume,
}
STOPS = {f"{command}-{stop}": (command, stop) for command in COMMANDS for stop in SIGNALS}
FAULTS = (*STOPS, *DISKS, *SWEEPS)


def injected(fault: str, number: int, stops: Stops) -> dict[str, object]:
    """One round of a fault, as a row of the file; nothing is wrong where `wrong` is empty."""
    begin, moment = time.monotonic(), None
    if fault in STOPS:
        moment, wrong = stops.once(*STOPS[fault], number)
    else:
        with tempfile.TemporaryDirectory() as folder:
            if fault in DISKS:
                wrong = disk_fault(fault, stops, Path(folder), number)
            else:
                wrong = SWEEPS[fault](Path(folder), number)
    return {
        "fault": fault,
        "round": number,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": revision(),
        "seconds": f"{time.monotonic() - begin:.1f}",
        "moment": "" if moment is None else f"{moment:.1f}",
        "wrong": wrong or "",
    }


@cache
def revision() -> str:
    """The commit of the code, with "-dirty" where files were changed since; empty outside of a git checkout."""
    asked = ["git", "describe", "--always", "--dirty"]
    with suppress(FileNotFoundError):  # no git
        return subprocess.run(asked, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
    return ""


def last_of_each(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The last row of every round: one that failed is tried again."""
    return list({(row["fault"], row["round"]): row for row in rows}.values())


def table(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Lines of the table of all rounds; a fault that came after the end of its command was not tried."""
    yield "| fault | tried | survived |"
    yield "| :--- | ---: | ---: |"
    for fault in FAULTS:
        outcomes = [row["wrong"] for row in rows if row["fault"] == fault and row["wrong"] != "late"]
        if outcomes:
            yield f"| {fault} | {len(outcomes):,} | {outcomes.count(''):,} |"


def main() -> None:
    """Inject the faults and count what was survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", default=list(FAULTS), help=f"{', '.join(FAULTS)}")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--rows", type=Path, default=Path("faults.csv"), help="the file (default faults.csv)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no round begins")
    options = parser.parse_args()
    if unknown := set(options.faults) - set(FAULTS):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    end = time.monotonic() + 60 * options.minutes
    before = read(options.rows)
    if before and set(before[0]) != set(FIELDS):
        parser.error(f"{options.rows} has other columns: it was written by another revision, choose another --rows")
    there = {(row["fault"], int(row["round"])) for row in last_of_each(before) if row["wrong"] in SURVIVED}
    with tempfile.TemporaryDirectory() as place:
        stops = Stops(Path(place))
        for number in range(options.rounds):
            for fault in options.faults:
                if (fault, number) in there or time.monotonic() > end:
                    continue
                row = injected(fault, number, stops)
                append(options.rows, row, FIELDS)
                if row["wrong"]:
                    print(f"{fault}, round {number}: {row['wrong']}", file=sys.stderr, flush=True)
    rows = last_of_each(read(options.rows))
    print(*table(rows), sep="\n")
    if any(row["wrong"] not in SURVIVED for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
