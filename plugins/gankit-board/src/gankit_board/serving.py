"""Sockets, and the server on them."""

from __future__ import annotations

import errno
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from gankit.errors import UsageError

# seconds that a thread which reads runs may compute before an answer has its turn; with
# Python's own, ten times as long, a page of many files waited for each of them
_TURN = 0.0005
_TRIED = 50  # ports after the one that is asked for


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def bind(host: str, port: int) -> socket.socket:
    """Open a port, or the next one that is free.

    Raises:
        UsageError: there is none, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in range(port, min(port + _TRIED, 65536)):
        opened = socket.socket(family)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, tried))
            opened.listen(128)
            return opened
        except OSError as error:
            opened.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                reason = error.strerror or str(error)
                raise UsageError(
                    f"--host {host}: {reason}; give an address of this machine, as "
                    "127.0.0.1"
                ) from error
    raise UsageError(
        f"--port {port}: it and the next {_TRIED - 1} are in use; give another"
    )


def names(host: str, port: int) -> list[str]:
    """Return what a browser may call the board by; nothing where that is not known."""
    if not is_loopback(host):
        return []
    called = {host, "127.0.0.1", "localhost", "[::1]"}
    return sorted(f"[{n}]:{port}" if n == "::1" else f"{n}:{port}" for n in called)


def link(host: str, port: int, token: str) -> str:
    """Return what opens the board in a browser."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


@contextmanager
def private(address: str) -> Iterator[str]:
    """Give the URL of a file that leads to an address, and that no other user can read.

    What a browser is started with, others see in the list of processes.
    """
    with tempfile.TemporaryDirectory(prefix="gankit-board-") as folder:
        file = Path(folder, "open.html")
        file.touch(mode=0o600)
        file.write_text(
            f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n'
        )
        yield file.as_uri()


class Server(uvicorn.Server):
    """A server that ends what takes long before it waits for its requests."""

    def __init__(
        self, config: uvicorn.Config, ending: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        await self._ending()
        await super().shutdown(sockets)


def config(app: ASGIApp) -> uvicorn.Config:
    """Say how to serve: plain HTTP, and no word of each request."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="none",
        loop="asyncio",
        http="h11",
        server_header=False,
        timeout_graceful_shutdown=2,
    )


def serve(
    app: ASGIApp, opened: socket.socket, ending: Callable[[], Awaitable[None]]
) -> None:
    """Answer until a signal ends it; ``ending`` is called first then."""
    sys.setswitchinterval(_TURN)
    Server(config(app), ending).run(sockets=[opened])
