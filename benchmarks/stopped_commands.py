"""Commands that are stopped at a random moment, and what is there when the same command has been given again.

SIGKILL and SIGTERM go to the calling process, SIGINT to all of them, as Ctrl-C does; SIGSTOP stops all of them for a
second, after which they continue. Then nothing may be left running, the same command must end well, its results must be
those of a command that was left alone, and what was finished before must not have been made again. No temporary file
may be left, except after SIGKILL; speech that it leaves must be gone after the next command. Rounds of odd numbers have
two workers, which share the speech in temporary files. Linux only.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.started import Started, unclean
from wrongkey.evaluation.private_folders import PREFIX

TRIES = 3  # of a moment at which the command still runs
DECIMALS = 9  # of attacks' measures, some of which are in dB
STOPPED = 1.0  # seconds between SIGSTOP and SIGCONT
SALT = "0123456789abcdef" * 4  # of the victims' keys of both attacks: else they would have other victims
SPEECH = "--corpus bundled --per-speaker 2 --device cpu"
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGSTOP": signal.SIGSTOP}


@dataclass(frozen=True)
class Command:
    """A command that writes into the folder `run` of its working directory.

    words: without ``wrongkey``. result: what must be the same however often it was stopped. finished: what must not be
    made again, by name. on_a_sweep: whether it needs a finished sweep in `run`.
    """

    words: str
    result: Callable[[Path], Any]
    finished: Callable[[Path], dict[str, Any]]
    on_a_sweep: bool = False


def scores(run: Path) -> str:
    """All score rows of a run folder, in one order, and whether its sweep ended."""
    table = pd.concat(pd.read_parquet(file) for file in run.glob("scores/*.parquet"))
    rows = table.sort_values(["condition", "metric", "key_index"], ignore_index=True)
    return str(bool(_json(run / "manifest.json")["ended"])) + rows.to_csv(index=False)


def trials(run: Path) -> str:
    """Rows of all attacks without their times and last digits, and whether the attacks ended.

    The last digits change with the number of workers, which have fewer threads each.
    """
    found = []
    for file in sorted(run.glob("attacks/*.parquet")):
        rows = pd.read_parquet(file).sort_values(["given", "trial"])
        found.append(rows.drop(columns=["seconds"]).round(DECIMALS).to_csv(index=False))
    return str(bool(_json(run / "attacks/suite.json")["ended"])) + "".join(found)


def strength(run: Path) -> dict[str, Any]:
    """Estimates of a strength."""
    content = _json(run / "strength/strength.json")
    return {name: content[name] for name in ("estimates", "evaluations", "best", "state")}


def analysis(run: Path) -> tuple[Any, str]:
    """Rows and measures of the analysis of keys."""
    return _json(run / "analyses/keys.json")["measures"], pd.read_parquet(run / "analyses/keys.parquet").to_csv()


def board(run: Path) -> list[Any]:
    """Cells and cases of a board and the trials of each: what came of them is another under each salt."""
    rows = _json(run / "board.json")["rows"]
    return [(row["scheme"], row["block"], [_case(one) for one in row["attacks"]]) for row in rows]


def _case(tried: dict[str, Any]) -> list[Any]:
    return [tried[name] for name in ("attack", "given", "asset", "trials", "failed")]


def report(run: Path) -> Any:
    """The report as JSON; its page must be whole."""
    assert (run.parent / "report.html").read_text().rstrip().endswith("</html>"), "the page is cut"
    return _json(run.parent / "report.json")


def shards(run: Path) -> dict[str, Any]:
    """When each shard of keys was written."""
    return {file.name: file.stat().st_mtime_ns for file in run.glob("scores/incorrect-*.parquet")}


def rows_with_times(run: Path) -> dict[str, Any]:
    """Seconds of each trial that has a row: a trial that is made again has others."""
    tables = [pd.read_parquet(file) for file in run.glob("attacks/*.parquet")]
    rows = [row for table in tables for row in table.to_dict("records")]
    return {f"{row['attack']}, {row['given']}, {row['trial']}": row["seconds"] for row in rows}


def _nothing(run: Path) -> dict[str, Any]:
    return {}


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


# the smallest protocol that has a cell to break
BOARD = """
name = "smallest"
seed = 0
schemes = ["rom"]
blocks = [3]
corpus = {name = "bundled", victims = {speakers = ["af_alloy"]}, background = {speakers = ["am_puck"]}}
scoring = {random_keys = 5, per_speaker = 2}
attacks = {names = ["known-plaintext"], seconds = [1], trials = 3, fewest = 3, costly_after = 60}
cost = {repeats = 1}
"""
SWEEP = f"sweep --model tests.toys:raw3 {SPEECH} --keys 48 --rows 8 --workers 1 --replicates 0 --out run"
COMMANDS = {
    "sweep": Command(SWEEP, scores, shards),
    "attack": Command(
        "attack known-plaintext,shared-samples --corpus bundled --scheme rom --block 3 --trials 3 --keys 5 "
        "--seconds 1 --workers 1 --salt salt.json --out run",
        trials,
        rows_with_times,
    ),
    "strength": Command(
        f"strength --model tests.toys:raw3 {SPEECH} --within 5 --population 50 --repetitions 1 --moves 2 --workers 1 "
        "--out run",
        strength,
        _nothing,
    ),
    "analyse": Command("analyse keys run --trust", analysis, _nothing, on_a_sweep=True),
    "report": Command("report run --format html,json --out report.html", report, _nothing, on_a_sweep=True),
    "board": Command("board --protocol board.toml --corpus bundled --workers 1 --out run", board, _nothing),
}


def before_wrongkey(said: str) -> bool:
    """Whether Ctrl-C came while Python itself was starting, by what was printed: no program can answer to that."""
    return "Fatal Python error: init_" in said or ("Traceback" in said and "wrongkey" not in said)


@dataclass(frozen=True)
class Undisturbed:
    """A command that was left alone: its result, and the seconds that it took."""

    result: Any
    seconds: float


class Stops:
    """Commands that are stopped, compared with some that were left alone.

    Parameters
    ----------
    place
        An empty folder. Each command is left alone once here, when it is first asked for.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._temporary = place / "temporary"
        self._temporary.mkdir()
        self._alone: dict[str, Undisturbed] = {}

    def once(self, name: str, stop: str, number: int) -> tuple[float, str | None]:
        """One command, stopped once: the moment in seconds, and what was wrong.

        That is "late" where the command had ended, or Python had not come to it yet. Then another moment is tried: a
        command takes longer on a busy machine than on an idle one.
        """
        moments = random.Random(f"{name}, {stop}, {number}")
        moment, wrong = 0.0, None
        for _ in range(TRIES):
            moment = moments.uniform(0, self.left_alone(name).seconds)
            wrong = self._once(name, stop, moment, workers=1 + number % 2)
            if wrong != "late":
                break
        return moment, wrong

    def _once(self, name: str, stop: str, moment: float, workers: int) -> str | None:
        here = self.place / f"{name}-{stop}"
        here.mkdir()
        self.provide(here, COMMANDS[name])
        try:
            return self._stopped(here, name, stop, moment, workers) or self.again(here, name)
        finally:
            shutil.rmtree(here)
            shutil.rmtree(self._temporary)
            self._temporary.mkdir()

    def _stopped(self, here: Path, name: str, stop: str, moment: float, workers: int) -> str | None:
        begin = time.monotonic()
        started = self._started(name, here, workers)
        started.until(lambda: False, moment)
        if started.process.poll() is not None:
            self._alone[name] = replace(self.left_alone(name), seconds=time.monotonic() - begin)
            return started.done() or "late"
        if stop == "SIGSTOP":
            os.killpg(started.process.pid, signal.SIGSTOP)
            time.sleep(STOPPED)
            os.killpg(started.process.pid, signal.SIGCONT)
            return started.done() or self._litter("*")
        (os.killpg if stop == "SIGINT" else os.kill)(started.process.pid, SIGNALS[stop])
        code, said = started.finish()
        if stop == "SIGINT" and before_wrongkey(said):
            return "late"
        # 0: it was about to end. Negative: by the signal itself, before there was a handler, or SIGKILL.
        expected = {0, -SIGNALS[stop], 128 + SIGNALS[stop]}
        if code not in expected:
            return f"exit code {code}: {said}"
        wrong = unclean(said) or started.emptied()
        return wrong if wrong or stop == "SIGKILL" else self._litter("*")

    def again(self, here: Path, name: str) -> str | None:
        """What is wrong when a command is given again: with its end, its result, or what it made again or left."""
        command, wanted = COMMANDS[name], self.left_alone(name).result
        finished = command.finished(here / "run")
        for old in (*here.rglob(".*"), *self._temporary.iterdir()):  # younger ones may be in use
            os.utime(old, (time.time() - 3600,) * 2, follow_symlinks=False)
        if wrong := self._started(name, here).done():
            return f"again: {wrong}"
        if command.result(here / "run") != wanted:
            return "other results than those of the command that was left alone"
        now = command.finished(here / "run")
        if again := [name for name, what in finished.items() if now.get(name) != what]:
            return f"made again: {', '.join(again)}"
        if left := [path.name for path in here.rglob(".*")]:
            return f"files left: {', '.join(left)}"
        return self._litter(f"{PREFIX}*")

    def _litter(self, pattern: str) -> str | None:
        left = [path.name for path in self._temporary.glob(pattern)]
        return f"temporary files left: {', '.join(left)}" if left else None

    def _started(self, name: str, here: Path, workers: int = 1) -> Started:
        words = COMMANDS[name].words.replace("--workers 1", f"--workers {workers}")
        return Started(words.split(), here, temporary=self._temporary)

    def left_alone(self, name: str) -> Undisturbed:
        """A command to which nothing happened; it is run where that was not done yet."""
        if name not in self._alone:
            here = self.place / f"{name}-alone"
            here.mkdir()
            self.provide(here, COMMANDS[name])
            begin = time.monotonic()
            if wrong := self._started(name, here).done():
                raise SystemExit(f"wrongkey {COMMANDS[name].words} fails without any fault: {wrong}")
            seconds = time.monotonic() - begin
            self._alone[name] = Undisturbed(COMMANDS[name].result(here / "run"), seconds)
        return self._alone[name]

    def provide(self, here: Path, command: Command) -> None:
        """Write what a command needs into its working directory."""
        (here / "salt.json").write_text(json.dumps({"format": "wrongkey-salt/1", "salt": SALT}))
        (here / "board.toml").write_text(BOARD)
        if command.on_a_sweep:
            self.left_alone("sweep")
            shutil.copytree(self.place / "sweep-alone" / "run", here / "run")
