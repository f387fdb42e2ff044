"""Style transfer in the playground: a picture of the user's, drawn with conditions."""

from __future__ import annotations

import base64
import binascii
import tempfile
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from attrs.validators import instance_of, max_len
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gankit_board.drawn_routes import Wish, drawn, streamed, wished
from gankit_board.pictures import check_picture
from gankit_board.words import no_option

if TYPE_CHECKING:
    from gankit_board.app import Board

_LARGEST = 12 << 20  # bytes of a picture
_BODY = 4 * _LARGEST // 3 + (64 << 10)  # bytes of a request, which has it in base64
_TOGETHER = 4  # requests that are not answered, with which no more pictures are taken


def _picture(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("picture: give its file in base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"picture: no base64: {error}") from error


@frozen(kw_only=True)
class StyleWish(Wish):
    """What is to be drawn in the style of a picture."""

    picture: bytes = field(converter=_picture, repr=False)
    file: str = field(
        validator=(instance_of(str), max_len(255))
    )  # as its user calls it
    by: str = field(default="", validator=(instance_of(str), max_len(255)))

    @picture.validator
    def _can_be_read(self, _: Any, data: bytes) -> None:
        if len(data) > _LARGEST:
            raise ValueError(f"picture: it has more than {_LARGEST >> 20} MB")
        check_picture(data)

    @file.validator
    def _is_a_name(self, _: Any, name: str) -> None:
        # spaces that are not printable are usual: macOS writes some into names
        control = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
        if control or "/" in name or name in ("", ".", ".."):
            raise ValueError("file: give the name of the picture, without a folder")

    def request(self, folder: Path) -> dict[str, Any]:
        """Say it to the process that draws, but for the file, which is yet to be."""
        return super().request(folder) | {"do": "style", "by": self.by}

    def drawn_by(self, option: str) -> list[str]:
        """Write the options that settle what is drawn."""
        by = ["--style-by", self.by] if self.by else []
        return ["--style", no_option(self.file), *by, *self.conditioned(option)]


def routes(board: Board) -> list[Route]:
    """Return what style transfer asks for."""
    reading = 0  # requests whose pictures are on their way

    async def style(request: Request) -> Response:
        """Pictures in the style of one; until noise is found for it, how far it is."""
        nonlocal reading
        if reading + board.drawer.waiting >= _TOGETHER:
            async for _ in request.stream():
                pass  # a browser shows no answer before all that it sends is taken
            raise HTTPException(
                429,
                f"{_TOGETHER} requests wait already; try again when one is answered",
            )
        reading += 1
        try:
            wish = await wished(request, StyleWish, _BODY)
        finally:
            reading -= 1
        run = board.run(wish.run)
        return streamed(_drawn(board, wish, run.folder, board.folder(run)))

    return [Route("/api/style", style, methods=["POST"])]


async def _drawn(
    board: Board, wish: StyleWish, folder: Path, shown: str
) -> AsyncGenerator[dict[str, Any]]:
    """Lay the picture aside for as long as it is needed, where nobody else can read."""
    with tempfile.TemporaryDirectory(prefix="gankit-board-") as aside:
        file = Path(aside, "picture")
        request = wish.request(folder) | {"style": str(file)}
        begin = partial(file.write_bytes, wish.picture)
        said_of_it = drawn(board, wish, request, folder.name, shown, begin)
        async with aclosing(said_of_it) as lines:
            async for said in lines:
                for key in said.keys() & {"note", "error", "doing"}:
                    text = said[key].replace(str(file), wish.file)
                    said[key] = text.replace(str(folder), shown)
                yield said
