"""What a run writes: metrics, sample grids, checkpoints.

Hook implementations like anybody's. After a step, grids are drawn before plugins look
at it; metrics and TensorBoard come after them, to hold what they have measured, and the
checkpoint comes last.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

from gankit.errors import DivergedError, RunError, listed, nearest
from gankit.hookspecs import hookimpl
from gankit.runs import checkpoint
from gankit.runs.folder import SAVED, cannot_write, clean, write_whole
from gankit.runs.pictures import Samples
from gankit.runs.report import Report, RunWarning
from gankit.runs.restoring import BEST
from gankit.runs.run import Run
from gankit.watchers.broken import NAME as BROKEN_ITEMS
from gankit.watchers.broken import BrokenItems
from gankit.watchers.health import NAME as HEALTH
from gankit.watchers.health import Health
from gankit.watchers.tensorboard import TensorBoard

METRICS, EVENTS = "gankit.metrics", "gankit.tensorboard"
_LATE = {METRICS, EVENTS}  # write what other hooks measure of a checkpoint, if any do


class Metrics:
    """Appends a line of JSON to ``metrics.jsonl`` every ``train.log_every`` steps."""

    def __init__(self) -> None:
        self._written = 0  # the step of the last line of measurements
        self._told: dict[str, tuple[int, float]] = {}  # what hooks measured, of these

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Drop lines of steps that a resumed run will take again."""
        self._drop_after(run, run.step)

    @hookimpl(trylast=True)  # so that what hooks measure is in the step's own line
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write the measurements of a step that is due."""
        if report.step <= self._written:  # the run has gone back
            self._drop_after(run, report.step - 1)
        if run.due(run.assembly.train.log_every):
            self._write(run, report.as_json())

    @hookimpl(wrapper=True)
    def gankit_on_checkpoint(self, run: Run) -> Generator[None, Any, Any]:
        """Write what hooks measure of a checkpoint, which cannot hold it itself."""
        return (yield from self._writing_late(run))

    @hookimpl(wrapper=True)
    def gankit_after_run(self, run: Run) -> Generator[None, Any, Any]:
        """Write what hooks measure of a run that is over: no line is to come."""
        return (yield from self._writing_late(run))

    @hookimpl(tryfirst=True)
    def gankit_on_error(self, run: Run, error: BaseException) -> None:
        """Write what a step measured, where another hook failed first."""
        if _is_saved_after(error) and run.report and run.report.step > self._written:
            self.gankit_after_step(run, run.report)

    @hookimpl
    def gankit_on_warning(self, run: Run, warning: RunWarning) -> None:
        """Write a warning as a line of its own."""
        if warning.step < self._written:  # the run has gone back
            self._drop_after(run, warning.step)
        said = {"step": warning.step, "warning": warning.kind, "text": warning.text}
        self._append(run, said)

    def _writing_late(self, run: Run) -> Generator[None, Any, Any]:
        """Give what is measured meanwhile a line of its own."""
        before = dict(run.measured)
        result = yield
        if run.measured.items() - before.items() - self._told.items():
            self._write(run, {"step": run.step})
        return result

    def _write(self, run: Run, line: dict[str, Any]) -> None:
        """Write a line, with what hooks have measured since the last."""
        seconds = round(time.monotonic() - run.started, 3)
        new = sorted(run.measured.items() - self._told.items())
        values = {k: v if math.isfinite(v) else None for k, (_, v) in new}
        self._append(run, {"seconds": seconds, **line, **values})
        self._written = run.step
        self._told |= new

    def _append(self, run: Run, line: dict[str, Any]) -> None:
        path = _folder(run) / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise cannot_write(path, error) from error

    def _drop_after(self, run: Run, step: int) -> None:
        path = _folder(run) / "metrics.jsonl"
        self._written, self._told = 0, {}
        if not path.exists():
            return
        lines = path.read_text("utf-8").splitlines()
        kept = [line for line in lines if _step_of(line) <= step]
        measured = (_step_of(line) for line in kept if '"warning"' not in line)
        self._written = int(max(measured, default=0))
        self._told = {k: m for k, m in run.measured.items() if m[0] <= self._written}
        if len(kept) != len(lines):
            write_whole(path, "".join(f"{line}\n" for line in kept))


class Pictures:
    """Draws the fixed grid every ``train.sample_every`` steps, and at the end."""

    @hookimpl
    def gankit_after_step(self, run: Run) -> None:
        """Sample, and tell every plugin."""
        train = run.assembly.train
        if run.due(train.sample_every):
            samples = run.sampler.sample(train.samples, seed=train.seed)
            run.hooks.call("gankit_on_samples", run=run, samples=samples)

    @hookimpl
    def gankit_on_samples(self, run: Run, samples: Samples) -> None:
        """Write the grid, while the game plays on."""
        run.writer.do(partial(samples.save, self._path(run)))

    @hookimpl(tryfirst=True)
    def gankit_on_error(self, run: Run, error: BaseException) -> None:
        """Draw the grid of a step, where another hook failed first."""
        train = run.assembly.train
        done = run.step > 0 and run.due(train.sample_every)
        if done and _is_saved_after(error) and not self._path(run).exists():
            samples = run.sampler.sample(train.samples, seed=train.seed)
            samples.save(self._path(run))

    def _path(self, run: Run) -> Path:
        return _folder(run) / "samples" / f"{run.step:08d}.png"


class Checkpoints:
    """Saves every ``train.checkpoint_every`` steps and last; removes what is not kept.

    Kept are the newest ``train.keep``, those of every ``train.keep_every`` steps, and
    the best by the metric ``train.best``.

    A checkpoint is written while the game plays on, but where a hook is to be told of
    it: what the hook finds in the run, and measures, is of the checkpoint then, and at
    the same step each time that the run is played.
    """

    def __init__(self) -> None:
        self._saved = -1
        self._best: dict[str, Any] = {}  # its "step", "value", "metric", "best_is"

    def state_dict(self) -> dict[str, Any]:
        """Return which checkpoint is the best so far, and how good it is."""
        return dict(self._best)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._best = dict(state)

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Where a run goes on, a checkpoint is there already."""
        self._saved = run.step or -1
        run.keep(BEST, self)
        if run.folder is not None:
            for folder in (run.folder, run.folder / SAVED):
                clean(folder)
            self._tidying(run)(run.folder / SAVED)

    @hookimpl(trylast=True)
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Save a step that is due, unless it is one that went wrong."""
        if not run.due(run.assembly.train.checkpoint_every):
            return
        if run.game.guard.in_a_row and run.step < run.total:
            return
        if run.assembly.train.best and run.folder is not None:
            self._compare(run, report)
        self._save(run)

    @hookimpl(tryfirst=True)
    def gankit_after_run(self, run: Run) -> None:
        """Save where the run was stopped; nobody is told that it is over before."""
        if self._saved != run.step:
            self._save(run)
        run.writer.wait()

    @hookimpl(tryfirst=True)
    def gankit_on_error(self, run: Run, error: BaseException) -> None:
        """Save what was whole when something failed that is not of the game."""
        guard = run.game.guard
        if not _is_saved_after(error) or guard.moved:
            return
        if run.folder is None or self._saved == run.step or guard.weights():
            return
        run.write(then=self._tidying(run))
        run.writer.wait()
        error.add_note(
            f"step {run.step:,} was saved; go on with `gankit resume {run.folder}`"
        )

    def _compare(self, run: Run, report: Report) -> None:
        """Find out whether this is the best one so far."""
        train = run.assembly.train
        since, value = run.measured.get(train.best, (-1, math.nan))
        if train.best in report.measurements:
            since, value = run.step, float(report.measurements[train.best])
        if since < 0:
            known = sorted({*report.measurements, *run.measured})
            run.warn(
                "best",
                f"train.best: nothing has measured {train.best!r} until step "
                f"{run.step:,}{nearest(train.best, known)}; there are {listed(known)}",
            )
        asked = {"metric": train.best, "best_is": train.best_is}
        if not asked.items() <= self._best.items():
            self._best = {}  # the best by another metric
        sign = 1 if train.best_is == "lowest" else -1
        best = sign * self._best.get("value", sign * math.inf)
        if since > self._saved and sign * value < best:
            self._best = {"step": run.step, "value": value, **asked}

    def _save(self, run: Run) -> None:
        run.save_later(then=self._tidying(run))
        self._saved = run.step
        if run.folder and set(run.hooks.called("gankit_on_checkpoint")) - _LATE:
            run.writer.wait()
            path = checkpoint.path_of(run.folder / SAVED, run.step)
            run.hooks.call("gankit_on_checkpoint", run=run, path=str(path))

    def _tidying(self, run: Run) -> Callable[[Path], None]:
        """Return what removes the checkpoints that are not kept, as of this step."""
        train, step, best = run.assembly.train, run.step, self._best.get("step")

        def tidy(folder: Path) -> None:
            # one of a later step is damaged, or the run would have gone on from it
            every = checkpoint.all_in(folder)
            reached = [path for path in every if int(path.name) <= step]
            for old in reached[: -train.keep]:
                number = int(old.name)
                apart = train.keep_every and number % train.keep_every == 0
                if not apart and number != best:
                    shutil.rmtree(old, ignore_errors=True)

        return tidy


def recorders(run: Run) -> list[tuple[str, object]]:
    """Return what records a run, by name; the process that has a folder writes."""
    saving = ("gankit.checkpoints", Checkpoints())
    looking: list[tuple[str, object]] = [(BROKEN_ITEMS, BrokenItems())]
    if run.folder is None:
        return [*looking, saving]
    every = [
        *looking,
        (HEALTH, Health()),
        (METRICS, Metrics()),
        ("gankit.pictures", Pictures()),
    ]
    if TensorBoard.installed():
        every.append((EVENTS, TensorBoard()))
    return [*every, saving]  # of those that come last, in the order of this list


def _is_saved_after(error: BaseException) -> bool:
    """Tell whether there is anything to save, and room for it."""
    stopped = not isinstance(error, Exception)  # as by a second Ctrl-C
    return not stopped and not isinstance(error, DivergedError | RunError)


def _folder(run: Run) -> Path:
    assert run.folder is not None, "only a run with a folder is recorded"
    return run.folder


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # the torn last line of a run that was cut off
