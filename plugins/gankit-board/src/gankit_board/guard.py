"""Who may ask: requests of this page alone, and with the token where there is one.

A page of somebody else's that a browser has open may send requests to this machine too,
and may have its own name point to it. The first is told by the header Origin, the
second by Host. Neither helps against other users of a machine: there is the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NO_TOKEN = (
    "This board asks for its token: open the link that `gankit board` has printed "
    "where it was started, which ends in ?token=…\n"
)
_SAFE = {"GET", "HEAD"}


class Guard:
    """Lets through what its own page asks, and adds the headers that keep it so.

    Args:
        app: what answers.
        hosts: names and ports by which it may be called; none: by any.
        token: that a request has to bring; "": none.
        scripts: digests of the scripts that stand in the page itself.
    """

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str], token: str, scripts: Iterable[str]
    ) -> None:
        self._app, self._token = app, token
        self._hosts = frozenset(hosts)
        allowed = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in scripts)])
        self._headers = {
            "content-security-policy": (
                f"default-src 'none'; script-src {allowed}; style-src 'self'; "
                "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        answer = self._refused(scope) or self._stranger(scope)
        await (answer or self._app)(scope, receive, sending)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self._hosts and host not in self._hosts:
            said = f"this board is not {host!r}; open it as {sorted(self._hosts)[0]}\n"
            return PlainTextResponse(said, 421)
        origin = headers.get("origin")
        foreign = origin is not None and _host_of(origin) != host
        site = headers.get("sec-fetch-site", "same-origin")
        asked_by_page = site in ("same-origin", "none") or (
            scope["method"] in _SAFE and headers.get("sec-fetch-mode") == "navigate"
        )
        if foreign or not asked_by_page:
            return PlainTextResponse("another page may not ask this board\n", 403)
        json = headers.get("content-type", "").partition(";")[0] == "application/json"
        if scope["method"] not in _SAFE and not json:
            return PlainTextResponse("send application/json\n", 415)
        return None

    def _stranger(self, scope: Scope) -> Response | None:
        if not self._token:
            return None
        if self._right(_cookie(Headers(scope=scope).get("cookie", ""), self._name)):
            return None
        asked = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if scope["method"] == "GET" and self._right(asked.pop("token", "")):
            there = scope["path"] + (f"?{urlencode(asked)}" if asked else "")
            answer = RedirectResponse("/" + there.lstrip("/\\"), 303)
            # strict, it would not be sent by who follows the link from another page, as
            # from the file that --open writes
            answer.set_cookie(
                self._name, self._token, httponly=True, samesite="lax", path="/"
            )
            return answer
        return PlainTextResponse(_NO_TOKEN, 401)

    @property
    def _name(self) -> str:
        """The name of the cookie; ports of one machine share cookies."""
        return f"gankit-board-{self._token[:6]}"

    def _right(self, told: str) -> bool:
        return hmac.compare_digest(told.encode(), self._token.encode())


def _cookie(header: str, name: str) -> str:
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # it is none
        return ""
