"""A metric during training: few samples, the same real ones, every so many steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from gankit import Count, Judge, OfKind, Run, hookimpl
from gankit_metrics.contracts import Metric, Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measuring import scored
from gankit_metrics.reference import Reference


class Probe:
    """Measures a metric every so many steps, and last; ``train.best`` may go by it.

    Its scores are in the run's metrics by their titles, as
    ``kid[efficientnet-lite0@829a6741]``. What the samples are compared with is read
    and embedded once. What a look takes is said before the first step.

    Args:
        metric: what is measured
        every: steps between two looks
        samples: of each side
        split: of the real samples; by default validation, else what there is
    """

    def __init__(
        self,
        *,
        metric: Annotated[Callable[[], Metric], OfKind("metric")],
        every: Count = 1000,
        samples: Count = 1000,
        split: str = "",
    ) -> None:
        self._metric, self._every = metric(), every
        self._samples, self._split = samples, split
        self._reference: Reference | None = None

    @hookimpl
    def gankit_before_run(self, run: Run) -> None:
        """Measure once, for nobody: what cannot be measured is to be known now."""
        self._look(run)
        begun = time.monotonic()
        self._look(run)  # without what is done only once
        seconds = time.monotonic() - begun
        run.notes += (
            f"the probe takes {seconds:.1f} s every {self._every:,} steps: "
            f"{self._samples:,} samples, {type(self._metric).__name__}",
        )

    @hookimpl
    def gankit_after_step(self, run: Run) -> None:
        """Measure where it is due."""
        if not run.due(self._every):
            return
        for score in self._look(run):
            run.measure(score.title, score.value)

    def _look(self, run: Run) -> list[Score]:
        if self._reference is None:
            self._reference = Reference(
                run.assembly.dataset, device=run.game.device, processes=run.processes
            )
        held = "validation" in self._reference.splits
        evaluation = Evaluation(
            run.sampler,
            self._reference,
            count=self._samples,
            split=self._split or ("validation" if held else ""),
            judge=lambda: Judge(run.game.discriminator.network, run.sampler),
        )
        return list(scored("probe", self._metric, evaluation))
