"""Train, resume and load, by one call each."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gankit import checkpoint, runs
from gankit.assembly import Assembly, assemble, assemble_generator
from gankit.checkpoint import Checkpoint
from gankit.data import Progress
from gankit.device import resolve_device
from gankit.errors import DeviceError
from gankit.game import NoiseSource
from gankit.plugins import discover
from gankit.recipe import Recipe, read_recipe
from gankit.recording import recorders
from gankit.sampling import Sampler
from gankit.trainer import Run, observers, prepare

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
    if isinstance(source, Assembly):
        assembly, found = source, discover(plugins, disable)
    else:
        recipe = (
            source
            if isinstance(source, Recipe)
            else read_recipe(source, overrides, plugins=plugins, disable=disable)
        )
        found = recipe.registry.plugins
        folder_of(recipe, out)
        assembly = assemble(recipe)
    folder = folder_of(assembly.recipe, out)
    with _memory_explained():
        run = prepare(assembly, found, folder=folder, progress=progress)
        # reading the data may take minutes, in which another run may take the folder
        run.folder = folder_of(assembly.recipe, out)
        runs.create(run.folder, assembly.recipe)
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
    """Go on with a run from its latest whole checkpoint.

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
    folder = Path(folder)
    recipe, found, damaged = _reopened(folder, overrides, plugins, disable)
    with _memory_explained():
        run = prepare(
            assemble(recipe),
            recipe.registry.plugins,
            folder=folder,
            resumed=found,
            progress=progress,
        )
        run.notes = _passed_over(damaged, found)
        if overrides:
            runs.rewrite_recipe(folder, recipe)
        return _play(run, watchers)


def load(
    folder: str | Path,
    *,
    device: str = "auto",
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
) -> Sampler:
    """Load what a run has learnt, for sampling; its data is not needed.

    Args:
        folder: the run folder.
        device: where to sample.
        plugins: local plugin files, besides those of the recipe.
        disable: plugins to leave out.

    Raises:
        RunError: there is no run, or no whole checkpoint.
    """
    folder = Path(folder)
    recipe, found, damaged = _reopened(folder, (), plugins, disable)
    place = resolve_device(device)
    generator, conditioner = assemble_generator(recipe, found.facts)
    weights = found.weights(place)
    learnt = weights.get("average", weights.get("generator", {}))
    checkpoint.load_weights(generator.to(place), learnt, found.path)
    if isinstance(conditioner, nn.Module):
        conditioner.to(place)
        checkpoint.load_weights(conditioner, weights.get("conditioner", {}), found.path)
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


def _reopened(
    folder: Path,
    overrides: Iterable[str] | Mapping[str, Any],
    plugins: Iterable[str | Path],
    disable: Iterable[str],
) -> tuple[Recipe, Checkpoint, tuple[str, ...]]:
    path = runs.recipe_file(folder)
    found, damaged = checkpoint.latest(folder / "checkpoints")
    recipe = read_recipe(path, overrides, plugins=plugins, disable=disable)
    return recipe, found, damaged


def _passed_over(damaged: tuple[str, ...], found: Checkpoint) -> tuple[str, ...]:
    return tuple(f"{line}; going on from {found.path}" for line in damaged)


def _play(run: Run, watchers: Mapping[str, object] | None) -> Run:
    every = [*recorders(), *(watchers or {}).items()]
    watching = [(name, thing) for name, thing in every if name not in run.plugins.off]
    observers(watching, run.plugins)
    try:
        with _stopped_by_signals(run):
            run.train()
    finally:
        for _, thing in watching:
            run.plugins.manager.unregister(thing)
    return run


@contextmanager
def _memory_explained() -> Iterator[None]:
    """Say what to do when memory runs out; torch only says that it did."""
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        known = isinstance(error, torch.OutOfMemoryError)
        if not known and "can't allocate memory" not in str(error):
            raise
        raise DeviceError(
            f"the memory ran out: {str(error).splitlines()[0]}; lower train.batch_size "
            "or the networks' widths, or set train.data to 'streamed'"
        ) from error


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
