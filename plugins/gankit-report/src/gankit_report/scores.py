"""``scores.json``, which ``gankit evaluate`` leaves in a run folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from gankit.errors import RunError

_BETTER = {"lower": "lower is better", "higher": "higher is better", "": ""}


def _finite(value: Any) -> float:
    """Take JSON's null for what is not finite."""
    return math.nan if value is None else float(value)


def _all_finite(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(map(_finite, values))


@frozen
class Score:
    """One measurement of a run's samples.

    Attributes:
        name: of the metric, as ``kid``.
        title: with all that makes its values comparable, as the extractor's digest.
        value: what was measured, the mean over the seeds of evaluation.
        spread: standard deviation over these; None for one.
        values: of each.
        error: standard error of one value, as its metric estimates it.
        better: ``lower``, ``higher`` or nothing.
        step: of the checkpoint.
        checkpoint: as it was asked for.
        samples: how many were drawn.
        split: of the data that they were compared with.
        details: numbers and texts beside the value.
        provenance: versions and digests.
        metric: the part that gave it; one may give several scores.
        options: of that part.
    """

    name: str
    title: str
    value: float = field(converter=_finite)
    spread: float | None = None
    values: tuple[float, ...] = field(default=(), converter=_all_finite)
    error: float | None = None
    better: str = ""
    step: int | None = None
    checkpoint: str = ""
    samples: int | None = None
    split: str = ""
    details: Mapping[str, Any] = field(factory=dict)
    provenance: Mapping[str, Any] = field(factory=dict)
    metric: str = ""
    options: Mapping[str, Any] = field(factory=dict)

    @property
    def wish(self) -> str:
        """Which way it is better, in words."""
        return _BETTER.get(self.better, "")

    @property
    def told(self) -> dict[str, Any]:
        """Details and provenance."""
        return {**self.details, **self.provenance}


def read_scores(path: Path) -> tuple[Score, ...]:
    """Read the scores of a run; there may be none.

    Raises:
        RunError: the file is not what ``gankit evaluate`` writes.
    """
    if not path.is_file():
        return ()
    known = {attribute.name for attribute in Score.__attrs_attrs__}
    try:
        told = json.loads(path.read_text("utf-8"))["scores"]
        scores = [Score(**{k: v for k, v in s.items() if k in known}) for s in told]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{str(path)!r} is not what `gankit evaluate` writes: {error}; move it "
            "away, and evaluate again"
        ) from error
    return tuple(scores)
