"""A grid of recipes: each cell a run, trained where it is not there yet."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from attrs import evolve, frozen

import gankit
from gankit import Recipe, Run, hookimpl
from gankit.errors import DivergedError, GankitError, UsageError, listed
from gankit_report.comparing import SEED, Compared, compared, flat
from gankit_report.record import read_record

FAILED = "failed.txt"  # in a run's folder: why it was given up
_ODD = re.compile(r"[^A-Za-z0-9._=-]+")
_LONGEST = 100  # letters of a folder's name

Tell = Callable[[str], None]


@frozen(kw_only=True)
class Plan:
    """A grid that is asked for.

    Attributes:
        recipe: its name or its file.
        overrides: the same for each cell.
        grid: options, each with the values that it takes.
        seeds: runs of each cell.
        out: the folder of all.
        metrics: what is measured, each as words of ``gankit evaluate``.
        plugins: local plugin files.
        disable: plugins to leave out.
    """

    recipe: str
    overrides: tuple[str, ...]
    grid: tuple[tuple[str, tuple[str, ...]], ...]
    seeds: int
    out: Path
    metrics: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


@frozen
class Cell:
    """One run of a grid."""

    folder: Path
    changes: tuple[str, ...]  # to the recipe, besides what is the same for all
    seed: int


class Interrupted(GankitError):  # noqa: N818 # it is no error of anybody's
    """A signal has ended a run, which is saved: the rest is not to begin."""


def parse_grid(texts: Iterable[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Read ``KEY=A,B``; commas within brackets or quotes divide nothing.

    Raises:
        UsageError: there is no key or no value, or a key is there twice.
    """
    grid: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key, split = key.strip(), tuple(filter(None, _split(values)))
        if not equals or not key or not split:
            raise UsageError(
                f"--grid {text}: it names nothing; write it as KEY=A,B, as "
                "loss.use=hinge,non-saturating"
            )
        if key in grid:
            raise UsageError(f"--grid {key} is there twice; give all values at once")
        if key == SEED:
            raise UsageError(f"--grid {key}: say how many by --seeds")
        if len(set(split)) < len(split):
            raise UsageError(f"--grid {text}: a value is there twice")
        grid[key] = split
    return tuple(grid.items())


def _split(text: str) -> Iterator[str]:
    depth, quote, piece = 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if letter == "," and not quote and not depth:
            yield piece.strip()
            piece = ""
        else:
            piece += letter
    yield piece.strip()


def cells(plan: Plan) -> list[Cell]:
    """List the runs of a grid, seeds last.

    Raises:
        UsageError: two of them would have one folder.
    """
    first = 0
    for text in plan.overrides:
        key, _, value = text.partition("=")
        if key.strip() == SEED and value.strip().isdigit():
            first = int(value)
    found = []
    for values in product(*(values for _, values in plan.grid)):
        keys = (key for key, _ in plan.grid)
        changes = tuple(f"{k}={v}" for k, v in zip(keys, values, strict=True))
        for seed in range(first, first + plan.seeds):
            name = _name([*changes, f"seed={seed}"])
            found.append(Cell(plan.out / name, changes, seed))
    folders = [cell.folder for cell in found]
    for i, folder in enumerate(folders):
        if folder in folders[:i]:
            raise UsageError(
                f"two combinations would have the folder {folder.name!r}; "
                "give one of these values in a grid of its own, with another --out"
            )
    return found


def _name(changes: Sequence[str]) -> str:
    """Name a folder by what a cell changes, in letters that any shell takes.

    >>> _name(["generator.hidden=[64, 64]", "seed=0"])
    'generator.hidden=64-64+seed=0'
    """
    plain = [_ODD.sub("-", change).strip("-") for change in changes]
    name = "+".join(change.replace("=-", "=") for change in plain)
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[:_LONGEST]}-{digest}"


def run_grid(
    plan: Plan, *, can_evaluate: bool, tell: Tell = lambda text: None
) -> list[Compared]:
    """Train what is not there yet, score it, and give all for a comparison.

    A cell that fails is given with its reason. Runs that were begun go on where they
    were; one that has diverged is not tried again while its ``failed.txt`` is there.

    Args:
        plan: what is asked for.
        can_evaluate: whether there is a command ``gankit evaluate``.
        tell: told what is being done.

    Raises:
        UsageError: no cell's recipe can be followed, or a folder holds another run.
        Interrupted: a signal has ended a run.
    """
    every = cells(plan)
    recipes = {cell: _recipe(plan, cell) for cell in every}
    whole = {cell: r for cell, r in recipes.items() if isinstance(r, Recipe)}
    if not whole:
        raise next(r for r in recipes.values() if isinstance(r, GankitError))
    for cell, readable in whole.items():
        _check(cell, readable)
    found = []
    for number, (cell, recipe) in enumerate(recipes.items(), 1):
        tell(f"{number} of {len(every)}: {cell.folder.name}")
        if not isinstance(recipe, Recipe):
            found.append(_row(cell, _reason(recipe)))
            continue
        problem = _train(plan, cell, recipe, tell)
        if problem:
            tell(f"failed: {problem}")
        elif plan.metrics and can_evaluate:
            problem = _evaluate(plan, cell)
        found.append(_row(cell, problem))
    return found


