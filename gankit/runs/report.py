"""What a run tells of itself: what a step measured, and what its user should know."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import frozen
from torch import Tensor


@frozen(eq=False)
class Report:
    """What one step measured; reading the values waits for the device.

    With many processes, these are means over all of them.
    """

    step: int  # steps done, from 1
    measurements: Mapping[str, Tensor]

    def values(self) -> dict[str, float]:
        """Return the measurements as numbers."""
        return {name: float(value) for name, value in self.measurements.items()}

    def as_json(self) -> dict[str, float | None]:
        """Return the step and its numbers; None for what is not finite, as in JSON."""
        finite = {k: v if math.isfinite(v) else None for k, v in self.values().items()}
        return {"step": self.step, **finite}


@frozen
class RunWarning:
    """Something about a run that its user should know, said once."""

    kind: str  # "not finite", "collapse", …
    step: int
    text: str  # what was seen, since when, and what usually helps
