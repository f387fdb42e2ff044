"""Load what a run has learnt, or a file that it was packed into, without its data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from gankit.compute.device import resolve_device
from gankit.compute.memory import lay_out
from gankit.compute.processes import ALONE, Processes
from gankit.errors import RunError
from gankit.plugins.discovery import discover
from gankit.recipe.building import assemble_player
from gankit.recipe.recipe import Recipe, read_recipe
from gankit.runs import folder as folders
from gankit.runs.checkpoint import Checkpoint
from gankit.runs.folder import SAVED
from gankit.runs.judging import Judge
from gankit.runs.pack import Pack, read_pack
from gankit.runs.restoring import choose, load_weights, passed_over
from gankit.runs.sampling import Sampler


def load(
    folder: str | Path,
    *,
    checkpoint: str | int = "latest",
    device: str = "auto",
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
    processes: Processes = ALONE,
) -> Sampler:
    """Load what a run has learnt, for sampling; its data is not needed.

    Args:
        folder: the run folder, or a file that :func:`gankit.pack` wrote.
        checkpoint: ``"latest"``, ``"best"`` by the metric ``train.best``, or a step; a
            file holds but one.
        device: where to sample.
        plugins: local plugin files, besides those of the recipe.
        disable: plugins to leave out.
        processes: those that `gankit.joined` gives, all of which load the same
            checkpoint, each onto a GPU of its own where there are any.

    Raises:
        RunError: there is no run, no whole checkpoint, or it is of other parts.
        UsageError: a file is of parts whose package is not installed, which it names.
    """
    saved, damaged, recipe = chosen(folder, checkpoint, plugins, disable, processes)
    place = resolve_device(device, processes)
    generator, conditioner, noise = assemble_player(recipe, saved.facts, "generator")
    weights = saved.weights(place)
    learnt = weights.get("average", weights.get("generator", {}))
    lay_out([generator.to(place)], saved.memory_format)
    load_weights(generator.train(), learnt, saved.path)
    others: dict[str, Any] = {"conditioner": conditioner, "noise": noise}
    for name, part in others.items():
        if isinstance(part, nn.Module):
            part.to(place).train()
            load_weights(part, weights.get(name, {}), saved.path)
        elif hasattr(part, "load_state_dict"):
            try:
                if (state := saved.state()["game"].get(name)) is not None:
                    part.load_state_dict(state)
            except Exception as error:  # whatever its author's code may raise
                problem = f"{str(saved.path)!r} has another state of {name}"
                raise RunError(f"{problem}: {error}; load the same part") from error
    drawn = generator, conditioner, noise, saved.facts, saved.conditions(), place
    notes = passed_over(damaged, saved)
    return Sampler(*drawn, notes=notes, step=saved.step).settle()


def load_judge(
    folder: str | Path,
    *,
    checkpoint: str | int = "latest",
    device: str = "auto",
    plugins: Iterable[str | Path] = (),
    disable: Iterable[str] = (),
    processes: Processes = ALONE,
) -> Judge:
    """Load a run's discriminator, to ask it about samples; its data is not needed.

    It takes the arguments of :func:`load`, and raises the same errors.
    """
    plugins, disable = list(plugins), list(disable)
    saved, _, recipe = chosen(folder, checkpoint, plugins, disable, processes)
    sampler = load(
        folder,
        checkpoint=saved.step,
        device=device,
        plugins=plugins,
        disable=disable,
        processes=processes,
    )
    discriminator, *_ = assemble_player(recipe, saved.facts, "discriminator")
    lay_out([discriminator.to(sampler.device)], saved.memory_format)
    learnt = saved.weights(sampler.device).get("discriminator", {})
    load_weights(discriminator.train(), learnt, saved.path)
    return Judge(discriminator, sampler)


def chosen(
    folder: str | Path,
    checkpoint: str | int,
    plugins: Iterable[str | Path],
    disable: Iterable[str],
    processes: Processes = ALONE,
) -> tuple[Checkpoint | Pack, tuple[str, ...], Recipe]:
    """Find a checkpoint of a run, or what was packed, and read the recipe.

    Returns:
        it; which newer ones are damaged; and the recipe.
    """
    plugins, disable = list(plugins), list(disable)
    if Path(folder).is_file():
        pack = read_pack(Path(folder))
        if str(checkpoint) not in ("latest", str(pack.step)):
            raise RunError(
                f"{str(folder)!r} holds the checkpoint of step {pack.step} alone, and "
                f"not {checkpoint!r}"
            )
        pack.check(discover(plugins, disable))
        return pack, (), read_recipe(pack.recipe, plugins=plugins, disable=disable)
    path = folders.recipe_file(Path(folder))
    # once, because of a run in progress the latest is soon another
    saved, damaged = processes.once(lambda: choose(path.parent / SAVED, checkpoint))
    return saved, damaged, read_recipe(path, plugins=plugins, disable=disable)
