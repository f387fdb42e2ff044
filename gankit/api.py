"""Train, resume and load, by one call each."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from gankit import checkpoint as checkpoints
from gankit import runs
from gankit.assembly import Assembly, assemble, assemble_generator
from gankit.checkpoint import Checkpoint
from gankit.data import Progress
from gankit.device import exact_arithmetic, explained, resolve_device
from gankit.errors import RunError
from gankit.game import NoiseSource
from gankit.plugins import discover
from gankit.preparation import prepare
from gankit.processes import Processes, joined, restartable
from gankit.recipe import Recipe, read_recipe
from gankit.recording import recorders
from gankit.restoring import changed_versions, choose, load_weights
from gankit.sampling import Sampler
from gankit.threads import computing
from gankit.trainer import Run, observers

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def train(
    source: str | Path | Mapping[str, Any] | Recipe | Assembly,
    overrides: Iterable[str] | Mapping[str, Any] = (),
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
    with joined() as processes:
        if restartable() and out is None:
            raise RunError(
                "torchrun is to restart this run when it fails (--max-restarts), and "
                "the restarted run has to find its folder: name it with --out DIR"
            )
        if isinstance(source, Assembly):
            assembly, found = source, discover(plugins, disable)
        else:
            recipe = (
                source
                if isinstance(source, Recipe)
                else read_recipe(source, overrides, plugins=plugins, disable=disable)
            )
            found = recipe.registry.plugins
            if out is not None and restartable():
                begun = processes.leads and runs.holds(Path(out), recipe)
                if processes.broadcast(begun):
                    return _resumed(
                        Path(out), (), plugins, disable, watchers, progress, processes
                    )
            if processes.leads:
                folder_of(recipe, out)
            assembly = assemble(recipe)
        with explained(), _arithmetic(assembly, processes) as said:
            run = prepare(assembly, found, processes=processes, progress=progress)
            run.notes = said
            if processes.leads:
                # only now: reading the data may take minutes, in which another run
                # may take the folder
                run.folder = folder_of(assembly.recipe, out)
                runs.create(run.folder, assembly.recipe)
            with _claim(run.folder):
                return _play(run, watchers)


def resume(
    folder: str | Path,
    overrides: Iterable[str] | Mapping[str, Any] = (),
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
    with joined() as processes:
        return _resumed(
            Path(folder), overrides, plugins, disable, watchers, progress, processes
        )


def load(
    folder: str | Path,
    *,
    checkpoint: str | int = "latest",
    device: str = "auto",
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
) -> Sampler:
    """Load what a run has learnt, for sampling; its data is not needed.

    Args:
        folder: the run folder.
        checkpoint: ``"latest"``, ``"best"`` by the metric ``train.best``, or a step.
        device: where to sample.
        plugins: local plugin files, besides those of the recipe.
        disable: plugins to leave out.

    Raises:
        RunError: there is no run, or no whole checkpoint.
    """
    folder = Path(folder)
    path = runs.recipe_file(folder)
    found, damaged = choose(folder / "checkpoints", checkpoint)
    recipe = read_recipe(path, plugins=plugins, disable=disable)
    place = resolve_device(device)
    generator, conditioner = assemble_generator(recipe, found.facts)
    weights = found.weights(place)
    learnt = weights.get("average", weights.get("generator", {}))
    load_weights(generator.to(place).train(), learnt, found.path)
    if isinstance(conditioner, nn.Module):
        conditioner.to(place).train()
        load_weights(conditioner, weights.get("conditioner", {}), found.path)
    return Sampler(
        generator,
        conditioner,
        NoiseSource(recipe.noise),
        found.facts,
        found.conditions,
        place,
        notes=_passed_over(damaged, found),
    )


def folder_of(recipe: Recipe | None, out: str | Path | None) -> Path:
    """Return the run folder, checked to be free.

    Raises:
        RunError: it holds something, or cannot be made.
    """
    name = recipe.name if recipe is not None else "run"
    folder = Path(out) if out is not None else runs.default_folder(name)
    runs.check_free(folder)
    return folder


def _resumed(
    folder: Path,
    overrides: Iterable[str] | Mapping[str, Any],
    plugins: Iterable[str | Path],
    disable: Iterable[str],
    watchers: Mapping[str, object] | None,
    progress: Progress,
    processes: Processes,
) -> Run:
    path = runs.recipe_file(folder)
    with _claim(folder if processes.leads else None):
        found, damaged = processes.broadcast(
            _reopened(folder) if processes.leads else (None, ())
        )
        recipe = read_recipe(path, overrides, plugins=plugins, disable=disable)
        assembly = assemble(recipe)
        threads = found.threads if found and processes.size == 1 else None
        with explained(), _arithmetic(assembly, processes, threads) as said:
            run = prepare(
                assembly,
                recipe.registry.plugins,
                folder=folder if processes.leads else None,
                resumed=found,
                processes=processes,
                progress=progress,
            )
            run.notes = said + (_passed_over(damaged, found) if found else ())
            if found is not None:
                run.notes += tuple(
                    f"{line}: the run goes on, but not to the same bits"
                    for line in changed_versions(found, run.parts)
                )
            if overrides and processes.leads:
                runs.rewrite_recipe(folder, recipe)
            return _play(run, watchers)


def _claim(folder: Path | None) -> AbstractContextManager[object]:
    return runs.claimed(folder) if folder is not None else nullcontext()


def _reopened(folder: Path) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """Find where a run goes on: at its start, where it was killed before it saved."""
    if not checkpoints.all_in(folder / "checkpoints"):
        return None, ()
    return checkpoints.latest(folder / "checkpoints")


def _arithmetic(
    assembly: Assembly, processes: Processes, threads: int | None = None
) -> AbstractContextManager[tuple[str, ...]]:
    device = resolve_device(assembly.train.device, processes)
    if assembly.train.reduce == "exact":
        return exact_arithmetic(device)
    return computing(threads) if device.type == "cpu" else nullcontext(())


def _passed_over(damaged: tuple[str, ...], found: Checkpoint) -> tuple[str, ...]:
    return tuple(f"{line}; going on from {found.path}" for line in damaged)


def _play(run: Run, watchers: Mapping[str, object] | None) -> Run:
    every = [*recorders(run), *(watchers or {}).items()]
    watching = [(name, thing) for name, thing in every if name not in run.plugins.off]
    observers(watching, run.plugins)
    try:
        with _stopped_by_signals(run):
            run.train()
        run.processes.gather(None)  # nobody leaves while the first still saves
    finally:
        for _, thing in watching:
            run.plugins.manager.unregister(thing)
    return run


@contextmanager
def _stopped_by_signals(run: Run) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM finish the step and save; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {s: signal.getsignal(s) for s in _SIGNALS}

    def handle(number: int, _: object) -> None:
        run.stop(signal.Signals(number).name)
        for s, handler in before.items():
            signal.signal(s, handler)

    for s in _SIGNALS:
        signal.signal(s, handle)
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
