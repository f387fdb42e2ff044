"""What ``--control`` allows: to stop a run, to go on with one, to start a recipe.

Each is the command of that name, run as its user would: what it refuses, it refuses in
the same words. What was started goes on when the board is ended.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson
from attrs import define, field

from gankit_board import marks
from gankit_board.found import Found
from gankit_board.words import no_option, of_plugins

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_LETTERS = 2000  # of a value
_END = 4000  # bytes of what a command has said that are read
_REMEMBERED = 20  # commands that are told of
_LEFT_OUT = "plugins"  # a block of recipes that runs files


class RefusedError(Exception):
    """What cannot be done; the message is for the user."""


@define(eq=False)
class Begun:
    """A command that was started from the page."""

    name: str  # of the run
    words: tuple[str, ...]
    folder: Path
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def told(self) -> dict[str, Any]:
        """Say how it is: preparing, running, done or failed, and what it said last."""
        code = self.process.poll()
        mark = marks.read(self.folder)
        plays = mark is not None and mark.pid == self.process.pid
        state = "running" if plays else "preparing"
        if code is not None:
            state = "failed" if code == 2 or (code and not plays) else "ended"
        return {
            "name": self.name,
            "command": shlex.join(self.words),
            "state": state,
            "said": self._said(whole=state == "failed"),
        }

    def _said(self, *, whole: bool) -> str:
        descriptor = self.output.fileno()
        size = os.fstat(descriptor).st_size
        read = os.pread(descriptor, _END, max(0, size - _END))
        text = read.decode("utf-8", "replace").strip()
        if not whole:
            return text.rpartition("\n")[2]
        return text[max(0, text.find("error:")) :]


@define(eq=False)
class Control:
    """Starts commands, and stops runs.

    Args:
        root: the folder of runs.
        shown: the same, as its user has written it.
        plugins: local plugin files.
        disable: plugins to leave out.
    """

    root: Path
    shown: str
    plugins: Sequence[str] = ()
    disable: Sequence[str] = ()
    begun: list[Begun] = field(factory=list)
    _schema: Any = None

    def stop(self, run: Found) -> None:
        """Stop a run as Ctrl-C does: it finishes its step, and saves.

        Raises:
            RefusedError: it is not played by a process of this machine.
        """
        mark = marks.read(run.folder)
        if mark is None or mark.state != "playing":
            raise RefusedError(
                f"{run.name} does not say that it runs; stop it where it was started"
            )
        if mark.elsewhere:
            raise RefusedError(f"{run.name} runs on {mark.host}; stop it there")
        if not mark.alive:
            raise RefusedError(f"{run.name} runs no more: its process is gone")
        os.kill(mark.pid, signal.SIGINT)

    def resume(self, run: Found, changes: Mapping[str, str]) -> Begun:
        """Go on with a run.

        Raises:
            RefusedError: it runs, or a change cannot be.
        """
        mark = marks.read(run.folder)
        if mark and mark.state == "playing" and not mark.elsewhere and mark.alive:
            raise RefusedError(f"{run.name} runs already")
        words = ["resume", self._path(run.name), *overrides(changes)]
        return self._begin(run.name, words, run.folder)

    def start(self, recipe: str, changes: Mapping[str, str]) -> Begun:
        """Start a recipe, in the first folder that is free.

        Raises:
            RefusedError: a change cannot be.
        """
        stem, taken = recipe.rpartition("/")[2], {one.name for one in self.begun}
        n = 1
        while (self.root / f"{stem}-{n}").exists() or f"{stem}-{n}" in taken:
            n += 1
        name = f"{stem}-{n}"
        words = ["train", recipe, *overrides(changes), "--out", self._path(name)]
        return self._begin(name, words, self.root / name)

    async def recipes(self) -> list[dict[str, Any]]:
        """Return the recipes that there are, by name and summary."""
        listed = orjson.loads(await self._said("list", "recipe", "--json"))
        return [{k: one[k] for k in ("name", "long_name", "summary")} for one in listed]

    async def schema(self) -> Any:
        """Return the JSON schema of recipes, of which forms are made."""
        if self._schema is None:
            first = (await self.recipes())[0]["long_name"]
            said = await self._said("show", "recipe", first, "--schema")
            self._schema = orjson.loads(said)
        return self._schema

    def close(self) -> None:
        """Listen to nothing any more; what was started goes on."""
        for one in self.begun:
            one.output.close()

    def _begin(self, name: str, words: Sequence[str], folder: Path) -> Begun:
        # it is read for as long as the command is told of
        output = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            [sys.executable, "-m", "gankit", *words, *self._how()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # it goes on when the board is ended
        )
        begun = Begun(name, ("gankit", *words, *self._how()), folder, process, output)
        self.begun.append(begun)
        for old in self.begun[:-_REMEMBERED]:
            if old.process.poll() is not None:
                old.output.close()
                self.begun.remove(old)
        return begun

    def _path(self, name: str) -> str:
        return no_option(str(Path(self.shown) / name))

    def _how(self) -> list[str]:
        return of_plugins(self.plugins, self.disable)

    async def _said(self, *words: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gankit",
            *words,
            *self._how(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, wrong = await process.communicate()
        if process.returncode:
            raise RefusedError(wrong.decode("utf-8", "replace").strip())
        return said


def overrides(changes: Mapping[str, str]) -> list[str]:
    """Write changes of a recipe as the command line takes them.

    Raises:
        RefusedError: one is none, or would load a file of somebody's choice.
    """
    return [_override(key, value) for key, value in changes.items()]


def _override(key: Any, value: Any) -> str:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise RefusedError(f"{key!r} is no option of a recipe; write it as train.steps")
    if not isinstance(value, str) or len(value) > _LETTERS or "\x00" in value:
        raise RefusedError(f"{key}: give a text of at most {_LETTERS} letters")
    if key.split(".")[0] == _LEFT_OUT:
        raise RefusedError(
            "plugin files are named on the command line: gankit board --plugin FILE"
        )
    return f"{key}={value}"


def shown(begun: Iterable[Begun]) -> list[dict[str, Any]]:
    """Say how each is, the newest first."""
    return [one.told() for one in reversed(list(begun))]
