"""Train and resume, by one call each, or step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve

from gankit.compute.arithmetic import arithmetic
from gankit.compute.device import explained, resolve_device
from gankit.compute.environment import restartable
from gankit.compute.joining import joined
from gankit.compute.processes import Processes
from gankit.data.items import Progress
from gankit.errors import RunError
from gankit.game.assembly import Assembly
from gankit.plugins.discovery import discover
from gankit.recipe.building import assemble
from gankit.recipe.recipe import Recipe, read_recipe
from gankit.runs import folder as folders
from gankit.runs.preparation import prepare
from gankit.runs.restoring import notes_of, reopen
from gankit.runs.run import Run
from gankit.runs.start import begun_from, pinned
from gankit.watchers.watching import watched

Source = str | Path | Mapping[str, Any] | Recipe | Assembly
Overrides = Iterable[str] | Mapping[str, Any]


def train(
    source: Source,
    overrides: Overrides = (),
    *,
    out: str | Path | None = None,
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
    watchers: Mapping[str, object] | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Run:
    """Train a recipe, by name, path or table, or parts that are assembled already.

    Parts without a recipe leave checkpoints in the run folder, but no recipe, so that
    :func:`resume` and :func:`load` cannot build them again: draw from ``run.sampler``.

    Args:
        source: what to train.
        overrides: changes to a recipe, as :func:`gankit.read_recipe` takes them.
        out: the run folder; ``runs/<recipe>-<n>`` when left out.
        plugins: local plugin files.
        disable: plugins to leave out.
        watchers: objects with hook implementations, by name, that watch this run.
        progress: told what is done of what takes long before the first step.

    Raises:
        UsageError: the recipe, its parts, the data, the device or the folder is at
            fault; nothing has been written then.
    """
    with starting(
        source,
        overrides,
        out=out,
        plugins=plugins,
        disable=disable,
        watchers=watchers,
        progress=progress,
    ) as run:
        for _ in run.steps():
            pass
    return run


@contextmanager
def starting(
    source: Source,
    overrides: Overrides = (),
    *,
    out: str | Path | None = None,
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
    watchers: Mapping[str, object] | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Iterator[Run]:
    """Prepare a run whose steps the caller plays, with all that :func:`train` does.

    It takes the same arguments, and raises the same errors::

        with gankit.starting("cgan") as run:
            for report in run.steps():
                ...
    """
    plugins, disable = list(plugins), list(disable)
    with joined() as processes:
        if restartable() and out is None:
            raise RunError(
                "torchrun is to restart this run when it fails (--max-restarts), and "
                "the restarted run has to find its folder: name it with --out DIR"
            )
        if isinstance(source, Assembly):
            assembly, registry = source, discover(plugins, disable)
        else:
            recipe = (
                source
                if isinstance(source, Recipe)
                else read_recipe(source, overrides, plugins=plugins, disable=disable)
            )
            registry = recipe.registry
            recipe = _pinned(recipe, processes, out)
            if out is not None and restartable():
                path, table = Path(out), recipe.as_table()
                if processes.once(lambda: folders.holds(path, table)):
                    with _again(
                        Path(out), (), plugins, disable, watchers, progress, processes
                    ) as run:
                        yield run
                    return
            if processes.leads:
                folders.free(recipe.name, out)
            assembly = assemble(recipe)
        registry.hooks.check(watchers or {})

        def folder() -> Path | None:
            if not processes.leads:
                return None
            # only now: reading the data may take minutes, in which another run may
            # take the folder
            free = folders.free(assembly.provenance.name, out)
            folders.create(free, assembly.provenance.table)
            return free

        with explained(), _arithmetic(assembly, processes) as notes:
            run = prepare(
                assembly,
                registry.hooks,
                plugins=registry.in_use(assembly.provenance.parts.values()),
                plugin_files=registry.files,
                folder=folder,
                processes=processes,
                progress=progress,
                notes=[*notes, *map(str, registry.failures)],
            )
            with folders.claimed(run.folder), watched(run, watchers):
                yield run


def resume(
    folder: str | Path,
    overrides: Overrides = (),
    *,
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
    watchers: Mapping[str, object] | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Run:
    """Go on with a run from its latest whole checkpoint; without any, from the start.

    Args:
        folder: the run folder.
        overrides: changes to its recipe, as ``["train.steps=40000"]``, which the run
            keeps.
        plugins: local plugin files, besides those of the recipe.
        disable: plugins to leave out.
        watchers: objects with hook implementations, by name, that watch this run.
        progress: told what is done of what takes long before the first step.

    Raises:
        RunError: there is no run, no whole checkpoint, or it is of other parts.
    """
    with resuming(
        folder,
        overrides,
        plugins=plugins,
        disable=disable,
        watchers=watchers,
        progress=progress,
    ) as run:
        for _ in run.steps():
            pass
    return run


@contextmanager
def resuming(
    folder: str | Path,
    overrides: Overrides = (),
    *,
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
    watchers: Mapping[str, object] | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Iterator[Run]:
    """Prepare to go on with a run whose steps the caller plays, as :func:`starting`.

    It takes the arguments of :func:`resume`, and raises the same errors.
    """
    here = Path(folder)
    with (
        joined() as processes,
        _again(here, overrides, plugins, disable, watchers, progress, processes) as run,
    ):
        yield run


@contextmanager
def _again(
    folder: Path,
    overrides: Overrides,
    plugins: Iterable[str | Path],
    disable: Iterable[str],
    watchers: Mapping[str, object] | None,
    progress: Progress,
    processes: Processes,
) -> Iterator[Run]:
    path = folders.recipe_file(folder)
    with folders.claimed(folder if processes.leads else None):
        saved, damaged = processes.once(lambda: reopen(folder / "checkpoints"))
        recipe = read_recipe(path, overrides, plugins=plugins, disable=disable)
        assembly, registry = assemble(recipe), recipe.registry
        registry.hooks.check(watchers or {})
        threads = saved.threads if saved and processes.size == 1 else None
        with explained(), _arithmetic(assembly, processes, threads) as notes:
            notes += notes_of(saved, damaged, assembly.provenance.parts)
            run = prepare(
                assembly,
                registry.hooks,
                plugins=registry.in_use(assembly.provenance.parts.values()),
                plugin_files=registry.files,
                folder=lambda: folder if processes.leads else None,
                resumed=saved,
                processes=processes,
                progress=progress,
                notes=[*notes, *map(str, registry.failures)],
            )
            if overrides and processes.leads:
                folders.rewrite_recipe(folder, recipe.as_table())
            with watched(run, watchers):
                yield run


def _pinned(recipe: Recipe, processes: Processes, out: str | Path | None) -> Recipe:
    """Let a recipe that starts from a run name its checkpoint, to be followed again.

    A run that is restarted has begun with the one that its own recipe names.
    """
    source = recipe.train.start_from
    if not source:
        return recipe
    begun = Path(out) if out is not None and restartable() else None
    found = processes.once(lambda: begun_from(begun, source) or pinned(source))
    return evolve(recipe, train=evolve(recipe.train, start_from=found))


def _arithmetic(
    assembly: Assembly, processes: Processes, threads: int | None = None
) -> AbstractContextManager[tuple[str, ...]]:
    train = assembly.train
    device = resolve_device(train.device, processes)
    exact = train.reduce == "exact"
    return arithmetic(device, train.precision, exact=exact, threads=threads)
