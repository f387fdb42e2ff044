"""What a run has written down: recipe, metrics, warnings, grids, scores."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import frozen

from gankit.errors import RunError
from gankit_report.scores import Score, read_scores


@frozen
class Series:
    """A measurement along a run: finite values alone, and how many were not."""

    steps: tuple[int, ...]
    values: tuple[float, ...]
    not_finite: int = 0


@frozen
class Warned:
    """A warning that the run gave."""

    step: int
    kind: str
    text: str


@frozen(slots=False)
class Record:
    """A run folder, read without its data, its parts or torch.

    Attributes:
        folder: of the run.
        table: its resolved recipe.
        series: what was measured, by name.
        warnings: in their order.
        seconds: that its steps took, over all starts.
        starts: how often it was started or resumed.
        step: of the last line that was written, or 0.
    """

    folder: Path
    table: Mapping[str, Any]
    series: Mapping[str, Series]
    warnings: tuple[Warned, ...]
    seconds: float
    starts: int
    step: int

    @property
    def name(self) -> str:
        """The name of the folder, which tells runs of one recipe apart."""
        return self.folder.resolve().name

    @property
    def recipe(self) -> str:
        """The name of the recipe."""
        return str(self.table.get("provenance", {}).get("recipe", "a recipe"))

    @property
    def total(self) -> int | None:
        """Steps to do; None where passes over the data are counted."""
        return self.train.get("steps")

    @property
    def train(self) -> Mapping[str, Any]:
        """The settings of the training."""
        settings: Mapping[str, Any] = self.table.get("train", {})
        return settings

    @cached_property
    def grids(self) -> dict[int, Path]:
        """The pictures of the fixed noise, by step."""
        found = (self.folder / "samples").glob("*.png")
        return {int(p.stem): p for p in sorted(found) if p.stem.isdigit()}

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """What ``gankit evaluate`` has measured; nothing where it has not.

        Raises:
            RunError: the file is not what it writes.
        """
        return read_scores(self.folder / "scores.json")

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of gankit and torch that wrote the newest checkpoint, if any."""
        for path in sorted(self.folder.glob("checkpoints/*/manifest.json"))[::-1]:
            try:
                told = json.loads(path.read_text("utf-8"))["versions"]
                return {str(name): str(version) for name, version in told.items()}
            except (OSError, ValueError, KeyError, AttributeError):
                continue
        return {}


def read_record(folder: str | Path) -> Record:
    """Read a run folder.

    Raises:
        RunError: there is no run in it.
    """
    folder = Path(folder)
    path = folder / "recipe.toml"
    if not path.is_file():
        what = "is not a run folder" if folder.is_dir() else "does not exist"
        raise RunError(
            f"{str(folder)!r} {what}: it has no recipe.toml; give the folder that "
            "`gankit train` named, as runs/quickstart-1"
        )
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{str(path)!r} cannot be read: {error}") from error
    lines = list(_lines(folder / "metrics.jsonl"))
    measured = [line for line in lines if "warning" not in line]
    seconds, starts = _time(measured)
    return Record(
        folder=folder,
        table=table,
        series=_series(measured),
        warnings=tuple(
            Warned(int(w["step"]), str(w["warning"]), str(w.get("text", "")))
            for w in lines
            if "warning" in w
        ),
        seconds=seconds,
        starts=starts,
        step=max((int(line["step"]) for line in lines), default=0),
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Give what can be read of the metrics; a run that was cut off tears its last."""
    if not path.is_file():
        return
    for text in path.read_text("utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            yield line


def _time(lines: list[dict[str, Any]]) -> tuple[float, int]:
    """Add up the seconds of all starts; each counts from 0."""
    total, last, starts = 0.0, 0.0, 0
    for line in lines:
        seconds = float(line.get("seconds", last))
        if seconds < last or not starts:
            total, starts = total + last, starts + 1
        last = seconds
    return total + last, starts


def _series(lines: list[dict[str, Any]]) -> dict[str, Series]:
    names = {name: None for line in lines for name in line}
    series = {}
    for name in names:
        if name in ("seconds", "step"):
            continue
        told = [(line["step"], line[name]) for line in lines if name in line]
        kept = [(step, float(value)) for step, value in told if _finite(value)]
        if told:
            steps, values = zip(*kept, strict=True) if kept else ((), ())
            series[name] = Series(steps, values, len(told) - len(kept))
    return series


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
