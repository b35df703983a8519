"""Progress of long steps: a bar on a terminal, plain lines in a log, with the time that is left."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import Any

from wrongkey.terminal import logged, note, to_reader

LINES = 10  # plain lines over a whole step
SECONDS, LONGEST = 10.0, 60.0  # between two plain lines: at least that long over stages, at most over all
PARTS, TELLING = 5, 5.0  # parts of a step, and seconds, that its pace is told from; of a short step a quarter
SIZE = {"ncols": 80, "nrows": 20}  # of a terminal that does not tell
TICK = 1.0  # seconds between two drawings of a bar, so that a long wait is seen to go on

Show = Callable[[int, int], None]  # done, in all
Stages = Callable[[str, int, int], None]  # what is going on, done, in all

_bars: list[_Bar] = []


def progress(unit: str = "key") -> Show:
    """A function to call with what is done and what there is in all; it shows the rate and the time left."""
    if not logged():
        return lambda done, total: None
    return _one_bar(unit) if sys.stderr.isatty() else _lines(unit)


def stages(unit: str) -> Stages:
    """The same for work of several stages, each with a name: one bar after another, or lines that name the stage."""
    if not logged():
        return lambda stage, done, total: None
    return _bar_after_bar(unit) if sys.stderr.isatty() else _lines_of_stages(unit)


def close_bars() -> None:
    """Close the bars of work that ended early."""
    for bar in list(_bars):
        bar.close()


def duration(seconds: float) -> str:
    """Seconds in words.

    Examples
    --------
    >>> [duration(seconds) for seconds in (0.4, 40, 200, 8000)]
    ['0 s', '40 s', '3 min', '2 h 13 min']
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class _Bar:
    """A bar of tqdm whose clock goes on between two steps."""

    def __init__(self, done: int, total: int, unit: str, name: str = "") -> None:
        from tqdm import tqdm

        known = _has_size()
        with to_reader():
            self._bar = tqdm(
                total=total, initial=done, unit=unit, desc=name or None, leave=not name, smoothing=0.1, file=sys.stderr,
                dynamic_ncols=known, **({} if known else SIZE),
            )  # fmt: skip
        self._over = Event()
        _bars.append(self)
        Thread(target=self._tick, name="progress", daemon=True).start()

    def show(self, done: int) -> None:
        with to_reader():
            self._bar.update(done - self._bar.n)
        if done >= self._bar.total:
            self.close()

    def close(self) -> None:
        if not self._over.is_set():
            self._over.set()
            _bars.remove(self)
            with to_reader():
                self._bar.close()

    def _tick(self) -> None:
        while not self._over.wait(TICK):
            try:
                self._bar.refresh()
            except (OSError, ValueError):  # nobody looks any more
                return


def _has_size() -> bool:
    """Whether the terminal tells its size, which one inside ``script`` does not."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except OSError:
        return False


def _one_bar(unit: str) -> Show:
    bar: _Bar | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        bar = bar or _Bar(done, total, unit)
        bar.show(done)

    return show


def _bar_after_bar(unit: str) -> Stages:
    bar: _Bar | None = None
    shown = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal bar, shown
        if bar is None or stage != shown:
            if bar is not None:
                bar.close()
            bar, shown = _Bar(done, total, unit, stage), stage
        bar.show(done)

    return show


class _Pace:
    """How fast a step goes, once enough of it is done to tell; while the first part is done, workers start and load."""

    def __init__(self, done: int) -> None:
        self._start = done
        self._first: tuple[int, float] | None = None  # what was done when the first part was, and when that was

    def rate(self, done: int, total: int) -> float | None:
        """Parts per second, since the first; None as long as these are too few to tell. Called at every report."""
        if done <= self._start:
            return None
        self._first = self._first or (done, monotonic())
        parts, elapsed = done - self._first[0], monotonic() - self._first[1]
        enough = parts >= min(PARTS, -(-total // 4)) and elapsed >= TELLING
        return parts / elapsed if enough else None


def _lines(unit: str) -> Show:
    pace: _Pace | None = None
    printed, last = -1, 0.0

    def show(done: int, total: int) -> None:
        nonlocal pace, printed, last
        pace = pace or _Pace(done)
        rate = pace.rate(done, total)
        step = done * LINES // total
        if step == printed and monotonic() - last < LONGEST:
            return
        printed, last = step, monotonic()
        speed = f", {rate:.1f} {unit}s/s" if rate else ""
        note(f"{done:,} of {total:,} {unit}s{speed}{_left(done, total, rate)}")

    return show


def _lines_of_stages(unit: str) -> Stages:
    pace: Any = None
    shown, last = "", -SECONDS

    def show(stage: str, done: int, total: int) -> None:
        nonlocal pace, shown, last
        if stage != shown:
            pace, shown = _Pace(done), stage
        rate = pace.rate(done, total)
        if monotonic() - last < SECONDS:
            return
        last = monotonic()
        note(f"{stage}: {done:,} of {total:,} {unit}s{_left(done, total, rate)}")

    return show


def _left(done: int, total: int, rate: float | None) -> str:
    return f", {duration((total - done) / rate)} left" if rate and done < total else ""
