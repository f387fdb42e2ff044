"""The scores of a run, in its folder: each with all that must be known to repeat it."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from gankit.errors import RunError
from gankit_metrics.contracts import Score

FILE = "scores.json"


@frozen
class Record:
    """One score of a run, over the seeds with which samples were drawn.

    Attributes:
        metric: the part that gave it.
        options: of that part, with nothing left to defaults.
        name, title, better, details: as the metric gave them (details of the first
            seed).
        value: the mean over seeds.
        values: of each seed.
        spread: their standard deviation; None for one seed.
        error: the metric's own standard error, of the first seed.
        step: of the checkpoint.
        checkpoint: as it was asked for: latest, best, or a step.
        samples: of each side, at most.
        split: of the real samples.
        provenance: versions and digests.
    """

    metric: str
    options: Mapping[str, Any]
    name: str
    title: str
    better: str
    value: float
    values: tuple[float, ...]
    spread: float | None
    error: float | None
    step: int
    checkpoint: str
    samples: int
    split: str
    details: Mapping[str, float | str]
    provenance: Mapping[str, str]


def over_seeds(
    metric: str,
    options: Mapping[str, Any],
    scores: Sequence[Score],
    *,
    step: int,
    checkpoint: str,
    samples: int,
    split: str,
    provenance: Mapping[str, str],
) -> Record:
    """Join scores of one title, one for each seed."""
    values = tuple(score.value for score in scores)
    first = scores[0]
    finite = all(map(math.isfinite, values))
    return Record(
        metric=metric,
        options=dict(options),
        name=first.name,
        title=first.title,
        better=first.better,
        value=statistics.fmean(values) if finite else values[0],
        values=values,
        spread=statistics.stdev(values) if len(values) > 1 and finite else None,
        error=first.error,
        step=step,
        checkpoint=checkpoint,
        samples=samples if first.samples is None else first.samples,
        split=first.split or split,
        details=dict(first.details),
        provenance=dict(provenance),
    )


def write(folder: Path, records: Iterable[Record]) -> None:
    """Add scores to those of a run; one of the same title, step, count and split goes.

    Raises:
        RunError: the file cannot be read or written.
    """
    new = [plain(record) for record in records]
    keys = [_key(told) for told in new]
    kept = [told for told in read(folder) if _key(told) not in keys]
    told = {"scores": [*kept, *new]}
    path = folder / FILE
    aside = path.with_suffix(".json.part")
    try:
        aside.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", "utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise RunError(
            f"{path} cannot be written ({error.strerror}); make room, or get the right "
            "to write there"
        ) from error


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the scores of a run as they were written; none where there is no file.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / FILE
    try:
        scores: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["scores"]
        list(map(_key, scores))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            f"{path} is damaged ({error}); remove it, and evaluate the run again"
        ) from error
    return scores


def _key(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two scores share of which the later one counts."""
    return tuple(told[k] for k in ("title", "options", "step", "samples", "split"))


def plain(record: Record) -> dict[str, Any]:
    """Write a record as JSON can hold it: what is not finite is null."""

    def finite(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, Mapping):
            return {k: finite(v) for k, v in value.items()}
        return [finite(v) for v in value] if isinstance(value, tuple) else value

    return {name: finite(value) for name, value in asdict(record).items()}
