"""Who may ask a board, and for what."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest

from gankit.cli import run as command
from gankit_board import serving


def test_only_its_own_names_are_answered(board: Any) -> None:
    """Not a name of somebody else's that points to this machine."""
    for host in (f"127.0.0.1:{board.port}", f"localhost:{board.port}"):
        assert board.ask("/api/runs", host=host).status == 200
    for host in (
        "evil.example",
        f"evil.example:{board.port}",
        "127.0.0.1",
        "127.0.0.1:1",
    ):
        assert board.ask("/api/runs", host=host).status == 421
        assert board.ask("/", host=host).status == 421


def test_another_page_may_not_ask(board: Any) -> None:
    """By no method; a link to the board may be followed."""
    wish = {"run": "scenes"}
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{board.port + 1}"):
        assert board.ask("/api/runs", origin=origin).status == 403
        assert board.ask("/api/draw", wish, origin=origin).status == 403
    cross = {"sec_fetch_site": "cross-site"}
    assert board.ask("/api/picture?run=scenes&step=1", **cross).status == 403
    assert board.ask("/", **cross, sec_fetch_mode="navigate").status == 200
    # a form of another page can send no JSON
    simple = board.ask("/api/draw", wish, content_type="text/plain")
    assert simple.status == 415
    assert board.ask("/api/runs", origin=board.address).status == 200


def test_a_page_runs_its_own_scripts_alone(board: Any) -> None:
    """As its headers ask of a browser."""
    answer = board.ask("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_token_is_asked_for(serve: Any, trained: Path) -> None:
    """Of everything; the link that has it leaves a cookie, and no trace."""
    board = serve(trained, token="s3cret-token", anyhow=True)
    for path in (
        "/",
        "/api/runs",
        "/page/main.js",
        "/?token=wrong",
        "/api/runs?token=",
    ):
        assert board.ask(path).status == 401, path
    linked = board.ask("/run?run=scenes&token=s3cret-token")
    assert linked.status == 303
    assert linked.headers["location"] == "/run?run=scenes"
    cookie = linked.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    kept = cookie.partition(";")[0]
    assert board.ask("/api/runs", cookie=kept).status == 200
    assert board.ask("/api/runs", cookie=kept + "x").status == 401
    assert board.ask("/api/draw", {"run": "scenes"}).status == 401
    away = board.ask("//evil.example/?token=s3cret-token")
    assert away.headers["location"].startswith("/evil.example")


OUTSIDE = [
    "..",
    "../..",
    "/etc",
    "../secret",
    "scenes/..",
    "scenes/../../secret",
    "",
    ".",
]


def test_no_path_of_the_page_is_followed(
    serve: Any, trained: Path, tmp_path: Path
) -> None:
    """A run is looked up among those that were found; files have numbers."""
    root = tmp_path / "runs"
    shutil.copytree(trained, root)
    shutil.copytree(trained / "scenes", tmp_path / "secret")
    board = serve(root)
    board.runs()
    for name in OUTSIDE:
        for asked in ("run", "curves"):
            assert board.ask(f"/api/{asked}?run={quote(name)}").status == 404
        assert board.ask(f"/api/picture?run={quote(name)}&step=1").status == 404
        assert board.ask("/api/open", {"run": name}).status == 404
    for step in ("../1", "00000001.png", "-1", "1e3", "%2e%2e"):
        answer = board.ask(f"/api/picture?run=scenes&step={step}")
        assert answer.status == 422, step
    for path in (
        "/page/../cli.py",
        "/page/%2e%2e/cli.py",
        "/page//etc/passwd",
        "/runs",
    ):
        assert board.ask(path).status == 404, path


def test_a_link_out_of_the_folder_is_not_followed(
    serve: Any, trained: Path, tmp_path: Path
) -> None:
    """Of a picture, or of the metrics of a run."""
    root = tmp_path / "runs"
    shutil.copytree(trained, root)
    secret = tmp_path / "secret.png"
    shutil.copy(trained / "scenes" / "samples" / "00000001.png", secret)
    picture = root / "scenes" / "samples" / "00000001.png"
    picture.unlink()
    picture.symlink_to(secret)
    metrics = root / "points" / "metrics.jsonl"
    metrics.unlink()
    metrics.symlink_to(secret)
    board = serve(root)
    assert board.runs().keys() == {"scenes"}
    assert board.ask("/api/picture?run=scenes&step=2").status == 200
    assert board.ask("/api/picture?run=scenes&step=1").status == 404
    assert board.ask("/api/picture?run=scenes&step=1&side=96").status == 404


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"count": 0}, "count"),
        ({"count": 2.5}, "count"),
        ({"count": 10_000}, "count"),
        ({"seed": -1}, "seed"),
        ({"seed": "x"}, "seed"),
        ({"what": "everything"}, "what"),
        ({"device": "cuda:9"}, "device"),
        ({"truncation": -1}, "truncation"),
        ({"conditions": [3]}, "conditions"),
        ({"conditions": "a"}, "conditions"),
        ({"checkpoint": "../x"}, "checkpoint"),
        ({"folder": "/etc"}, "folder"),
        ({"run": 3}, "run"),
    ],
)
def test_a_wish_is_checked(board: Any, wish: dict[str, Any], said: str) -> None:
    """Before anything is drawn, and what is wrong is named."""
    answer = board.ask("/api/draw", {"run": "scenes"} | wish)
    assert answer.status == 422
    assert said in answer.json()["error"]


