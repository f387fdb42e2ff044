"""What a person sees of a run: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from gankit.game.ranking import AUC
from gankit.hookspecs import hookimpl
from gankit.runs.report import Report, RunWarning
from gankit.runs.run import Run

_SHOWN = {
    "loss/discriminator": "D",
    "loss/generator": "G",
    AUC: AUC,
}
_EVERY = 0.5  # seconds between two refreshes of a terminal
_WIDE = 100  # columns of a terminal that has room for a bar


def watcher() -> Live | Lines:
    """Return what suits the standard error that there is."""
    return Live() if sys.stderr.isatty() else Lines()


class Rate:
    """Steps a second, of the last seconds alone.

    Args:
        seconds: how long ago the oldest step that counts may have been; where there is
            none so young, the last one that was told of counts.
        clock: tells the seconds.
    """

    def __init__(
        self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._clock = seconds, clock
        self._told: deque[tuple[float, int]] = deque()  # seconds, steps done

    def __call__(self, step: int) -> float:
        """Take a step into account; return the rate."""
        now = self._clock()
        while len(self._told) > 1 and self._told[0][0] < now - self._seconds:
            self._told.popleft()
        self._told.append((now, step))
        before, first = self._told[0]
        return (step - first) / (now - before) if now > before else 0.0


def _numbers(report: Report, rate: float) -> str:
    values = report.values()
    shown = [
        f"{word} {values[key]:.2f}" for key, word in _SHOWN.items() if key in values
    ]
    return "  ".join([f"{rate:.1f} steps/s", *shown])


def _told(run: Run) -> list[str]:
    """Say what there is to know before the first step."""
    data = run.data
    lines = [
        f"{run.name}: {run.total - run.step:,} steps on {len(data):,} items; run "
        f"folder {run.folder}",
        *run.choices,
    ]
    if run.plugins:
        lines.append("plugins: " + ", ".join(map(" ".join, run.plugins.items())))
    if data.skipped:
        lines.append(
            f"{len(data.skipped)} items skipped: " + "; ".join(data.skipped[:5])
        )
    notes = (*run.notes, *getattr(run.game.conditioner, "notes", ()))
    return [*lines, *(f"note: {note}" for note in notes)]


class Lines:
    """One plain line of text for every so many steps, on standard error."""

    def __init__(self) -> None:
        self._rate = Rate()
        self._last = ("", -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def progress(self, done: int, total: int, text: str) -> None:
        """Tell of what takes long before the first step, a tenth at a time."""
        tenth = (
            "reading" if text.startswith("reading") else "",
            10 * done // max(total, 1),
        )
        if tenth != self._last:
            self._last = tenth
            click.echo(f"{text}: {done:,} of {total:,}", err=True)

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Introduce the run."""
        for line in _told(run):
            click.echo(line, err=True)
        self._rate(run.step)

    @hookimpl
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write a line for a step that is due."""
        if run.due(run.assembly.train.log_every):
            numbers = _numbers(report, self._rate(run.step))
            click.echo(f"step {run.step:,} of {run.total:,}  {numbers}", err=True)

    @hookimpl
    def gankit_on_warning(self, warning: RunWarning) -> None:
        """Write it."""
        click.echo(f"warning: {warning.kind}: {warning.text}", err=True)


class JsonLines(Lines):
    """Lines of JSON on standard output; everything said in words is left out."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Say nothing."""

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Introduce the run."""
        line = {"run": str(run.folder), "steps": run.total, "items": len(run.data)}
        told = {"skipped": run.data.skipped, "notes": run.notes, "choices": run.choices}
        said = {name: list(lines) for name, lines in told.items()}
        click.echo(json.dumps(line | said | {"plugins": dict(run.plugins)}))

    @hookimpl
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write a line for a step that is due."""
        if run.due(run.assembly.train.log_every):
            click.echo(json.dumps(report.as_json()))

    @hookimpl
    def gankit_on_warning(self, warning: RunWarning) -> None:
        """Write it."""
        said = {"step": warning.step, "warning": warning.kind, "text": warning.text}
        click.echo(json.dumps(said))


class Live:
    """A live line on a terminal: bar, rate, losses, AUC, time to go."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        bar = [BarColumn(bar_width=20)] if self._console.width >= _WIDE else []
        self._bars = Progress(
            TextColumn("{task.description}"),
            *bar,
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True),
            console=self._console,
        )
        self._rate = Rate()
        self._task: TaskID | None = None
        self._phase = ""
        self._shown = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def progress(self, done: int, total: int, text: str) -> None:
        """Show what takes long before the first step."""
        phase, _, numbers = text.partition(":")
        if phase != self._phase:
            self._start(phase, total)
        assert self._task is not None, "a phase has started"
        self._bars.update(
            self._task, completed=done, total=total, numbers=numbers.strip()
        )

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Introduce the run."""
        self._start("training", run.total)
        for line in _told(run):
            self._console.print(line, markup=False)
        self._rate(run.step)

    @hookimpl
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Refresh the line, not so often that the device would wait for it."""
        now = time.monotonic()
        if now - self._shown < _EVERY and run.step < run.total:
            return
        self._shown = now
        assert self._task is not None, "training has started"
        numbers = _numbers(report, self._rate(run.step))
        self._bars.update(self._task, completed=run.step, numbers=numbers)

    @hookimpl
    def gankit_on_warning(self, warning: RunWarning) -> None:
        """Write it above the live line."""
        self._console.print(f"warning: {warning.kind}: {warning.text}", markup=False)

    def _start(self, phase: str, total: int) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._phase = phase
        self._task = self._bars.add_task(phase, total=total, numbers="")
