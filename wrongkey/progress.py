"""Progress of a sweep: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

from wrongkey.terminal import note, to_reader

LINES = 10  # plain lines over a whole sweep


def progress() -> Callable[[int, int], None]:
    """A function to call with the number of keys done and of all keys; it shows keys per second and the time left."""
    return _bar() if sys.stderr.isatty() else _lines()


def _bar() -> Callable[[int, int], None]:
    from tqdm import tqdm

    bar: tqdm | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        with to_reader():
            if bar is None:
                bar = tqdm(total=total, initial=done, unit="key", smoothing=0.1, file=sys.stderr)
            bar.update(done - bar.n)
            if done >= total:
                bar.close()

    return show


def _lines() -> Callable[[int, int], None]:
    first: tuple[int, float] | None = None
    printed = -1

    def show(done: int, total: int) -> None:
        nonlocal first, printed
        first = first or (done, perf_counter())
        step = done * LINES // total
        if step == printed:
            return
        printed = step
        line = f"{done:,} of {total:,} keys"
        elapsed = perf_counter() - first[1]
        if done > first[0] and elapsed > 0:
            rate = (done - first[0]) / elapsed
            line += f", {rate:.1f} keys/s, {(total - done) / rate:.0f} s left"
        note(line)

    return show
