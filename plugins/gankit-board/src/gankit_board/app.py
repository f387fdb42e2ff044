"""What the page asks for, and what it is answered."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shlex
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from attrs import asdict, define
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gankit_board import control_routes, drawn_routes, styled
from gankit_board.control import Control
from gankit_board.curves import rounded
from gankit_board.drawer import Drawer
from gankit_board.following import Following
from gankit_board.found import Found, Library
from gankit_board.groups import grouped
from gankit_board.guard import Guard
from gankit_board.pictures import small
from gankit_board.recipes import differing, missing, options
from gankit_board.words import no_option, of_plugins

_POINTS = 700  # of a curve, unless the page asks for less
_TOGETHER = 8  # runs that are compared, at most
_SIDES = (96, 192)  # px of small pictures

Answer = Callable[[Request], Awaitable[Response]]


@define(eq=False)
class Board:
    """The page's server side.

    Args:
        following: of the runs that are shown.
        drawer: draws from them.
        shown: the folder as its user has written it.
        control: what changes runs, where that is allowed.
    """

    following: Following
    drawer: Drawer
    shown: str
    control: Control | None = None

    def run(self, name: str) -> Found:
        """Return the run that is asked for.

        Raises:
            HTTPException: it is not there.
        """
        run = self.following.library.get(name)
        if run is None:
            raise HTTPException(404, f"there is no run {name!r} in {self.shown!r}")
        return run

    def folder(self, run: Found) -> str:
        """Write the folder of a run as its user would; never like an option."""
        return no_option(str(Path(self.shown) / run.name))

    @property
    def plugin_words(self) -> list[str]:
        """The plugins that it was started with, as a command takes them."""
        return of_plugins(self.drawer.plugins, self.drawer.disable)

    async def runs(self, request: Request) -> Response:
        """All runs, the newest first."""
        await self.following.seen()
        library = self.following.library
        told = await asyncio.to_thread(lambda: [run.told() for run in library])
        told.sort(key=lambda run: -run["changed"])
        said = {"folder": self.shown, "all": library.looked, "count": len(library)}
        said["control"] = self.control is not None
        return answered(request, said | {"runs": told})

    async def one(self, request: Request) -> Response:
        """All about a run but its curves."""
        await self.following.seen()
        run = self.run(request.query_params.get("run", ""))
        return answered(request, await asyncio.to_thread(self._one, run))

    def _one(self, run: Found) -> dict[str, Any]:
        run.renew()  # where there are thousands, its turn may be far
        mark = run.mark
        warnings = [asdict(warning) for warning in run.summary.warnings]
        origin = run.table.get("provenance", {})
        return run.told() | {
            "warnings": warnings,
            "description": str(run.table.get("description", "")),
            "grids": list(run.grids()),
            "checkpoints": run.checkpoints(),
            "options": options(run.table),
            "parts": origin.get("parts", {}),
            "gankit": origin.get("gankit", ""),
            "missing": missing(run.table),
            "scores": run.scores(),
            "device": mark.device if mark else "",
            "resume": shlex.join(
                ["gankit", "resume", self.folder(run), *self.plugin_words]
            ),
            "control": self.control is not None,
        }

    async def curves(self, request: Request) -> Response:
        """The curves of a run, or of a range of its steps."""
        run = self.run(request.query_params.get("run", ""))
        first, last = whole(request, "from"), whole(request, "to")
        points = min(whole(request, "points") or _POINTS, 2000)
        curves = await self.following.curves(run)
        said: dict[str, Any] = {"version": curves.version, "share": curves.share}
        if whole(request, "version") == curves.version:
            return answered(request, said)
        drawn = await asyncio.to_thread(curves.drawn, points, first, last)
        each = {
            name: [rounded(v) for v in (three if drawn.lines > 1 else three[:1])]
            for name, three in drawn.series.items()
        }
        return answered(
            request,
            said
            | {
                "steps": drawn.steps.tolist(),
                "series": each,
                "lines": drawn.lines,
                "lost": drawn.lost,
                "broken": curves.broken,
                "groups": [asdict(group) for group in grouped(each)],
            },
        )

    async def compared(self, request: Request) -> Response:
        """What differs in the recipes of some runs."""
        names = request.query_params.getlist("run")
        if not 2 <= len(names) <= _TOGETHER:
            raise HTTPException(422, f"compare two to {_TOGETHER} runs")
        tables = [options(self.run(name).table) for name in names]
        rows = [
            {"option": key, "values": [table.get(key) for table in tables]}
            for key in differing(tables)
        ]
        return answered(request, {"differences": rows})

    async def picture(self, request: Request) -> Response:
        """The grid of a step, or a small picture of it."""
        run = self.run(request.query_params.get("run", ""))
        step = whole(request, "step")
        path = run.grids().get(-1 if step is None else step)
        if path is None or not self.following.library.inside(path):
            raise HTTPException(404, f"{run.name} has no picture of step {step}")
        written = path.stat()
        side = whole(request, "side")
        tag = f'"{written.st_mtime_ns:x}-{written.st_size:x}-{side or 0}"'
        keep = {"cache-control": "private, no-cache", "etag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=keep)
        if side is None:
            return FileResponse(path, media_type="image/png", headers=keep)
        side = min((s for s in _SIDES if s >= side), default=_SIDES[-1])
        made = await asyncio.to_thread(small, path, side)
        if made is None:
            raise HTTPException(404, f"{run.name}: the picture cannot be read")
        return Response(made, media_type="image/webp", headers=keep)


class _Files(StaticFiles):
    """Files of the page, of which a browser asks again whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Answer with a file, or that it is the same."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["cache-control"] = "no-cache"
        return answer


