"""Scores of a run, which whoever evaluates it leaves in its folder.

``scores.json`` holds ``{"scores": […]}``, of which each has ``title``, ``value``,
``step``, ``metric``, ``options`` and ``provenance``, and may have ``samples``,
``split``, ``spread``, ``error``, ``values`` (one a seed) and ``better``; a value that
is not finite is null. Other keys are the evaluator's own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import frozen

from gankit.errors import RunError
from gankit.runs.portable import portable

FILE = "scores.json"
# what has to be alike for two values to be comparable
_ALIKE = ("title", "metric", "options", "samples", "split", "provenance")
_DIGITS = 16  # of a digest that is shown


@frozen
class Score:
    """A value of a checkpoint, and what it was measured by.

    Attributes:
        title: with all that tells it from others of its name.
        value: the mean over the seeds of evaluation; NaN where it is not finite.
        spread: standard deviation over these; for one the metric's own standard error,
            or None where it knows none.
        better: ``lower``, ``higher`` or nothing.
        samples: how many were drawn.
        split: of the data that they were compared with.
        seeds: how many.
        digest: of metric, options, data and versions, whatever the machine; its first
            16 hex digits.
    """

    title: str
    value: float
    spread: float | None
    better: str
    samples: int | None
    split: str
    seeds: int
    digest: str


def scores_of(folder: Path, step: int) -> tuple[Score, ...]:
    """Read the scores of a run's checkpoint; there may be none.

    Raises:
        RunError: the file is there, and is none of scores.
    """
    path = folder / FILE
    try:
        told = json.loads(path.read_text("utf-8"))["scores"]
        return tuple(_read(score) for score in told if score["step"] == step)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path} is damaged ({error}); remove it, and evaluate the run again"
        ) from error


def _read(told: Mapping[str, Any]) -> Score:
    alike = portable({name: told.get(name) for name in _ALIKE})
    if isinstance(alike["provenance"], dict):
        alike["provenance"].pop("device", None)
    canonical = json.dumps(alike, sort_keys=True, ensure_ascii=False)
    samples, spread, value = (told.get(n) for n in ("samples", "spread", "value"))
    spread = told.get("error") if spread is None else spread
    return Score(
        title=str(told["title"]),
        value=math.nan if value is None else float(value),
        spread=None if spread is None else float(spread),
        better=str(told.get("better", "")),
        samples=None if samples is None else int(samples),
        split=str(told.get("split", "")),
        seeds=len(told.get("values") or (value,)),
        digest=sha256(canonical.encode()).hexdigest()[:_DIGITS],
    )
