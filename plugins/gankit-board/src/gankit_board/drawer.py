"""The process that draws, as the server holds it: one, started when it is needed."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import sys
import zipfile
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any

from attrs import define, field, frozen

_LONGEST = 1 << 28  # bytes of a line that answers
_REMEMBERED = 4  # drawings that can still be downloaded
_IDLE = 300.0  # seconds after which a process that nobody asks is let go


@frozen
class Drawing:
    """What was drawn: the grid, and each picture, as PNG files."""

    grid: bytes
    pictures: tuple[bytes, ...]
    stem: str  # of the names of downloads

    def zipped(self) -> bytes:
        """Put the grid and the pictures into one file."""
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:  # PNG is small already
            archive.writestr(f"{self.stem}.png", self.grid)
            for i, picture in enumerate(self.pictures):
                archive.writestr(f"{self.stem}/{i:04d}.png", picture)
        return file.getvalue()


class DrawingError(Exception):
    """A request that cannot be answered; the message is for its user."""


class BusyError(DrawingError):
    """A request that would wait for minutes without a word."""


@define(eq=False)
class Drawer:
    """Asks the process that draws, and remembers what it has drawn last.

    Args:
        plugins: local plugin files.
        disable: plugins to leave out.
    """

    plugins: Sequence[str] = ()
    disable: Sequence[str] = ()
    drawings: OrderedDict[str, Drawing] = field(factory=OrderedDict)
    waiting: int = 0  # requests that are not answered
    _styles: int = 0  # those of them that may learn an encoder first
    _process: asyncio.subprocess.Process | None = None
    _turn: asyncio.Lock = field(factory=asyncio.Lock)
    _leaving: asyncio.TimerHandle | None = None
    _closed: bool = False

    async def ask(
        self, request: dict[str, Any], begin: Callable[[], object] | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Send a request, and give what answers it, the last of it with "done".

        Whoever does not wait for the end has the process ended.

        Args:
            request: what is asked for.
            begin: is called when its turn has come, before it is sent.

        Raises:
            DrawingError: it cannot be answered.
        """
        style = request["do"] == "style"
        self.waiting += 1
        self._styles += style
        try:
            async with self._turn:
                if begin:
                    begin()
                # its process is ended before the next one's turn comes
                async with aclosing(self._asked(request)) as lines:
                    async for said in lines:
                        yield said
        finally:
            self.waiting -= 1
            self._styles -= style

    async def once(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request that is answered by one line.

        Raises:
            BusyError: it would wait for a style.
            DrawingError: it cannot be answered.
        """
        if self._styles:
            raise BusyError(
                "it draws in a style, for which it may learn an encoder; stop that, "
                "or wait"
            )
        last: dict[str, Any] = {}
        async for said in self.ask(request):
            last = said
        return last

    async def _asked(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        if self._closed:
            raise DrawingError("the board is being ended")
        if self._leaving is not None:
            self._leaving.cancel()
        process = await self._started()
        assert process.stdin is not None, "it was asked for"
        assert process.stdout is not None, "it was asked for"
        whole = False
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            while line := await process.stdout.readline():
                said: dict[str, Any] = json.loads(line)
                whole = "done" in said or "error" in said
                if "error" in said:
                    raise DrawingError(said["error"])
                yield said
                if whole:
                    break
            else:
                raise DrawingError(
                    "the process that draws has ended, as it does without memory; "
                    "ask for fewer pictures, or draw with `gankit sample`"
                )
        except (BrokenPipeError, ConnectionResetError) as error:
            raise DrawingError("the process that draws has ended; try again") from error
        finally:
            if whole:
                loop = asyncio.get_running_loop()
                self._leaving = loop.call_later(_IDLE, self._end)
            else:
                self._end()

    def remember(self, name: str, drawing: Drawing) -> None:
        """Keep a drawing for a while."""
        self.drawings[name] = drawing
        while len(self.drawings) > _REMEMBERED:
            self.drawings.popitem(last=False)

    async def close(self) -> None:
        """End the process, and answer nobody any more."""
        self._closed = True
        if self._leaving is not None:
            self._leaving.cancel()
        process = self._process
        self._end()
        if process is not None:
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            how = json.dumps([list(self.plugins), list(self.disable)])
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gankit_board.drawing",
                how,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LONGEST,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for the server, which ends it
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()


def decoded(text: str) -> bytes:
    """Read a file out of an answer."""
    return base64.b64decode(text)
