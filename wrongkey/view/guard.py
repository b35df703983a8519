"""Who may ask the server: browsers on this machine that were given its token.

Any web page can make a browser send requests to 127.0.0.1, and any user of the machine can connect to it. So a request
must name this server as its host (a page that rebinds its own name to 127.0.0.1 does not), and carry a token that only
the terminal shows: first in the address, from then on in a cookie that no other site's requests carry.
"""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wrongkey.reports.page.html import script_source

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (  # as the page's own, and what is served beside it
        f"default-src 'none'; script-src 'self' {script_source()}; style-src 'unsafe-inline'; "
        "img-src 'self' data:; media-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI middleware: answers only GET and HEAD, only to the right host, only with the token.

    port : int
        Where the server listens; part of the host's name, and of the cookie's, which all ports of a host share.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self.cookie = f"wrongkey-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on and add the headers that keep other sites out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self._answer(Request(scope))
        if answer is None:
            await self.app(scope, receive, _with_headers(send))
        else:
            await answer(scope, receive, _with_headers(send))

    def _answer(self, request: Request) -> Response | None:
        """The refusal, or the redirection that turns the token into a cookie; None for a request to pass on."""
        if request.headers.get("host", "").lower() not in self.hosts:
            return _refused("This address is not the server's own: use the one that wrongkey view printed.")
        if request.method not in ("GET", "HEAD"):
            return _refused("Nothing can be changed here: this server only answers GET.", 405)
        if self._is_token(request.query_params.get("token", "")):
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
            return answer
        if self._is_token(request.cookies.get(self.cookie, "")):
            return None
        return _refused("The token is missing or wrong: open the whole address that wrongkey view printed.")

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def _refused(sentence: str, status: int = 403) -> Response:
    return PlainTextResponse(f"{sentence}\n", status_code=status)


def _with_headers(send: Send) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def with_headers(message):  # type: ignore[no-untyped-def]
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *added]
        await send(message)

    return with_headers