def test_what_is_no_wish_is_refused(board: Any) -> None:
    """No JSON object, or one that is too long."""
    assert board.ask("/api/draw", [1]).status == 422
    assert board.ask("/api/draw", {"run": "x" * 100_000}).status == 413


def test_two_to_eight_runs_are_compared(board: Any) -> None:
    """With what differs in their recipes; others are refused."""
    told = board.ask("/api/compare?run=scenes&run=points").json()
    found = {row["option"]: row["values"] for row in told["differences"]}
    assert found["loss.use"] == ["gankit-losses/matching-aware", "gankit-losses/hinge"]
    assert "loss.interpolation" not in found  # it follows from the part
    for count in (0, 1, 9):
        runs = "&".join(["run=scenes"] * count)
        assert board.ask(f"/api/compare?{runs}").status == 422


def test_a_vanished_run_is_told(serve: Any, trained: Path, tmp_path: Path) -> None:
    """By what asks for it, and the others go on."""
    root = tmp_path / "runs"
    shutil.copytree(trained, root)
    board = serve(root)
    board.runs()
    shutil.rmtree(root / "points")
    gone = board.ask("/api/curves?run=points")
    assert gone.status == 404
    assert "no run 'points'" in gone.json()["error"]
    board.until("/api/runs", "count", 1)


def test_what_has_not_changed_is_not_sent_again(board: Any) -> None:
    """A browser is told to keep what it has."""
    first = board.until("/api/curves?run=scenes", "share", 1.0)
    again = board.ask(f"/api/curves?run=scenes&version={first['version']}").json()
    assert again == {"version": first["version"], "share": 1.0}
    answer = board.ask("/api/compare?run=scenes&run=points")
    same = board.ask(
        "/api/compare?run=scenes&run=points", if_none_match=answer.headers["etag"]
    )
    assert (same.status, same.body) == (304, b"")


def test_a_picture_is_that_of_the_run_that_is_there(
    serve: Any, trained: Path, tmp_path: Path
) -> None:
    """A browser asks again: a new run may have an old one's name."""
    root = tmp_path / "runs"
    shutil.copytree(trained, root)
    board = serve(root)
    path = "/api/picture?run=scenes&step=1"
    first = board.ask(path)
    same = board.ask(path, if_none_match=first.headers["etag"])
    assert (same.status, same.body) == (304, b"")
    shutil.copy(
        root / "scenes/samples/00000006.png", root / "scenes/samples/00000001.png"
    )
    other = board.ask(path, if_none_match=first.headers["etag"])
    assert other.status == 200
    assert other.body != first.body


