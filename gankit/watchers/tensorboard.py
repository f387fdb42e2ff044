"""What a run tells TensorBoard."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gankit.hookspecs import hookimpl
from gankit.runs.folder import cannot_write
from gankit.runs.pictures import Samples, on_white
from gankit.runs.report import Report
from gankit.runs.run import Run


class TensorBoard:
    """Writes the metrics and grids as events, where TensorBoard is installed."""

    def __init__(self) -> None:
        self._writer: Any = None
        self._told: dict[str, tuple[int, float]] = {}  # what hooks measured, and is in

    @staticmethod
    def installed() -> bool:
        """Tell whether there is a TensorBoard to write for."""
        return importlib.util.find_spec("tensorboard") is not None

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Open the events file."""
        from torch.utils.tensorboard import SummaryWriter

        with _told(run):
            self._writer = SummaryWriter(str(run.folder), purge_step=run.step + 1)
        self._told = dict(run.measured)

    @hookimpl(trylast=True)
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write the measurements of a step that is due, and all that hooks measure."""
        due = run.due(run.assembly.train.log_every)
        with _told(run):
            for name, value in report.values().items() if due else ():
                self._writer.add_scalar(name, value, report.step)
        self._write_measured(run)

    @hookimpl(trylast=True)
    def gankit_on_checkpoint(self, run: Run) -> None:
        """Write what hooks have measured of the checkpoint."""
        self._write_measured(run)

    @hookimpl
    def gankit_on_samples(self, run: Run, samples: Samples) -> None:
        """Write the samples of images."""
        if samples.samples.ndim == 4:
            self._writer.add_images("samples", on_white(samples.samples), run.step)

    @hookimpl(trylast=True)
    def gankit_after_run(self, run: Run) -> None:
        """Write what hooks have measured of the run, and close the events file."""
        self._write_measured(run)
        self._writer.close()

    @hookimpl
    def gankit_on_error(self) -> None:
        """Close the events file."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()

    def _write_measured(self, run: Run) -> None:
        new = sorted(run.measured.items() - self._told.items())
        with _told(run):
            for name, (step, value) in new:
                self._writer.add_scalar(name, value, step)
        self._told |= new


@contextmanager
def _told(run: Run) -> Iterator[None]:
    assert run.folder is not None, "only a run with a folder is recorded"
    try:
        yield
    except OSError as error:
        raise cannot_write(run.folder, error) from error
