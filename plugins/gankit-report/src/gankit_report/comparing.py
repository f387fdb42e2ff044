"""Runs beside each other: what differs in their recipes, and what they scored.

Runs that differ in the seed alone are one group: its mean, its spread over seeds, and
every one of them. Scores are put into one column only where they were measured alike.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import field, frozen

from gankit_report.record import Record
from gankit_report.scores import Score

SEED = "train.seed"
_SILENT = ("description", "provenance")  # blocks that change nothing


@frozen
class Compared:
    """One run of a comparison, or the reason why there is none.

    Attributes:
        folder: of the run.
        options: of its resolved recipe, by their paths, the seed aside.
        seed: of the run.
        scores: that it has.
        problem: why it has none, or not all, or "".
    """

    folder: Path
    options: Mapping[str, Any]
    seed: Any
    scores: tuple[Score, ...] = ()
    problem: str = ""


@frozen
class Column:
    """What scores must share to be compared: they were measured alike."""

    title: str
    samples: int | None
    split: str
    best: bool  # of the checkpoint that was best by a metric, which is a choice
    data: str = ""  # its digest
    options: str = ""  # of the metric

    @classmethod
    def of(cls, score: Score) -> Column:
        """Return the column in which a score may stand."""
        return cls(
            score.title,
            score.samples,
            score.split,
            score.checkpoint == "best",
            str(score.provenance.get("data", "")),
            json.dumps(score.options, sort_keys=True) if score.options else "",
        )

    def told(self) -> str:
        """Say what was measured, and how."""
        drawn = f"{self.samples:,} samples" if self.samples is not None else ""
        chosen = "best checkpoint" if self.best else ""
        how = ", ".join(filter(None, (drawn, self.split, chosen)))
        return f"{self.title} ({how})" if how else self.title


@frozen
class Spread:
    """The values of a group's runs, by their seeds; all of them."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of all values."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation over seeds, by n - 1; None of one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@frozen
class Group:
    """Runs that differ in the seed alone."""

    options: Mapping[str, Any]  # those that differ between groups
    runs: tuple[Compared, ...]

    def spread(self, column: Column) -> Spread | None:
        """Return what its runs scored, finite values alone, if there are any."""
        scored = (score_in(run, column) for run in self.runs)
        values = tuple(s.value for s in scored if s and math.isfinite(s.value))
        return Spread(values) if values else None

    @property
    def problems(self) -> dict[str, str]:
        """Whose problem each is, in words, by the problem."""
        named: dict[str, list[str]] = {}
        for run in self.runs:
            if run.problem:
                name = f"seed {run.seed}" if len(self.runs) > 1 else run.folder.name
                named.setdefault(run.problem, []).append(name)
        whole = f"all {len(self.runs)} runs"
        return {
            problem: whole if len(names) == len(self.runs) > 1 else ", ".join(names)
            for problem, names in named.items()
        }

    @property
    def label(self) -> str:
        """What tells it from the others, or the names of its runs."""
        told = [f"{key.removesuffix('.use')}={v}" for key, v in self.options.items()]
        return ", ".join(told) or ", ".join(run.folder.name for run in self.runs)


@frozen(slots=False)
class Comparison:
    """Groups, and columns of what can be compared."""

    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    names: Mapping[Column, Score] = field(repr=False)  # one that stands in each

    @cached_property
    def refused(self) -> tuple[str, ...]:
        """Say which metrics cannot be put into one column, and why."""
        by_name: dict[str, list[Column]] = {}
        for column, score in self.names.items():
            by_name.setdefault(score.name, []).append(column)
        return tuple(
            f"{name}: scores that were measured otherwise stand in columns of their "
            f"own; they differ in {_difference(columns)}"
            for name, columns in by_name.items()
            if len(columns) > 1
        )

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """Say what else is to be known of numbers that stand beside each other.

        Which columns have scores of runs after other numbers of steps, and which runs
        are one run twice.
        """
        told = []
        for group in self.groups:
            seeds = [run.seed for run in group.runs]
            if len(set(seeds)) < len(seeds):
                names = ", ".join(run.folder.name for run in group.runs)
                told.append(
                    f"{names}: some have one seed, and are no other runs: n counts them"
                )
        for column in self.columns:
            steps: dict[int | None, list[str]] = {}
            for run in (run for group in self.groups for run in group.runs):
                if (score := score_in(run, column)) is not None:
                    steps.setdefault(score.step, []).append(run.folder.name)
            if len(steps) > 1:
                each = (f"{step} ({', '.join(runs)})" for step, runs in steps.items())
                told.append(f"{column.title}: measured at steps {'; '.join(each)}")
        return tuple(told)