def _recipe(plan: Plan, cell: Cell) -> Recipe | GankitError:
    changes = [*plan.overrides, *cell.changes, f"{SEED}={cell.seed}"]
    try:
        return gankit.read_recipe(
            plan.recipe, changes, plugins=plan.plugins, disable=plan.disable
        )
    except UsageError as error:
        return error


def _check(cell: Cell, recipe: Recipe) -> None:
    """Refuse a folder that holds another run than this cell's."""
    if not (cell.folder / "recipe.toml").exists():
        return
    there, here = flat(read_record(cell.folder).table), flat(recipe.as_table())
    other = [
        key
        for key in {**there, **here}
        if repr(there.get(key)) != repr(here.get(key))
        and not key.startswith("version of ")
    ]
    if other:
        raise UsageError(
            f"{str(cell.folder)!r} holds another run: it differs in {listed(other)}; "
            "choose another --out, or remove it"
        )


class _Watcher:
    """Tells of every tenth of a run's steps."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    @hookimpl
    def gankit_after_step(self, run: Run) -> None:
        """Tell of a step that is due."""
        if run.due(math.ceil(run.total / 10)):
            self._tell(f"step {run.step:,} of {run.total:,}")


def _train(plan: Plan, cell: Cell, recipe: Recipe, tell: Tell) -> str:
    """Train or go on; return why that failed, or ""."""
    failed = cell.folder / FAILED
    if failed.is_file():
        return f"{failed.read_text('utf-8').strip()} (remove {failed} to try again)"
    begun = (cell.folder / "recipe.toml").exists()
    saved = [int(p.name) for p in cell.folder.glob("checkpoints/*") if p.name.isdigit()]
    if begun and recipe.train.steps and max(saved, default=0) >= recipe.train.steps:
        return ""
    watchers = {"gankit-report.grid": _Watcher(tell)}
    try:
        if begun:
            run = gankit.resume(
                cell.folder,
                plugins=plan.plugins,
                disable=plan.disable,
                watchers=watchers,
            )
        else:
            run = gankit.train(recipe, out=cell.folder, watchers=watchers)
    except Exception as error:  # a cell's parts may raise anything
        reason = _reason(error)
        if isinstance(error, DivergedError):  # it would again
            failed.write_text(f"{reason}\n", "utf-8")
        return reason
    if run.step < run.total and run.stopping.startswith("SIG"):
        raise Interrupted(
            f"stopped by {run.stopping}, and saved; the same command goes on"
        )
    return ""


def _evaluate(plan: Plan, cell: Cell) -> str:
    """Score a run in a process of its own; return why that failed, or ""."""
    record = read_record(cell.folder)
    for metric in plan.metrics:
        words = shlex.split(metric)
        done = [s for s in record.scores if (s.metric or s.name) == words[0]]
        if any(score.step == record.step for score in done):
            continue
        options = [w for file in plan.plugins for w in ("--plugin", file)]
        options += [w for name in plan.disable for w in ("--disable-plugin", name)]
        command = ["-m", "gankit", *options, "evaluate", str(cell.folder), *words]
        ended = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
        if ended.returncode:
            lines = ended.stderr.strip().splitlines() or ["no reason given"]
            return f"`gankit evaluate` failed: {lines[-1]}"
    return ""


def _row(cell: Cell, problem: str) -> Compared:
    """Give a cell for a comparison; what tells it from others is what was asked for."""
    pairs = (change.partition("=") for change in cell.changes)
    options = {key: value for key, _, value in pairs}
    if (cell.folder / "recipe.toml").exists():
        row = compared(read_record(cell.folder))
        return evolve(row, options=options, problem=problem or row.problem)
    return Compared(cell.folder, options, cell.seed, problem=problem)


def _reason(error: BaseException) -> str:
    """Return an error in one line: of several problems, these alone."""
    text = "; ".join(getattr(error, "problems", ())) or " ".join(str(error).split())
    return text if isinstance(error, GankitError) else f"{type(error).__name__}: {text}"
