"""What a run tells TensorBoard."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gankit.hookspecs import hookimpl
from gankit.runs import cannot_write
from gankit.sampling import Samples
from gankit.trainer import Report, Run


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

        with _told(run):
            self._writer = SummaryWriter(str(run.folder), purge_step=run.step + 1)

    @hookimpl
    def gankit_after_step(self, run: Run, report: Report) -> None:
        """Write the measurements of a step that is due."""
        if run.due(run.assembly.train.log_every):
            now = {k: v for k, (s, v) in run.measured.items() if s == run.step}
            with _told(run):
                for name, value in (report.values() | now).items():
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
            with suppress(OSError):
                self._writer.close()


@contextmanager
def _told(run: Run) -> Iterator[None]:
    assert run.folder is not None, "only a run with a folder is recorded"
    try:
        yield
    except OSError as error:
        raise cannot_write(run.folder, error) from error
