"""The runs of a folder: which there are, how each is, and the files of them.

Whatever the page asks for is looked up here by the name of a run that was found, and by
numbers: no path comes from the page. What lies outside the folder, as behind a link, is
not there.
"""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from attrs import asdict, define, field

from gankit_board import marks
from gankit_board.lines import Summary
from gankit_board.pictures import whole

RECIPE, METRICS, SCORES = "recipe.toml", "metrics.jsonl", "scores.json"
_SCORE = ("title", "better", "value", "spread", "error", "step", "samples", "split")
# what of a run has to lie in the folder that is shown
_OWN = (RECIPE, METRICS, SCORES, marks.NAME, "samples", "checkpoints", "inversions")
_MOST = 1 << 53  # of a number that a page can hold
_DEPTH = 3  # folders below the one that is shown, in which runs are looked for
_SILENT = 60.0  # seconds without a line before a run can be called stalled
_PAUSES = 8  # as many times its usual pause, too
_NEWEST = 100  # runs that are looked at each time
_TURNS = 10  # times in which each of the others is looked at once


@define(eq=False)
class Found:
    """A run folder.

    Attributes:
        name: its path below the folder that is shown.
        folder: where it is.
        table: its resolved recipe.
        problem: why there is none, or "".
    """

    name: str
    folder: Path
    table: Mapping[str, Any] = field(factory=dict)
    problem: str = ""
    summary: Summary = field(init=False)
    mark: marks.Mark | None = None
    _recipe: tuple[float, int] = (0.0, -1)
    _grids: tuple[float, dict[int, Path]] = (-1.0, {})
    _lock: Lock = field(factory=Lock)

    def __attrs_post_init__(self) -> None:
        self.summary = Summary.of(self.folder / METRICS)

    def renew(self) -> None:
        """Look at its files again."""
        with self._lock:
            try:
                self._read_recipe()
                self.mark = marks.read(self.folder)
                self.summary.renew()
            except Exception as error:  # one odd run is no reason to show no other
                self.problem = f"it cannot be read: {error}"

    def _read_recipe(self) -> None:
        path = self.folder / RECIPE
        try:
            told = path.stat()
            if (told.st_mtime, told.st_size) == self._recipe:
                return
            self.table, self.problem = tomllib.loads(path.read_text("utf-8")), ""
            self._recipe = (told.st_mtime, told.st_size)
        except (OSError, ValueError, RecursionError) as error:
            self.problem = f"its {RECIPE} cannot be read: {error}"

    @property
    def recipe(self) -> str:
        """The name of the recipe."""
        return str(_table(self.table, "provenance").get("recipe", ""))

    @property
    def train(self) -> Mapping[str, Any]:
        """The settings of the training."""
        return _table(self.table, "train")

    @property
    def step(self) -> int:
        """Steps done, as far as is known."""
        mark = self.mark  # once: another thread may replace it
        ended = mark.step if mark and mark.state != "playing" else 0
        return max(self.summary.step, ended)

    @property
    def total(self) -> int:
        """Steps to do; 0 where that is not known."""
        steps, mark = self.train.get("steps"), self.mark
        if mark and mark.total:
            return mark.total
        return steps if isinstance(steps, int) and 0 <= steps < _MOST else 0

    @property
    def changed(self) -> float:
        """When it was written to last, in seconds since 1970."""
        return max(self.summary.follower.changed, self._recipe[0])

    def state(self) -> tuple[str, str]:
        """Say how it is, in a word, and why."""
        quiet = time.time() - self.changed
        patience = max(_SILENT, _PAUSES * self.summary.pause)
        mark = self.mark
        if mark is None or (mark.elsewhere and mark.state == "playing"):
            if self.total and self.step >= self.total:
                return "finished", ""
            if quiet < patience:
                return "running", ""
            return "stopped", f"nothing was written for {quiet / 60:.0f} min"
        if mark.state != "playing":
            return mark.state, mark.said
        if not mark.alive:
            return "stopped", "its process is gone; it did not end by itself"
        if quiet > patience:
            return "stalled", f"no step was logged for {quiet:.0f} s"
        return "running", ""

    def grids(self) -> dict[int, Path]:
        """Return the pictures of the fixed noise, by their steps; whole ones alone."""
        folder = self.folder / "samples"
        try:
            changed = folder.stat().st_mtime
        except OSError:
            return {}
        before, known = self._grids
        if changed == before and time.time() - changed > 2:
            return known
        found = {
            int(entry.name.removesuffix(".png")): Path(entry.path)
            for entry in _entries(folder)
            if entry.name.endswith(".png") and _is_step(entry.name[:-4])
        }
        found = dict(sorted(found.items()))
        while found and not whole(found[last := max(found)]):
            del found[last]  # it is being written
        self._grids = (changed, found)
        return found

    def checkpoints(self) -> list[dict[str, Any]]:
        """Return the whole checkpoints: step, bytes, and when each was written."""
        found = []
        for entry in _entries(self.folder / "checkpoints"):
            path = Path(entry.path)
            if _is_step(entry.name) and (path / "manifest.json").is_file():
                size = sum(e.stat().st_size for e in _entries(path) if e.is_file())
                written = (path / "manifest.json").stat().st_mtime
                found.append(
                    {"step": int(entry.name), "bytes": size, "written": written}
                )
        return sorted(found, key=lambda one: one["step"])

    def scores(self) -> list[dict[str, Any]]:
        """Return what ``gankit evaluate`` has measured; nothing of what is no score."""
        try:
            told = json.loads((self.folder / SCORES).read_text("utf-8"))["scores"]
            return [
                {key: one.get(key) for key in _SCORE}
                for one in told
                if isinstance(one, Mapping)
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def told(self) -> dict[str, Any]:
        """Say what the list of runs shows."""
        state, why = self.state()
        rate = self.summary.rate
        left = (self.total - self.step) / rate if rate and self.total else None
        grids = self.grids()
        last = max(grids, default=None)
        warnings = self.summary.warnings
        return {
            "name": self.name,
            "recipe": self.recipe,
            "state": state,
            "why": why or self.problem,
            "step": self.step,
            "total": self.total,
            "rate": rate,
            "left": left if state == "running" and left and left > 0 else None,
            "changed": self.changed,
            "picture": last,
            "warned": self.summary.warned,
            "warning": asdict(warnings[-1]) if warnings else None,
        }


@define(eq=False)
class Library:
    """The runs below a folder, looked for again and again.

    Args:
        root: the folder that is shown.
    """

    root: Path
    looked: bool = False  # whether all of them have been looked at once
    _runs: dict[str, Found] = field(factory=dict)
    _looks: int = 0

    def __attrs_post_init__(self) -> None:
        self.root = self.root.resolve()

    def find(self) -> None:
        """Find the runs that there are; those that have vanished are forgotten."""
        there = dict(self._below(self.root, _DEPTH))
        known = {
            name: self._runs.get(name) or Found(name, p) for name, p in there.items()
        }
        self._runs = known

    def renew(self) -> None:
        """Look at each run; where there are many, at those that are old in turns."""
        for place, run in enumerate(self._newest()):
            turn = (place + self._looks) % _TURNS == 0
            if not self.looked or place < _NEWEST or turn:
                run.renew()
        self._looks += 1
        self.looked = True

    def __iter__(self) -> Iterator[Found]:
        return iter([run for run in self._runs.values() if run.table or run.problem])

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, name: str) -> Found | None:
        """Return the run of a name, if it is there."""
        run = self._runs.get(name)
        if run is None or not (run.folder / RECIPE).is_file():
            return None
        if not (run.table or run.problem):
            run.renew()
        return run

    def inside(self, path: Path) -> bool:
        """Tell whether a file lies in the folder that is shown, links followed."""
        return path.resolve().is_relative_to(self.root)

    def _own(self, path: Path) -> bool:
        """Tell the same of what is in a run, quickly where it is no link."""
        return not path.is_symlink() or self.inside(path)

    def _newest(self) -> list[Found]:
        def changed(run: Found) -> float:
            try:
                return (run.folder / METRICS).stat().st_mtime
            except OSError:
                return 0.0

        return sorted(self._runs.values(), key=changed, reverse=True)

    def _below(self, folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
        for entry in _entries(folder):
            path = Path(entry.path)
            try:
                if entry.name.startswith(".") or not entry.is_dir():
                    continue
                if entry.is_symlink() and not self.inside(path):
                    continue
                entry.name.encode()
                is_run = (path / RECIPE).is_file()
                shown = is_run and all(self._own(path / name) for name in _OWN)
            except (OSError, RuntimeError, UnicodeEncodeError):
                continue  # it may not be read, or is a circle of links, or has no name
            if shown:
                yield path.relative_to(self.root).as_posix(), path
            elif not is_run and depth > 1 and not entry.is_symlink():
                yield from self._below(path, depth - 1)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_step(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < 16


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}
