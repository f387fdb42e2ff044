"""Requests for the process that draws: of many, each has its turn."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gankit_board.app import Board
from gankit_board.drawer import Drawer, DrawingError
from gankit_board.following import Following
from gankit_board.found import Library
from gankit_board.styled import StyleWish, _drawn


def _run(asked: Callable[[], Awaitable[Any]]) -> Any:
    """Run it in a thread without a loop: tests of pages leave theirs to this one."""

    async def bounded() -> Any:
        return await asyncio.wait_for(asked(), 60)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(bounded())).result()


def _png() -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def test_uploads_are_bounded_together(board: Any) -> None:
    """Those that come as well as those that wait; whoever goes frees the next."""
    board.drawer.waiting += 4
    refused = board.ask("/api/style", {"picture": "A" * (1 << 20)})
    board.drawer.waiting -= 4
    assert (refused.status, "4 requests wait" in refused.json()["error"]) == (429, True)
    coming = []
    for _ in range(4):
        connection = HTTPConnection("127.0.0.1", board.port, timeout=60)
        connection.putrequest("POST", "/api/style")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", "1000")
        connection.endheaders(b'{"picture": "')
        coming.append(connection)
    _until_answered(board, 429)
    for connection in coming:
        connection.close()
    _until_answered(board, 422)


def _until_answered(board: Any, status: int) -> None:
    limit = time.monotonic() + 30
    while board.ask("/api/style", {"run": "scenes"}).status != status:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_picture_is_laid_aside_when_its_turn_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait take no room on the disk."""
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    drawer = Drawer()
    board = Board(Following(Library(tmp_path)), drawer, "runs")
    wish = StyleWish(run="scenes", picture=_png(), file="style.png")

    def laid() -> list[Path]:
        return [path for path in aside.rglob("*") if path.is_file()]

    async def wait() -> tuple[list[Path], Any]:
        async with aclosing(_drawn(board, wish, tmp_path, "runs")) as lines:
            async with drawer._turn:
                first = asyncio.create_task(anext(lines))
                while not drawer.waiting:
                    await asyncio.sleep(0.01)
                early = laid()
            return early, await first

    monkeypatch.setattr(Drawer, "_started", lambda _: _said_of(laid()))
    early, said = _run(wait)
    assert early == []
    assert len(json.loads(said["error"])) == 1
    assert not any(aside.iterdir())


async def _said_of(laid: list[Path]) -> None:
    raise DrawingError(json.dumps([str(path) for path in laid]))


@pytest.mark.parametrize("between", ["\u202f", "\u00a0", "\u200d"])
def test_names_as_macos_gives_them_are_taken(between: str) -> None:
    """Screenshots have a space before PM that is not printable."""
    name = f"Screenshot at 4.05{between}PM.png"
    wish = StyleWish(run="scenes", picture=_png(), file=name)
    assert name in wish.drawn_by("--text")


_ENDLESS = """
import json, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    while asked["do"] == "style":
        print(json.dumps({"doing": "it learns"}), flush=True)
        time.sleep(0.1)
    print(json.dumps({"done": True}), flush=True)
"""


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have drawers start a process that answers at once, but for styles never."""
    package = tmp_path / "gankit_board"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "drawing.py").write_text(_ENDLESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("endless")
def test_a_stream_that_is_closed_leaves_no_process_to_the_next() -> None:
    """It is ended before the turn is given on, and the next one has its own."""

    async def ask() -> dict[str, Any]:
        drawer = Drawer()
        stream = drawer.ask({"do": "style"})
        await anext(stream)
        following = drawer.ask({"do": "draw"})
        second = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.1)
        await stream.aclose()
        ended = drawer._process is None
        said = await second
        await following.aclose()
        await drawer.close()
        return said | {"ended": ended}

    assert _run(ask) == {"done": True, "ended": True}


@pytest.mark.usefixtures("endless")
def test_while_a_style_is_drawn_others_are_refused_at_once(
    serve: Any, trained: Path
) -> None:
    """What would wait for minutes without a word; once it is stopped, they are not."""
    board = serve(trained, control=True)
    form = "/api/form?recipe=gankit-papers/gaussians"
    wish = {"run": "scenes", "picture": _png(), "file": "style.png"}
    styling = board.connect("/api/style", wish)
    answer = styling.getresponse()
    assert b"it learns" in answer.readline()
    asked = [("/api/open", {"run": "scenes"}), (form, None)]
    start = {"recipe": "gankit-papers/gaussians", "changes": {}}
    for path, told in [*asked, ("/api/start", start)]:
        refused = board.ask(path, told)
        assert refused.status == 409, path
        assert "learn an encoder; stop that, or wait" in refused.json()["error"]
    answer.close()
    styling.close()
    limit = time.monotonic() + 30
    while board.ask("/api/open", {"run": "scenes"}).status != 200:
        assert time.monotonic() < limit
        time.sleep(0.1)
