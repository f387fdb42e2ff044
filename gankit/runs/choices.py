"""What is chosen for speed, by what the machine and the parts allow, and why."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gankit.compute.instructions import lacks_bf16
from gankit.compute.memory import suits_channels_last
from gankit.errors import UsageError
from gankit.game.assembly import Assembly
from gankit.game.captured import why_not_captured
from gankit.game.optimizers import fastest
from gankit.game.settings import PLAYERS
from gankit.game.unseen import why_the_guard_waits
from gankit.runs.checkpoint import Checkpoint


def choose_memory_format(
    assembly: Assembly, device: torch.device, resumed: Checkpoint | None
) -> str:
    """Choose how weights lie in memory; a run that goes on keeps its own.

    Raises:
        UsageError: the parts cannot take what is asked for.
    """
    asked, why_not = assembly.train.memory_format, assembly.refuses_channels_last
    if asked == "channels-last" and why_not:
        raise UsageError(
            f"train.memory_format 'channels-last' cannot be had with these parts: "
            f"{why_not}; set it to 'auto' or 'contiguous'"
        )
    if asked != "auto":
        return asked
    if resumed is not None:
        return resumed.memory_format
    fast = not why_not and suits_channels_last(device, assembly.train.precision)
    return "channels-last" if fast else "contiguous"


def choose_compiled(assembly: Assembly, resumed: Checkpoint | None) -> tuple[str, ...]:
    """Choose whose network torch compiles; a run that goes on keeps what is left.

    What torch compiles can be differentiated once: a network that a penalty or loss
    differentiates twice stays as it is.
    """
    if assembly.train.compile == "off":
        return ()
    may = [name for name in PLAYERS if name not in assembly.differentiated_twice]
    was = resumed.compiled if resumed is not None else ()
    return tuple(name for name in may if not was or name in was)


def choices(
    assembly: Assembly,
    device: torch.device,
    memory_format: str,
    compiled: Sequence[str],
    place: str,
    shards: int = 1,
) -> tuple[str, ...]:
    """Say what was chosen, a line each.

    Args:
        assembly: the parts.
        device: where they compute.
        memory_format: of the networks' weights.
        compiled: whose network torch compiles.
        place: where samples are, and why.
        shards: of a batch.
    """
    train, why_not = assembly.train, assembly.refuses_channels_last
    waits = why_the_guard_waits(assembly, device, shards)
    seen = (
        f"waits in each round, because {waits}"
        if waits
        else "waits for none, unless a hook sees each update"
    )
    why = "the guard waits" if waits else why_not_captured(assembly)
    captured = f"nothing, because {why}" if why else "rounds, as CUDA graphs"
    refused = f", because channels-last is refused: {why_not}" if why_not else ""
    moves = {_moved_by(assembly, player, device): None for player in PLAYERS}
    judged = "in one pass" if assembly.judges_apart else "in a pass each"
    size = train.batch_size // shards
    cut = f"batch: in {train.accumulate} pieces of {size}, as batch norms see them"
    return (
        f"device: {device}, {train.precision}{_slowly(device, train.precision)}",
        *([cut] if train.accumulate > 1 else []),
        f"data: {place}",
        f"memory format: {memory_format}{refused}",
        f"compiled: {_compiled(assembly, compiled)}",
        f"optimisers: {', '.join(moves)}",
        *([] if device.type == "cpu" else [f"guard: {seen}", f"captured: {captured}"]),
        f"passes: real and generated samples are judged {judged}; the generator's "
        f"update has {train.fakes} samples",
    )


def _slowly(device: torch.device, precision: str) -> str:
    """Say where a precision makes steps slower instead of faster."""
    lacks = lacks_bf16() if (device.type, precision) == ("cpu", "bf16") else ""
    return lacks and (
        f", but {lacks}: its steps take longer than in fp32, without AVX-512 many "
        "times as long; set train.precision=fp32"
    )


def _compiled(assembly: Assembly, compiled: Sequence[str]) -> str:
    if assembly.train.compile == "off":
        return "nothing"
    twice = [name for name in PLAYERS if name in assembly.differentiated_twice]
    why = [f"a penalty or the loss differentiates the {name} twice" for name in twice]
    return "; ".join([" and ".join(compiled) or "nothing", *why])


def _moved_by(assembly: Assembly, player: str, device: torch.device) -> str:
    """Name a player's optimiser, and whether one kernel does all of its step."""
    optimizer, modules = assembly.optimizers[player], assembly.learning_with(player)
    options = fastest(optimizer.use, optimizer.options, modules, device)
    return f"fused {optimizer.use}" if options.get("fused") else optimizer.use
