"""What a sweep survives: faults that are injected into it, and what is left afterwards. Linux only.

``python benchmarks/faults.py [FAULT …] [--rounds 15]``

kill-caller  SIGKILL of the calling process, each round 0.2 s later after its first worker was started: no process may
             be left ten seconds later, and the same command continues
stubborn     the same while a worker computes and holds the interpreter
interrupt    Ctrl-C to all processes at such a moment: exit code 130, a sentence, nothing left
kill-worker  SIGKILL of one worker: a sentence
hang         a model that never answers to two keys, under --timeout: a sentence
raise        a model that raises at two keys: a sentence, and all other keys are there
full-disk    files of 2 kB at most: a sentence
resume       SIGKILL of the caller again and again until the sweep is done: the score files of an undisturbed one

Every sentence must be one line on standard error with exit code 2, and what was done must stay. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
STEP, GRACE, LONGEST = 0.2, 10.0, 300.0  # seconds
KEYS = 20  # of the toy models, which fail at two of them


class Run:
    """A sweep as a user starts it, in a session of its own."""

    def __init__(self, out: Path, settings: str, before: tuple[str, ...] = ()) -> None:
        self.out = out
        command = [*before, sys.executable, "-m", "wrongkey", "sweep", *settings.split(), "--out", str(out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=self.errors, stderr=self.errors, start_new_session=True
        )

    def finish(self) -> tuple[int, str]:
        """Exit code and what was printed."""
        code = self.process.wait(LONGEST)
        self.errors.seek(0)
        return code, self.errors.read().decode()

    def left(self) -> list[int]:
        """Processes of the session that are there and no zombies."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            except OSError:  # it has just ended
                continue
            if int(session) == self.process.pid and state != "Z":
                found.append(int(stat.parent.name))
        return found

    def workers(self) -> list[int]:
        """Processes of the session that compute for it."""
        found = []
        for pid in self.left():
            try:
                if b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
            except OSError:
                continue
        return found

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, for the end of the run, or for `LONGEST` seconds."""
        deadline = time.monotonic() + LONGEST
        while not condition() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def emptied(self) -> str | None:
        """What is wrong ten seconds after the caller ended."""
        deadline = time.monotonic() + GRACE
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.1)
        left = self.left()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return f"{len(left)} processes left" if left else None


def toy(model: str, workers: int = 2, keys: int = KEYS, more: str = "") -> str:
    """Arguments of a sweep with one of the faulty models of tests/faulty.py."""
    shared = f"--corpus bundled --per-speaker 2 --replicates 0 --device cpu --keys {keys} --workers {workers} {more}"
    return f"--model tests.faulty:{model} {shared}"


SMALL = "--model asv-raw3 --corpus bundled --per-speaker 2 --keys 200 --workers 2 --device cpu --replicates 0"


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
    return sentence(run, "A worker was killed", or_done=True)


def hang(folder: Path, number: int) -> str | None:
    """A model that never answers to two keys, with a time-out."""
    run = Run(folder / "run", toy("hanging", workers=1 + number % 2, more="--timeout 20"))
    return sentence(run, "took longer than --timeout 20 s")


def raising(folder: Path, number: int) -> str | None:
    """A model that raises under two keys."""
    wrong = sentence(
        Run(folder / "run", toy("raising", workers=1 + number % 2)), "2 of 20 keys failed, number 10 first"
    )
    kept = keys_done(folder / "run")
    return wrong or (None if kept == set(range(KEYS)) - {10, 13} else f"kept {sorted(kept)}")


def full_disk(folder: Path, number: int) -> str | None:
    """A file-size limit in place of a full disk."""
    size = 1000 + 500 * number
    run = Run(folder / "run", toy("sound", workers=1), before=("prlimit", f"--fsize={size}"))
    return sentence(run, "cannot be written", or_done=True)


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


def sentence(run: Run, wanted: str, or_done: bool = False) -> str | None:
    """What is wrong with the end of a run that should have ended with a sentence."""
    code, said = run.finish()
    if not (code == 0 and or_done) and (code != 2 or wanted not in said):
        return f"exit code {code}: {said}"
    return unclean(said) or run.emptied()


def unclean(said: str) -> str | None:
    """What a run printed that is not meant for a user."""
    noise = re.search(r"Traceback|leaked|Warning|Fatal Python", said)
    return f"noise: {said}" if noise else None


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


FAULTS = {
    "kill-caller": kill_caller,
    "stubborn": stubborn,
    "interrupt": interrupt,
    "kill-worker": kill_worker,
    "hang": hang,
    "raise": raising,
    "full-disk": full_disk,
    "resume": resume,
}


def main() -> None:
    """Inject the faults and count what was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", default=list(FAULTS), help=f"{', '.join(FAULTS)}")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("| fault | tried | survived |\n| :--- | ---: | ---: |", flush=True)
    for name in options.faults:
        survived = 0
        for number in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                wrong = FAULTS[name](Path(folder), number)
            survived += wrong is None
            if wrong:
                print(f"{name}, round {number}: {wrong}", file=sys.stderr, flush=True)
        print(f"| {name} | {options.rounds} | {survived} |", flush=True)


if __name__ == "__main__":
    main()
