"""A file in memory during whose use a signal comes."""

import io
import signal
from typing import Any


class Interrupted(io.BytesIO):
    """Read and written while SIGTERM comes; `last` is the newest of them."""

    last: io.BytesIO

    def __init__(self, *content: bytes) -> None:
        super().__init__(*content)
        Interrupted.last = self

    def readinto(self, buffer: Any) -> int:
        signal.raise_signal(signal.SIGTERM)
        return super().readinto(buffer)

    def write(self, data: Any) -> int:
        signal.raise_signal(signal.SIGTERM)
        return super().write(data)