def compared(record: Record) -> Compared:
    """Take a run into a comparison.

    Raises:
        RunError: its scores cannot be read.
    """
    lost = [s.title for s in record.scores if not math.isfinite(s.value)]
    problem = f"not finite: {', '.join(lost)}" if lost else ""
    if not record.scores:
        any_saved = any((record.folder / "checkpoints").glob("*"))
        problem = (
            f"no scores; run `gankit evaluate {record.folder}` first"
            if any_saved
            else "no checkpoint yet; train it first"
        )
    return Compared(
        folder=record.folder,
        options=flat(record.table),
        seed=record.train.get("seed"),
        scores=record.scores,
        problem=problem,
    )


def compare(runs: Iterable[Compared]) -> Comparison:
    """Group runs, and find out what can be compared."""
    runs = list(runs)
    differing = _differing([run.options for run in runs])
    by_recipe: dict[str, list[Compared]] = {}
    for run in runs:
        by_recipe.setdefault(repr(sorted(run.options.items())), []).append(run)
    groups = tuple(
        Group({key: some[0].options.get(key, "") for key in differing}, tuple(some))
        for some in by_recipe.values()
    )
    names = {Column.of(score): score for run in runs for score in run.scores}
    order = sorted(names, key=lambda column: (names[column].name, column.told()))
    return Comparison(groups, tuple(order), names)


def score_in(run: Compared, column: Column) -> Score | None:
    """Return what a run scored in a column: of its latest step, if there are many."""
    mine = [score for score in run.scores if Column.of(score) == column]
    return max(mine, key=lambda score: score.step or 0, default=None)


def flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Name the options of a resolved recipe by their paths, the seed aside.

    Versions of gankit and of plugins are among them.
    """
    options = dict(_leaves({k: v for k, v in table.items() if k not in _SILENT}))
    options.pop(SEED, None)
    origin = table.get("provenance", {})
    if "gankit" in origin:
        options["version of gankit"] = origin["gankit"]
    for part in origin.get("parts", {}).values():
        name, _, version = str(part).partition(" ")
        options[f"version of {name.partition('/')[0]}"] = version
    return options


def _leaves(table: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
            value = {str(i): inner for i, inner in enumerate(value)}
        if isinstance(value, Mapping):
            yield from _leaves(value, here)
        else:
            yield here, value


def _differing(options: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the options that are not the same in all.

    Options that only one of two parts has follow from which is used, and are left out.
    """
    keys = {key: None for some in options for key in some}
    differing = [k for k in keys if len({repr(some.get(k)) for some in options}) > 1]
    parts = [key for key in differing if key.endswith(".use")]
    return [
        key
        for key in differing
        if key in parts
        or all(key in some for some in options)
        or not _follows(key, parts)
    ]


def _follows(key: str, parts: Sequence[str]) -> bool:
    """Tell whether an option is one of a part that is another in other runs."""
    blocks = (part.removesuffix("use") for part in parts)
    return key.startswith("version of ") or any(map(key.startswith, blocks))


def _difference(columns: Sequence[Column]) -> str:
    """Say in what columns of one metric differ."""
    said = []
    for name, words in (
        ("title", "what they were measured with"),
        ("samples", "how many samples were drawn"),
        ("split", "the split of the data"),
        ("best", "whether the checkpoint was chosen as the best"),
        ("data", "the data that they were compared with"),
        ("options", "the metric's options"),
    ):
        values = {str(getattr(column, name)): None for column in columns}
        if len(values) > 1:
            said.append(f"{words}: {' / '.join(values)}")
    return "; ".join(said)
