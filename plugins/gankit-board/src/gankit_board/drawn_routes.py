"""What the playground asks for: to draw from a run, and to download what was drawn."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

import orjson
from attrs import field, frozen
from attrs.validators import and_, ge, in_, instance_of, le, max_len
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gankit_board.drawer import BusyError, Drawing, DrawingError, decoded
from gankit_board.recipes import differences

if TYPE_CHECKING:
    from gankit_board.app import Board

_BODY = 64 << 10  # bytes of a request
_MOST = 256  # pictures in one drawing
_LETTERS = 2000  # of a condition
_DEVICES = ("cpu", "auto")
_WALKS = {"noises": "--interpolate", "conditions": "--interpolate-conditions"}


def _whole(low: int, high: int) -> Any:
    return and_(instance_of(int), ge(low), le(high))


@frozen(kw_only=True)
class Wish:
    """What is to be drawn, checked as far as can be without the run."""

    run: str = field(validator=instance_of(str))
    what: Literal["samples", "noises", "conditions"] = field(
        default="samples", validator=in_(("samples", *_WALKS))
    )
    count: int = field(default=16, validator=_whole(1, _MOST))
    seed: int = field(default=0, validator=_whole(0, 2**63 - 1))
    truncation: float = field(
        default=0.0, converter=float, validator=and_(ge(0.0), le(100.0))
    )
    conditions: list[str] = field(
        factory=list, validator=and_(instance_of(list), max_len(64))
    )
    checkpoint: str | int = field(default="latest")
    device: str = field(default="cpu", validator=in_(_DEVICES))

    @conditions.validator
    def _texts(self, _: Any, value: list[str]) -> None:
        for text in value:
            if not isinstance(text, str) or not 1 <= len(text) <= _LETTERS:
                raise ValueError(f"conditions: texts of 1 to {_LETTERS} letters")

    @checkpoint.validator
    def _known(self, _: Any, value: str | int) -> None:
        if value not in ("latest", "best") and type(value) is not int:
            raise ValueError("checkpoint: latest, best, or the step of one")

    def request(self, folder: Path) -> dict[str, Any]:
        """Say it to the process that draws."""
        asked = {name: getattr(self, name) for name in _TOLD}
        return {"do": "draw", "folder": str(folder), **asked}

    def command(self, folder: str, step: int, option: str, how: Sequence[str]) -> str:
        """Return the command that draws the same pictures, of this very checkpoint.

        Args:
            folder: of the run, as its user would write it.
            step: of the checkpoint.
            option: that the command line takes conditions by.
            how: the plugins that it was drawn with.
        """
        words = ["gankit", "sample", folder, "--seed", str(self.seed)]
        words += ["--checkpoint", str(step), *self.drawn_by(option)]
        return shlex.join([*words, "--device", self.device, *how])

    def drawn_by(self, option: str) -> list[str]:
        """Write the options that settle what is drawn."""
        words = ["-n", str(self.count)]
        if self.what != "samples":
            words.append(_WALKS[self.what])
        elif self.truncation:
            words += ["--truncation", repr(self.truncation)]
        return words + self.conditioned(option)

    def conditioned(self, option: str) -> list[str]:
        """Write the conditions."""
        name, _, prefix = option.partition(" ")
        return [word for text in self.conditions for word in (name, prefix + text)]


_TOLD = (
    "what",
    "count",
    "seed",
    "truncation",
    "conditions",
    "checkpoint",
    "device",
)


AWish = TypeVar("AWish", bound=Wish)


async def asked(request: Request, most: int = _BODY) -> Mapping[str, Any]:
    """Read what is asked for, in at most so many bytes.

    Raises:
        HTTPException: it is too long, or no JSON object.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, "too much is asked for at once")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"no JSON: {error}") from error
    if not isinstance(told, dict):
        raise HTTPException(422, "no JSON object")
    return told


async def wished(request: Request, kind: type[AWish], most: int = _BODY) -> AWish:
    """Read a wish.

    Raises:
        HTTPException: it cannot be.
    """
    told = await asked(request, most)
    try:
        return kind(**told)
    except (TypeError, ValueError, OverflowError) as error:
        words = str(error.args[0]) if error.args else str(error)
        raise HTTPException(422, words) from error


