"""A page to watch runs on, and to draw from them; each run says how to open it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gankit import Command, hookimpl

if TYPE_CHECKING:
    from gankit import Run


@hookimpl
def gankit_commands() -> Iterator[Command]:
    """Yield the command of this plugin."""
    yield Command("board", "gankit_board.cli:board", "Watch runs on a page.")


@hookimpl(tryfirst=True)  # before the run's notes are shown
def gankit_before_run(run: Run) -> None:
    """Say how to watch the run, and leave word that it plays."""
    if run.folder is None:
        return
    import shlex

    from gankit_board import marks

    folder = shlex.quote(str(run.folder.parent))
    run.notes = (*run.notes, f"watch it with `gankit board {folder}`")
    marks.write(run.folder, marks.playing(run))


@hookimpl
def gankit_after_run(run: Run) -> None:
    """Leave word of how it has ended."""
    if run.folder is None:
        return
    from gankit_board import marks

    ended = "stopped" if run.step < run.total else "finished"
    marks.write(run.folder, marks.playing(run, ended, run.stopping))


@hookimpl
def gankit_on_error(run: Run, error: BaseException) -> None:
    """Leave word of what has ended it."""
    if run.folder is None:
        return
    from gankit_board import marks

    if isinstance(error, Exception):
        said = f"{type(error).__name__}: {error}"
        marks.write(run.folder, marks.playing(run, "failed", said))
    else:  # as a second Ctrl-C
        marks.write(run.folder, marks.playing(run, "stopped", type(error).__name__))
