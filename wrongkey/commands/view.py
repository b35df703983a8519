"""``wrongkey view``: the report in a browser, where any key can be heard."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput

EXTRA = "wrongkey view needs Starlette and uvicorn: pip install 'wrongkey[view]'."


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "view",
        help="the report in a browser on this machine: pick a key, hear speech under it",
        description="Serves the page of `wrongkey report` on 127.0.0.1 until Ctrl-C, and beside it what needs Python: "
        "pick a key to hear it encrypt or decrypt speech, see its spectrograms, measures, neighbours and transcripts. "
        "It reads the run folders and changes nothing.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="run folders, or folders that hold some")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: a free port)")
    parser.add_argument("--media", choices=["real"], help="also real people's clips, of runs that kept them")
    parser.add_argument("--trust", action="store_true", help="run the code of a scheme that a run names")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Load the runs and serve them until Ctrl-C."""
    try:
        from wrongkey.view.serve import serve
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("starlette", "uvicorn", "anyio"):
            raise
        raise BadInput(EXTRA) from None
    if not 0 <= options.port < 2**16:
        raise BadInput(f"--port {options.port} is not a port: give 1 to 65535, or 0 for a free one.")
    serve(options.runs, options.port, options.media == "real", options.trust, not options.no_browser)
    return 0
