"""What a run writes: metrics, sample grids, checkpoints, TensorBoard events.

Hook implementations like anybody's.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from pathlib import Path
from typing import Any

from gankit import checkpoint
from gankit.errors import UsageError
from gankit.hookspecs import hookimpl
from gankit.runs import cannot_write
from gankit.sampling import Samples
from gankit.trainer import Report, Run


class Metrics:
    """Appends a line of JSON to ``metrics.jsonl`` every ``train.log_every`` steps."""

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Drop lines of steps that a resumed run will take again."""
        path = _folder(run) / "metrics.jsonl"
        if not path.exists():
            return
        lines = path.read_text("utf-8").splitlines()
        kept = [line for line in lines if _step_of(line) <= run.step]
        if len(kept) == len(lines):
            return
        aside = path.with_name(f".{path.name}.partial")
        try:
            aside.write_text("".join(f"{line}\n" for line in kept), "utf-8")
            aside.replace(path)
        except OSError as error:
            raise cannot_write(path, error) from error

    @hookimpl
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write the measurements of a step that is due."""
        if not run.due(run.assembly.train.log_every):
            return
        seconds = round(time.monotonic() - run.started, 3)
        line = {"seconds": seconds, **report.as_json()}
        path = _folder(run) / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise cannot_write(path, error) from error


class Pictures:
    """Draws the fixed grid every ``train.sample_every`` steps, and at the end."""

    @hookimpl
    def gankit_after_step(self, run: Run) -> None:
        """Sample, and tell every plugin."""
        train = run.assembly.train
        if run.due(train.sample_every):
            samples = run.sampler.sample(train.samples, seed=train.seed)
            run.plugins.call("gankit_on_samples", run=run, samples=samples)

    @hookimpl
    def gankit_on_samples(self, run: Run, samples: Samples) -> None:
        """Write the grid; samples that are neither images nor points have none."""
        try:
            samples.picture()
        except UsageError:
            return
        samples.save(_folder(run) / "samples" / f"{run.step:08d}.png")


class Checkpoints:
    """Saves every ``train.checkpoint_every`` steps and last; keeps the newest two."""

    KEEP = 2

    def __init__(self) -> None:
        self._saved = -1

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Where a run goes on, a checkpoint is there already."""
        self._saved = run.step or -1

    @hookimpl(trylast=True)
    def gankit_after_step(self, run: Run) -> None:
        """Save a step that is due."""
        if run.due(run.assembly.train.checkpoint_every):
            self._save(run)

    @hookimpl(tryfirst=True)
    def gankit_after_run(self, run: Run) -> None:
        """Save where the run was stopped."""
        if self._saved != run.step:
            self._save(run)

    def _save(self, run: Run) -> None:
        path = run.save()
        self._saved = run.step
        for old in checkpoint.all_in(path.parent)[: -self.KEEP]:
            shutil.rmtree(old, ignore_errors=True)
        run.plugins.call("gankit_on_checkpoint", run=run, path=str(path))


class TensorBoard:
    """Writes the metrics and grids as events, where TensorBoard is installed."""

    def __init__(self) -> None:
        self._writer: Any = None

    @staticmethod
    def installed() -> bool:
        """Tell whether there is a TensorBoard to write for."""
        return importlib.util.find_spec("tensorboard") is not None

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Open the events file."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(_folder(run)), purge_step=run.step + 1)

    @hookimpl
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write the measurements of a step that is due."""
        if run.due(run.assembly.train.log_every):
            for name, value in report.values().items():
                self._writer.add_scalar(name, value, report.step)

    @hookimpl
    def gankit_on_samples(self, run: Run, samples: Samples) -> None:
        """Write the samples of images."""
        if samples.samples.ndim == 4:
            self._writer.add_images("samples", samples.samples, run.step)

    @hookimpl
    def gankit_after_run(self) -> None:
        """Close the events file."""
        self._writer.close()

    @hookimpl
    def gankit_on_error(self) -> None:
        """Close the events file."""
        if self._writer is not None:
            self._writer.close()


def recorders() -> list[tuple[str, object]]:
    """Return what records a run, by name."""
    found: list[tuple[str, object]] = [
        ("gankit.metrics", Metrics()),
        ("gankit.pictures", Pictures()),
        ("gankit.checkpoints", Checkpoints()),
    ]
    if TensorBoard.installed():
        found.append(("gankit.tensorboard", TensorBoard()))
    return found


def _folder(run: Run) -> Path:
    assert run.folder is not None, "only a run with a folder is recorded"
    return run.folder


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # the torn last line of a run that was cut off