def routes(board: Board) -> list[Route]:
    """Return what the playground asks for."""

    async def opened(request: Request) -> Response:
        """What a run can be asked for."""
        wish = await wished(request, Wish)
        opening = wish.request(board.run(wish.run).folder) | {"do": "open"}
        return as_json(await once(board, opening))

    async def named(request: Request) -> Response:
        """In what a run's recipe differs from the one that it is named after."""
        run = board.run(request.query_params.get("run", ""))
        told = await once(board, {"do": "recipe", "name": run.recipe})
        return as_json({"rows": differences(run.table, told["table"])})

    async def near(request: Request) -> Response:
        """The training items nearest to a picture that was drawn."""
        told = await asked(request)
        folder = board.run(str(told.get("run", ""))).folder
        drawing, place = told.get("drawing"), told.get("place")
        if type(drawing) is not str or type(place) is not int or place < 0:
            raise HTTPException(422, "drawing, place: say which picture of which")
        wish = {"do": "near", "folder": str(folder), "drawing": drawing, "place": place}
        return as_json(await once(board, wish))

    async def draw(request: Request) -> Response:
        """Pictures, as they are made: a line of JSON for some of them."""
        wish = await wished(request, Wish)
        run = board.run(wish.run)
        told = wish.request(run.folder)
        return streamed(drawn(board, wish, told, run.folder.name, board.folder(run)))

    async def download(request: Request) -> Response:
        """The grid, or all in a zip file, of what was drawn lately."""
        name, kind = request.path_params["name"], request.path_params["kind"]
        drawing = board.drawer.drawings.get(name)
        if drawing is None or kind not in ("png", "zip"):
            raise HTTPException(410, "it was drawn too long ago; draw it again")
        body = drawing.grid if kind == "png" else drawing.zipped()
        kinds = {"png": "image/png", "zip": "application/zip"}
        name = quote(f"{drawing.stem}.{kind}", safe="")
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
        return Response(body, media_type=kinds[kind], headers=headers)

    return [
        Route("/api/open", opened, methods=["POST"]),
        Route("/api/draw", draw, methods=["POST"]),
        Route("/api/near", near, methods=["POST"]),
        Route("/api/named", named),
        Route("/api/drawn/{name:str}.{kind:str}", download),
    ]


async def once(board: Board, wish: dict[str, Any]) -> dict[str, Any]:
    """Ask the process that draws.

    Raises:
        HTTPException: it cannot answer.
    """
    try:
        return await board.drawer.once(wish)
    except BusyError as error:
        raise HTTPException(409, str(error)) from error
    except DrawingError as error:
        raise HTTPException(422, str(error)) from error


def streamed(said: AsyncGenerator[dict[str, Any]]) -> Response:
    """Answer with a line of JSON as soon as there is something to say."""

    async def lines() -> AsyncIterator[bytes]:
        async with aclosing(said):
            async for one in said:
                yield orjson.dumps(one) + b"\n"

    return StreamingResponse(
        lines(),
        media_type="application/x-ndjson",
        headers={"content-encoding": "identity", "cache-control": "no-store"},
    )


async def drawn(
    board: Board,
    wish: Wish,
    request: dict[str, Any],
    name: str,
    shown: str,
    begin: Callable[[], object] | None = None,
) -> AsyncGenerator[dict[str, Any]]:
    """Ask for pictures, and remember them when all are there.

    Args:
        board: that is asked.
        wish: what is asked for.
        request: the same, as the process that draws is told.
        name: of the run's folder.
        shown: that folder, as its user would write it.
        begin: is called when its turn has come.
    """
    pictures: list[bytes] = []
    own = secrets.token_hex(8)
    if board.drawer.waiting:
        yield {"waiting": board.drawer.waiting}
    try:
        answering = board.drawer.ask(request | {"drawing": own}, begin)
        async with aclosing(answering) as lines:
            async for said in lines:
                if "done" in said:
                    grid = decoded(said.pop("grid"))
                    step, option = said["step"], said.pop("option")
                    stem = f"{name}-{step}-seed-{wish.seed}"
                    board.drawer.remember(own, Drawing(grid, tuple(pictures), stem))
                    command = wish.command(shown, step, option, board.plugin_words)
                    said |= {"drawing": own, "stem": stem, "command": command}
                else:
                    pictures += map(decoded, said.get("pictures", ()))
                yield said
    except DrawingError as error:
        yield {"error": str(error)}


def as_json(said: dict[str, Any]) -> Response:
    """Answer with JSON."""
    body = orjson.dumps(said, option=orjson.OPT_NON_STR_KEYS, default=str)
    return Response(body, media_type="application/json")