def test_a_folder_that_is_none_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to give instead."""
    assert command(["board", str(tmp_path / "no")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert command(["board", str(trained / "scenes")]) == 2
    assert f"gankit board {trained}" in capsys.readouterr().err


def test_a_port_in_use_is_passed_over() -> None:
    """The next free one is taken; of an address that is not here it is said."""
    first = serving.bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = serving.bind("127.0.0.1", port)
    assert second.getsockname()[1] > port
    first.close()
    second.close()
    with pytest.raises(ValueError, match=r"--host 192\.0\.2\.1"):
        serving.bind("192.0.2.1", 8642)


def test_who_may_reach_it_is_asked_for_a_token() -> None:
    """Of this machine nobody is; what the board is called is known there."""
    assert serving.is_loopback("127.0.0.1")
    assert serving.is_loopback("localhost")
    assert not serving.is_loopback("0.0.0.0")
    assert not serving.is_loopback("127.evil.example")
    assert serving.names("0.0.0.0", 1) == []
    assert "localhost:8642" in serving.names("127.0.0.1", 8642)
    assert serving.link("::1", 80, "") == "http://[::1]:80/"


def test_a_token_is_in_no_command_line(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The browser is given a file that nobody else can read, and that goes again."""
    given: list[str] = []
    files: list[Path] = []

    def opened(url: str) -> None:
        given.append(url)
        if url.startswith("file:"):
            files.append(file := Path(urlsplit(url).path))
            assert capsys.readouterr().out.partition(": ")[2].split()[0] in (
                file.read_text()
            )
            assert file.stat().st_mode & 0o777 == 0o600
            assert file.parent.stat().st_mode & 0o777 == 0o700

    monkeypatch.setattr("webbrowser.open", opened)
    monkeypatch.setattr(serving, "serve", lambda app, opened, end: opened.close())
    words = ["board", str(trained), "--port", "0", "--open"]
    for more in ("--control", "--token"):
        assert command([*words, more]) == 0
    assert all("token" not in url for url in given)
    assert len(files) == 2
    assert not any(file.parent.exists() for file in files)
    assert "if the browser shows nothing" in capsys.readouterr().out
    assert command(words) == 0
    assert given[-1].startswith("http://127.0.0.1:")
    said = capsys.readouterr().out
    assert "any user of this machine can open it" in said
    assert "shows nothing" not in said


def test_a_file_leads_a_browser_to_the_board(
    serve: Any, page: Any, trained: Path
) -> None:
    """With its cookie, although it comes from another page."""
    board = serve(trained, token="s3cret-token")
    with serving.private(f"{board.address}/?token=s3cret-token") as url:
        page.goto(url)
        page.locator(".row .name", has_text="scenes").wait_for()
    assert page.url == f"{board.address}/"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(trained: Path, number: int) -> None:
    """Also while it draws, without a word; started again it shows the same."""
    told = []
    for _ in range(2):
        board = subprocess.Popen(
            [sys.executable, "-m", "gankit", "board", str(trained), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert board.stdout is not None
        line = board.stdout.readline()
        port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
        told.append(_curves(port))
        busy = socket.create_connection(("127.0.0.1", port))
        body = json.dumps({"run": "scenes"})
        head = f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n{body}"
        busy.sendall(f"POST /api/open HTTP/1.1\r\n{head}".encode())
        _curves(port)  # so that the other one has begun
        board.send_signal(number)
        out, err = board.communicate(timeout=60)
        busy.close()
        assert (board.returncode, out, err) == (0, "", "")
    assert told[0] == told[1]


def _curves(port: int) -> Any:
    for _ in range(200):
        with urlopen(f"http://127.0.0.1:{port}/api/curves?run=scenes") as answer:
            read = json.loads(answer.read())
        if read["share"] == 1:
            return read["series"]
        time.sleep(0.1)
    raise AssertionError("it is not read")
