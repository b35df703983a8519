"""A command as a user starts it, and the processes that it leaves. Linux only."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from wrongkey.evaluation.processes.pool import TITLE

ROOT = Path(__file__).parents[1]
GRACE, LONGEST = 10.0, 600.0  # seconds


class Started:
    """A wrongkey command in a session of its own.

    Parameters
    ----------
    arguments
        What follows ``wrongkey``.
    here
        The working directory.
    before
        A program that starts it, with its own arguments, such as ``prlimit``.
    temporary
        The folder of its temporary files; None takes that of this process.
    """

    def __init__(
        self, arguments: Sequence[str], here: Path = ROOT, before: Sequence[str] = (), temporary: Path | None = None
    ) -> None:
        command = [*before, sys.executable, "-m", "wrongkey", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary or tempfile.gettempdir())}
        self.said = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command, cwd=here, env=environment, stdout=self.said, stderr=self.said, start_new_session=True
        )

    def finish(self) -> tuple[int, str]:
        """Exit code and what was printed."""
        code = self.process.wait(LONGEST)
        self.said.seek(0)
        return code, self.said.read().decode()

    def left(self) -> list[int]:
        """Processes of the session that are there and no zombies."""
        found = []
        for number in filter(str.isdecimal, os.listdir("/proc")):
            try:
                state, _, _, session = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:  # it has just ended
                continue
            if int(session) == self.process.pid and state != "Z":
                found.append(int(number))
        return found

    def workers(self) -> list[int]:
        """Processes of the session that compute for it."""
        found = []
        for pid in self.left():
            try:
                if Path(f"/proc/{pid}/comm").read_bytes().rstrip() == TITLE:
                    found.append(pid)
            except OSError:
                continue
        return found

    def until(self, condition: Callable[[], object], seconds: float = LONGEST) -> None:
        """Wait for a condition, for the end of the command, or for so many seconds."""
        deadline = time.monotonic() + seconds
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

    def refused(self, wanted: str, or_done: bool = False) -> str | None:
        """What is wrong with the end of a command that should have ended with a sentence."""
        code, said = self.finish()
        if not (code == 0 and or_done) and (code != 2 or wanted not in said):
            return f"exit code {code}: {said}"
        return unclean(said) or self.emptied()

    def done(self) -> str | None:
        """What is wrong with the end of a command that should have done its work."""
        code, said = self.finish()
        return f"exit code {code}: {said}" if code else unclean(said) or self.emptied()


def unclean(said: str) -> str | None:
    """What a command printed that is not meant for a user."""
    noise = next(
        (line for line in said.splitlines() if re.search(r"Traceback|leaked|Warning|Fatal Python", line)), None
    )
    return f"noise: {noise!r} in: {said}" if noise else None
