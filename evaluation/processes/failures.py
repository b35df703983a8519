"""What failed while the rest continued: keys of a sweep, trials of an attack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from wrongkey.errors import BadInput

ALL_FAIL = 8  # failures without a single success, after which nothing is expected of the rest


@dataclass(frozen=True)
class Failure:
    """A key or trial by its number and its name, and why it failed: ``RuntimeError: …``."""

    number: int
    name: str
    reason: str


class SomeFailed(BadInput):
    """Everything was tried, and not everything worked."""


@contextmanager
def each_to_its_end() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Runs of one command: ``with each_to_its_end() as one: … with one(): run()``.

    A run in which some keys or trials failed does not keep the next ones from running; the error of the first such run
    is raised at the end.
    """
    failed: list[SomeFailed] = []

    @contextmanager
    def one() -> Iterator[None]:
        try:
            yield
        except SomeFailed as error:
            failed.append(error)

    yield one
    if failed:
        raise failed[0]


class Failures:
    """Failures so far. ``things`` are ``keys`` or ``trials``; ``worked`` says whether any succeeded, now or before."""

    def __init__(self, things: str, worked: bool) -> None:
        self.things, self.worked = things, worked
        self.all: list[Failure] = []

    def add(self, failures: Sequence[Failure]) -> None:
        """Add failures; raises BadInput where there was nothing else so far."""
        self.all += failures
        if len(self.all) >= ALL_FAIL and not self.worked:
            raise BadInput(
                f"The first {len(self.all):,} {self.things} all failed{self._first()}. Correct this, and the same "
                "command tries them again."
            )

    def check(self, total: int) -> None:
        """Raise SomeFailed where any of ``total`` failed."""
        if not self.all:
            return
        these = "these" if len(self.all) > 1 else "it"
        remedy = f"The others are kept, and the same command tries {these} again."
        if not self.worked:
            remedy = "Correct this, and the same command tries again."
        raise SomeFailed(f"{len(self.all):,} of {total:,} {self.things} failed{self._first()}. {remedy}")

    def _first(self) -> str:
        first = min(self.all, key=lambda failure: failure.number)
        return f"{'; the first was' if len(self.all) > 1 else ':'} {first.name} ({first.reason})"
