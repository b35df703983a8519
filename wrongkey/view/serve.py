"""Starts the server of `wrongkey view`: loads the runs, listens on this machine alone, prints the address."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from wrongkey.errors import BadInput
from wrongkey.terminal import note, say
from wrongkey.view.app import app
from wrongkey.view.load import load

HOST = "127.0.0.1"


def serve(paths: Sequence[Path], port: int, real: bool, trusted: bool, browser: bool) -> None:
    """Serve run folders until Ctrl-C.

    Parameters
    ----------
    paths : sequence of Path
        Run folders, or folders that hold some.
    port : int
        Where to listen on 127.0.0.1; 0 for a free port.
    real : bool
        Whether real people's clips are heard.
    trusted : bool
        Whether a scheme that a run names may run code.
    browser : bool
        Whether to open a browser.

    Raises
    ------
    BadInput
        For folders that cannot be read, and for a port that is taken.
    """
    with _listening(port) as listening:
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(32)
        server = app(load(paths, real, trusted), token, port)
        address = f"http://{HOST}:{port}/?token={token}"
        say(address)
        note("Only this machine can open it, and only with this whole address. Ctrl-C stops it.")
        if browser:
            webbrowser.open(address)
        config = uvicorn.Config(server, log_level="warning", access_log=False, server_header=False, ws="none")
        with suppress(KeyboardInterrupt):  # which is how one ends it
            uvicorn.Server(config).run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()  # a browser that comes before the server is up waits
    except OSError as error:
        listening.close()
        raise BadInput(f"--port {port} cannot be opened ({error.strerror}): choose another, or leave it out.") from None
    return listening
