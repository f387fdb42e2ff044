"""Items that turn out broken while the run plays: counted, and the first told of."""

from __future__ import annotations

from gankit.hookspecs import hookimpl
from gankit.runs.run import Run

NAME = "gankit.broken-items"
BROKEN = "broken items"  # as measured, and warned of


class BrokenItems:
    """Looks every ``train.log_every`` steps, in each process, at what it has read."""

    @hookimpl(tryfirst=True)  # so that the count is in the step's own line
    def gankit_after_step(self, run: Run) -> None:
        """Count them all; the first process measures, and tells of the first."""
        if not run.due(run.assembly.train.log_every):
            return
        broken: dict[int, str] = {}
        for told in run.processes.gather(run.data.broken):
            broken = told | broken
        # a run that goes on finds them again
        if run.folder and len(broken) > run.measured.get(BROKEN, (0, 0.0))[1]:
            run.measure(BROKEN, len(broken))
            run.warn(
                BROKEN,
                f"{next(iter(broken.values()))}; the next whole item has its place, "
                "and so for others that turn out so, which the metrics count",
            )
