"""Everything before the first step: networks placed, data read, conditioner fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from attrs import frozen

from gankit.compute.device import Precision, resolve_device
from gankit.compute.memory import keep_freed, lay_out
from gankit.compute.processes import ALONE, Processes
from gankit.compute.shards import Shards, cut
from gankit.contracts import Conditioner
from gankit.data.annotations import Classes, Texts
from gankit.data.columns import as_read, rows_of
from gankit.data.feed import Feed
from gankit.data.items import Data, Progress
from gankit.data.reading import read_data
from gankit.errors import GankitError, PluginError, UsageError
from gankit.game.assembly import Assembly
from gankit.game.game import Game
from gankit.plugins.hooks import Hooks
from gankit.randomness import generator, seed_global
from gankit.runs.checkpoint import Checkpoint
from gankit.runs.choices import choices, choose_compiled, choose_memory_format
from gankit.runs.restoring import load_weights
from gankit.runs.run import Run
from gankit.runs.sampling import Sampler
from gankit.runs.states import check_states

_OBSERVED = 10_000  # real samples that a generator is shown before training
_TRIED = 1024  # items for which a wrong condition is looked for at once


def prepare(
    assembly: Assembly,
    hooks: Hooks,
    *,
    plugin_files: Sequence[Path] = (),
    folder: Callable[[], Path | None] = lambda: None,
    resumed: Checkpoint | None = None,
    processes: Processes = ALONE,
    progress: Progress = lambda done, total, text: None,
    notes: Sequence[str] = (),
) -> Run:
    """Place the networks, read the data, introduce it to the parts, seat the players.

    Args:
        assembly: the parts.
        hooks: of the plugins.
        plugin_files: local plugin files, which workers import too.
        folder: makes the run folder when all that takes long is done, and may have
            failed; one that returns None writes nothing.
        resumed: a checkpoint to go on from; its conditioner is not fitted again.
        processes: those that share the run.
        progress: told what is done of what takes long.
        notes: what the user is to be told before the first step.

    Raises:
        DeviceError: the device or precision is not there.
        DataError: the data cannot be read.
        PluginError: a part has a state that cannot be saved.
    """
    seats = _place(assembly, processes, resumed)
    data = _read(assembly, seats, progress)
    _introduce(assembly, data, resumed, processes, progress)
    game = _seat(assembly, seats, data, plugin_files)
    check_states({k: part.state_dict() for k, part in game.parts().items()})
    passes = (assembly.train.epochs or 0) * len(data)
    samples = game.batches * assembly.train.batch_size  # in one step
    run = Run(
        assembly=assembly,
        game=game,
        data=data,
        sampler=Sampler(
            game.average.network if game.average else assembly.generator,
            assembly.conditioner,
            game.noise,
            data.facts,
            _sample_conditions(assembly.conditioner, data, assembly.train.samples),
            game.device,
        ),
        hooks=hooks,
        folder=folder(),
        total=assembly.train.steps or math.ceil(passes / samples),
        processes=processes,
        memory_format=seats.memory_format,
        notes=tuple(notes),
        choices=choices(
            assembly,
            seats.device,
            seats.memory_format,
            seats.compiled,
            data.place,
            seats.shards.count,
        ),
    )
    if resumed is not None:
        run.restore(resumed)
    return run


@frozen
class _Seats:
    """Where the game is played: on which device, in which precision, by whom."""

    device: torch.device
    precision: Precision
    shards: Shards
    memory_format: str
    compiled: tuple[str, ...]


def _place(
    assembly: Assembly, processes: Processes, resumed: Checkpoint | None
) -> _Seats:
    """Move the networks to the device, and lay them out there."""
    train = assembly.train
    device = resolve_device(train.device, processes)
    exactly = train.shards if train.reduce == "exact" else 0
    shards = cut(train.batch_size, exactly, processes)
    precision = Precision(train.precision, device)
    for place, part in assembly.parts().items():
        if isinstance(part, torch.nn.Module):
            _check_weights(place, part)
            part.to(device)
    for network in (assembly.generator, assembly.discriminator, assembly.conditioner):
        if isinstance(network, torch.nn.Module):
            network.train()  # other parts have what modes their authors have chosen
    memory_format = choose_memory_format(assembly, device, resumed)
    lay_out((assembly.generator, assembly.discriminator), memory_format)
    if device.type == "cpu":
        keep_freed()
    compiled = choose_compiled(assembly, resumed)
    return _Seats(device, precision, shards, memory_format, compiled)


def _check_weights(place: str, network: torch.nn.Module) -> None:
    """Refuse what is no tensor: weights are saved, shared and looked at as tensors."""
    for key, value in network.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise PluginError(
                f"the state of the {place} {type(network).__name__} holds no tensor "
                f"under {key!r}, but a {type(value).__name__}, which cannot be saved "
                "with the weights; its author has to keep it as a buffer"
            )


def _read(assembly: Assembly, seats: _Seats, progress: Progress) -> Data:
    data = read_data(
        assembly.dataset,
        device=seats.device,
        mode=assembly.train.data,
        output_range=getattr(assembly.generator, "output_range", (-1.0, 1.0)),
        processes=seats.shards.processes,
        progress=progress,
    )
    if len(data) < assembly.train.batch_size:
        raise UsageError(
            f"train.batch_size: {assembly.train.batch_size} is more than the "
            f"{len(data)} items that can be read; set it to {len(data)} or less"
        )
    return data


def _seat(
    assembly: Assembly, seats: _Seats, data: Data, plugin_files: Sequence[Path]
) -> Game:
    """Set up the game, with the same weights in every process."""
    feed = Feed(
        data,
        shards=seats.shards,
        seed=assembly.train.seed,
        workers=assembly.train.workers,
        plugin_files=plugin_files,
    )
    game = Game(assembly, feed, seats.device, seats.precision, seats.compiled)
    for network in game.networks().values():
        for tensor in network.state_dict().values():
            seats.shards.processes.broadcast_tensor(tensor)
    return game


def _introduce(
    assembly: Assembly,
    data: Data,
    resumed: Checkpoint | None,
    processes: Processes,
    progress: Progress,
) -> None:
    """Show the data to the parts that learn from it before the game begins."""
    seed = assembly.train.seed
    if assembly.conditioner is not None:
        data.reads = assembly.conditioner.reads
    if getattr(assembly.loss, "needs_mismatch", False):
        for some in torch.split(torch.arange(len(data)), _TRIED):
            data.strangers(some, generator("cpu", seed, "trial"))  # else an error
    if assembly.conditioner is not None:
        try:
            _condition(assembly.conditioner, data, seed, resumed, processes, progress)
        except GankitError:
            raise
        except ValueError as error:
            name = type(assembly.conditioner).__name__
            raise UsageError(f"the conditioner {name}: {error}") from error
    observe = getattr(assembly.generator, "observe", None)
    if observe is not None and resumed is None and processes.leads:
        # items that lie together are often of one class
        drawn = torch.randperm(len(data), generator=generator("cpu", seed, "observe"))
        rng = generator(data.device, seed, "observe")
        observe(data.samples(drawn[:_OBSERVED], rng))
    seed_global(seed, "global")


def _condition(
    conditioner: Conditioner,
    data: Data,
    seed: int,
    resumed: Checkpoint | None,
    processes: Processes,
    progress: Progress,
) -> None:
    """Fit the conditioner, unless that was done before, and turn the data to tokens.

    The first process fits it for all, so that they agree to the bit.
    """
    module = conditioner if isinstance(conditioner, torch.nn.Module) else None
    if resumed is not None and module is not None:
        weights = resumed.weights(data.device).get("conditioner", {})
        load_weights(module, weights, resumed.path)
    elif hasattr(conditioner, "fit"):
        if processes.leads or module is None:
            conditioner.fit(data, device=data.device, seed=seed, progress=progress)
        if module is not None and processes.size > 1:
            learnt = {k: t.cpu() for k, t in module.state_dict().items()}
            module.load_state_dict(processes.broadcast(learnt))
    values, how = as_read(data.annotations[data.reads]), {}
    if "progress" in signature(conditioner.tokens).parameters:
        how["progress"] = progress
    data.tokens = conditioner.tokens(values, **how).to(data.device)


def _sample_conditions(
    conditioner: Conditioner | None, data: Data, count: int
) -> tuple[Any, ...]:
    """Choose the conditions of the run's own grids: every class, or spread items'.

    Of texts it is the first of an item, if the conditioner understands that.
    """
    if conditioner is None:
        return ()
    kind = data.facts.annotations[conditioner.reads]
    if isinstance(kind, Classes):
        return tuple(range(len(kind.names)))
    values = data.annotations[conditioner.reads]
    if isinstance(kind, Texts):
        first = (texts[0] for texts in values if texts)
        values = [text for text in first if _understands(conditioner, text)]
    if not len(values):
        raise UsageError(
            f"the conditioner {type(conditioner).__name__} can read no "
            f"{conditioner.reads} of the data set; give it others, or choose another "
            "conditioner"
        )
    return tuple(rows_of(values, torch.linspace(0, len(values) - 1, count).long()))


def _understands(conditioner: Conditioner, text: str) -> bool:
    try:
        conditioner.parse(text)
    except ValueError:
        return False
    return True
