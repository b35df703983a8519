"""``wrongkey``, and ``python -m wrongkey``."""

import os
import sys
from contextlib import suppress


def main() -> int:
    """Run one command and return its exit code, that of Ctrl-C also while the command line is still being imported."""
    try:
        from wrongkey.cli import main

        return main()
    except KeyboardInterrupt as stop:  # Ctrl-C, or a signal that came when the command had ended
        return 128 + getattr(stop, "number", 2)


def _leave_working_directory() -> None:
    """Take the working directory off the path: ``python -m`` puts it first, and a stranger's pandas.py may lie there.

    It stays where wrongkey itself was found there, in a checkout.
    """
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    with suppress(FileNotFoundError):  # it was deleted
        if not sys.flags.safe_path and home != os.path.realpath(sys.path[0]) == os.path.realpath(os.curdir):
            del sys.path[0]


if __name__ == "__main__":
    _leave_working_directory()
    raise SystemExit(main())