def whole(request: Request, name: str) -> int | None:
    """Return a whole number that is asked for.

    Raises:
        HTTPException: it is none.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise HTTPException(422, f"{name}: {text!r} is no whole number")
    return int(text)


def answered(request: Request, told: dict[str, Any]) -> Response:
    """Answer with JSON, unless the page has just that already."""
    body = orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS, default=str)
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = orjson.dumps({"error": error.detail})
    return Response(body, error.status_code, media_type="application/json")


def build(
    root: Path,
    shown: str,
    drawer: Drawer,
    *,
    hosts: list[str],
    token: str,
    control: Control | None = None,
) -> Starlette:
    """Build the application.

    Args:
        root: the folder of runs.
        shown: the same, as its user has written it.
        drawer: draws from runs.
        hosts: names and ports by which it may be called; none: by any.
        token: that is asked for, or "".
        control: what changes runs; None: nothing does.
    """
    following = Following(Library(root))
    board = Board(following, drawer, shown, control)
    changing = control_routes.routes(board, control) if control else []
    files = resources.files("gankit_board") / "page"
    page = (files / "index.html").read_text("utf-8")
    scripts = re.findall(r"<script[^>]*>([^<]+)</script>", page)
    digests = [b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]

    async def index(request: Request) -> Response:
        headers = {"cache-control": "no-cache"}
        return Response(page, media_type="text/html", headers=headers)

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        following.library.find()
        task = asyncio.create_task(following.go_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if control:
                control.close()

    return Starlette(
        routes=[
            Route("/", index),
            Route("/run", index),
            Route("/compare", index),
            Route("/new", index),
            Route("/api/runs", board.runs),
            Route("/api/run", board.one),
            Route("/api/curves", board.curves),
            Route("/api/compare", board.compared),
            Route("/api/picture", board.picture),
            *drawn_routes.routes(board),
            *styled.routes(board),
            *changing,
            Mount("/page", _Files(packages=[("gankit_board", "page")])),
        ],
        middleware=[
            Middleware(Guard, hosts=hosts, token=token, scripts=digests),
            Middleware(GZipMiddleware, minimum_size=2000),
        ],
        exception_handlers={HTTPException: _failed},
        lifespan=living,
    )
