"""What the tests of commands share."""

import signal
import time
from collections.abc import Iterator

import pytest

from wrongkey.stops import AGAIN_SECONDS


@pytest.fixture
def once() -> Iterator[None]:
    """A signal that stopped a command does not come again when that has ended, which would end the tests."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    yield
    time.sleep(2 * AGAIN_SECONDS)
    signal.signal(signal.SIGTERM, before)
    assert not came
