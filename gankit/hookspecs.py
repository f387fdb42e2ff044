"""Every moment that a plugin may join: the table of contents of the framework.

Implement any of these with :data:`gankit.hookimpl`; pluggy passes arguments by name, so
an implementation names only those that it wants.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from gankit.contracts.kinds import Command, Kind, Part
    from gankit.game.update import Update
    from gankit.runs.pictures import Samples
    from gankit.runs.report import Report, RunWarning
    from gankit.runs.run import Run

hookspec = pluggy.HookspecMarker("gankit")
hookimpl = pluggy.HookimplMarker("gankit")


@hookspec
def gankit_parts() -> Iterable[Part | Kind]:
    """Yield the parts that this plugin brings, and any new kind, without torch."""
    return ()


@hookspec
def gankit_commands() -> Iterable[Command]:
    """Yield subcommands of ``gankit``, each imported only when it is called."""
    return ()


@hookspec
def gankit_before_run(run: Run) -> None:
    """Everything is built and placed; no step has been taken."""


@hookspec
def gankit_after_update(run: Run, update: Update) -> None:
    """Players have moved; a step has one update for each of its rounds."""


@hookspec
def gankit_after_step(run: Run, report: Report) -> None:
    """One step is done; ``report`` holds its measurements, still on the device."""


@hookspec
def gankit_on_samples(run: Run, samples: Samples) -> None:
    """The generator was sampled with the run's fixed noise and conditions."""


@hookspec
def gankit_on_checkpoint(run: Run, path: str) -> None:
    """A whole checkpoint lies at ``path``."""


@hookspec
def gankit_on_warning(run: Run, warning: RunWarning) -> None:
    """Something is wrong with the run, or may soon be; each kind is said once."""


@hookspec
def gankit_after_run(run: Run) -> None:
    """The run is over: finished, or stopped on request with all of it saved."""


@hookspec
def gankit_on_error(run: Run, error: BaseException) -> None:
    """The run failed with ``error``, which is raised again after this."""
