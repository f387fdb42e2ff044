"""A board that answers within the tests, and a browser that looks at it."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from attrs import define, frozen

import gankit
from gankit_board import serving
from gankit_board.app import build
from gankit_board.control import Control
from gankit_board.drawer import Drawer
from tiny import CAPTIONED, LABELLED

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOOK = 180_000  # ms that a machine with much else to do may take
SIZE = {"width": 1280, "height": 900}


@frozen
class Answer:
    """What a board has answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Read it."""
        return json.loads(self.body)


@define
class Served:
    """A board that answers."""

    port: int
    drawer: Drawer

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, told: Any = None, method: str = "", **headers: str
    ) -> Answer:
        """Ask as a browser does, but with these headers too."""
        connection = self.connect(path, told, method, **headers)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        given = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, given, read)

    def connect(
        self, path: str, told: Any = None, method: str = "", **headers: str
    ) -> HTTPConnection:
        """Ask, and do not wait."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = None
        if told is not None:
            body, sent = json.dumps(told), {"content-type": "application/json"} | sent
        method = method or ("POST" if told is not None else "GET")
        connection.putrequest(method, path, skip_host="host" in sent)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode() if body is not None else None)
        return connection

    def runs(self) -> dict[str, Any]:
        """Return all runs by name, as soon as they have been looked at."""
        return {run["name"]: run for run in self.until("/api/runs", "all")["runs"]}

    def until(self, path: str, key: str, value: Any = True) -> Any:
        """Ask until an answer has this."""
        limit = time.monotonic() + 60
        while (told := self.ask(path).json()).get(key) != value:
            assert time.monotonic() < limit, told
            time.sleep(0.05)
        return told


Serve = Callable[..., Served]


@contextmanager
def _serving() -> Iterator[Serve]:
    ending: list[Callable[[], None]] = []

    def served(
        root: Path,
        token: str = "",
        anyhow: bool = False,
        control: bool = False,
        plugins: Sequence[str] = (),
        disable: Sequence[str] = (),
    ) -> Served:
        opened = serving.bind("127.0.0.1", 0)
        port = opened.getsockname()[1]
        hosts = [] if anyhow else serving.names("127.0.0.1", port)
        drawer = Drawer(plugins, disable)
        steer = Control(root, str(root), plugins, disable) if control else None
        app = build(root, str(root), drawer, hosts=hosts, token=token, control=steer)
        server = serving.Server(serving.config(app), drawer.close)
        thread = threading.Thread(target=server.run, args=([opened],), daemon=True)
        thread.start()

        def end() -> None:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
            for begun in steer.begun if steer else ():
                begun.process.wait(60)

        ending.append(end)
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        return Served(port, drawer)

    yield served
    for end in ending:
        end()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give what serves a folder of runs, until the test is over."""
    with _serving() as serve:
        yield serve


@pytest.fixture(scope="session")
def board(trained: Path) -> Iterator[Served]:
    """Give a board of the trained runs, for tests that change none."""
    with _serving() as serve:
        yield serve(trained)


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give a board of no runs that may start some."""
    with _serving() as serve:
        yield serve(tmp_path_factory.mktemp("steered"), control=True)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a run of captioned pictures, and one of labelled points."""
    root = tmp_path_factory.mktemp("board") / "runs"
    frequent = {"sample_every": 1, "keep": 3}
    for name, table in (("scenes", CAPTIONED), ("points", LABELLED)):
        often = table | {"train": table["train"] | frequent}
        gankit.train(often, out=root / name)
    return root


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Give a browser; without one, what needs it is skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            timeout=LOOK,
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """Give a page of it; whatever it complains of is an error."""
    context = chromium.new_context(viewport=SIZE, reduced_motion="reduce")
    context.set_default_timeout(LOOK)
    shown = context.new_page()
    wrong: list[str] = []
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.on(
        "console",
        lambda said: wrong.append(said.text) if said.type == "error" else None,
    )
    shown.wrong = wrong
    yield shown
    context.close()
    # what is refused is told to the user, and by the browser to its console
    assert [w for w in wrong if "Failed to load resource" not in w] == []
