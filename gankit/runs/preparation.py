"""Everything before the first step: networks placed, data read, conditioner fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from attrs import frozen

from gankit.compute.device import Precision, resolve_device
from gankit.compute.memory import keep_freed, lay_out
from gankit.compute.processes import ALONE, Processes
from gankit.compute.shards import Shards, cut
from gankit.data.feed import Feed
from gankit.data.items import Data, Progress
from gankit.data.reading import read_data
from gankit.errors import PluginError, UsageError
from gankit.game.assembly import Assembly
from gankit.game.game import Game
from gankit.plugins.hooks import Hooks
from gankit.runs.checkpoint import Checkpoint
from gankit.runs.choices import choices, choose_compiled, choose_memory_format
from gankit.runs.introducing import introduce, sample_conditions
from gankit.runs.run import Run
from gankit.runs.sampling import Sampler
from gankit.runs.start import Start, open_start
from gankit.runs.states import check_states


def prepare(
    assembly: Assembly,
    hooks: Hooks,
    *,
    plugins: Mapping[str, str] | None = None,
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
        plugins: in use, each with its version, which the run says.
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
    start = None
    if assembly.train.start_from and resumed is None and processes.leads:
        start = open_start(assembly.train.start_from)
        start.check(assembly.networks())
    data = _read(assembly, seats, progress)
    introduce(assembly, data, resumed, start, processes, progress)
    game = _seat(assembly, seats, data, start, plugin_files)
    check_states({k: part.state_dict() for k, part in game.parts().items()})
    passes = (assembly.train.epochs or 0) * len(data)
    samples = game.batches * assembly.train.batch_size  # in one step
    here = folder()
    if start is not None and here is not None:
        start.write(here)
    run = Run(
        assembly=assembly,
        game=game,
        data=data,
        sampler=Sampler(
            game.average.network if game.average else assembly.generator,
            assembly.conditioner,
            game.noise,
            data.facts,
            sample_conditions(assembly.conditioner, data, assembly.train.samples),
            game.device,
        ),
        hooks=hooks,
        folder=here,
        total=assembly.train.steps or math.ceil(passes / samples),
        processes=processes,
        plugins=plugins or {},
        memory_format=seats.memory_format,
        notes=(*notes, *(start.notes if start is not None else ())),
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
    shards = cut(train.batch_size, exactly, processes, train.accumulate)
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
    assembly: Assembly,
    seats: _Seats,
    data: Data,
    start: Start | None,
    plugin_files: Sequence[Path],
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
    if start is not None:
        start.take_all(game.networks())
    for network in game.networks().values():
        for tensor in network.state_dict().values():
            seats.shards.processes.broadcast_tensor(tensor)
    return game
