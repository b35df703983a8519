"""The server of `wrongkey view`: the report's page, and what is known about the key that was picked on it.

It only reads: run folders, once, when it starts, and their kept clips. Runs are asked for by name among those that were
loaded, so no address can name a file. Sound and spectrograms are made when they are asked for and are never written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.media import opus
from wrongkey.view.guard import Guard
from wrongkey.view.keys import KeysOfRun
from wrongkey.view.sound import Kept, Speech, Use, under_key

SCRIPT = Path(__file__).with_name("view.js")


@dataclass(frozen=True, eq=False)
class Shown:
    """A run that is shown: its keys, and the speech that it kept, or a sentence that says why there is none."""

    keys: KeysOfRun
    kept: Kept | None
    silence: str


@dataclass(frozen=True, eq=False)
class View:
    """What the server shows.

    page: the HTML.  runs: by the name that the page calls them.
    """

    page: str
    runs: Mapping[str, Shown]


def app(view: View, token: str, port: int) -> Starlette:
    """The server as an ASGI application.

    Parameters
    ----------
    view : View
        What it shows.
    token : str
        Without which it answers nothing.
    port : int
        Where it listens, which requests must name.
    """
    routes = [
        Route("/", _of(view, _page)),
        Route("/view.js", _of(view, _script)),
        Route("/key/{run:str}/{index:int}", _of(view, _key)),
        Route("/sound/{run:str}/{index:int}/{use:str}.opus", _of(view, _opus)),
        Route("/sound/{run:str}/{index:int}/{use:str}.png", _of(view, _plate)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token, port=port)])


def _of(view: View, answer: Callable[[View, Request], Response]) -> Callable[[Request], object]:
    """An endpoint that computes in a thread, and answers bad input with its sentence."""

    def computed(request: Request) -> Response:
        try:
            return answer(view, request)
        except BadInput as error:
            return PlainTextResponse(f"{error}\n", status_code=404)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(computed, request)

    return endpoint


def _page(view: View, request: Request) -> Response:
    return HTMLResponse(view.page)


def _script(view: View, request: Request) -> Response:
    return FileResponse(SCRIPT, media_type="text/javascript")


def _key(view: View, request: Request) -> Response:
    shown, index = _shown(view, request), request.path_params["index"]
    kept = shown.kept
    facts = shown.keys.facts(index, None if kept is None else kept.speech)
    facts |= {"silence": shown.silence, "sound": bool(kept and kept.rate)}
    return JSONResponse(facts | {"uses": list(shown.keys.uses) if kept else []})


def _opus(view: View, request: Request) -> Response:
    kept, heard = _sound(view, request)
    if not kept.rate:
        raise BadInput("The keys of this run encrypt a spectrogram, which has no sound.")
    loudest = max(1.0, float(np.abs(heard).max()))
    return Response(opus(heard.astype(np.float64) / loudest, kept.rate), media_type="audio/ogg")


def _plate(view: View, request: Request) -> Response:
    kept, heard = _sound(view, request)
    return Response(kept.plate(heard), media_type="image/png")


def _shown(view: View, request: Request) -> Shown:
    name = request.path_params["run"]
    if name not in view.runs:
        raise BadInput(f"There is no run {name!r} here: {_listed(list(view.runs))}.")
    return view.runs[name]


def _sound(view: View, request: Request) -> tuple[Kept, Speech]:
    """The kept speech, and what is heard of it."""
    shown, index, use = _shown(view, request), request.path_params["index"], request.path_params["use"]
    keys, kept = shown.keys, shown.kept
    if kept is None:
        raise BadInput(shown.silence)
    if use not in keys.uses:
        raise BadInput(f"A key of this run can {' or '.join(keys.uses)} speech, not {use!r} it.")
    return kept, under_key(kept.speech, keys.key(index), keys.correct, Use(use), keys.cut)


def _listed(names: Sequence[str]) -> str:
    return f"there are {', '.join(names)}" if names else "there are none with a sweep"
