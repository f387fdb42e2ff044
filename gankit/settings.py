"""The blocks of a recipe that are the core's own: noise, training, optimisers."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from attrs import field, frozen

from gankit.errors import listed, nearest
from gankit.options import Count, NonNegative, Option, Positive, Whole, options_of
from gankit.schedules import SCHEDULES, Linear, Schedule
from gankit.structuring import option_table, structure, structure_options

PLAYERS = ("generator", "discriminator")
# both players' optimiser where nothing is said: Radford et al. 2015, section 4
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}


@frozen(kw_only=True)
class Noise:
    """The generator's random input.

    Args:
        size: numbers in one noise vector.
        distribution: standard normal, or uniform on (low, high).
        low: lower end of the uniform distribution.
        high: upper end of the uniform distribution.
    """

    size: Count = 100
    distribution: Literal["normal", "uniform"] = "normal"
    low: float = -1.0
    high: float = 1.0


@frozen(kw_only=True)
class Train:
    """How to train.

    Args:
        steps: steps of the game: k discriminator updates and one generator update.
        epochs: passes over the data, instead of steps.
        batch_size: real samples in one update.
        seed: with the recipe and the data, fixes every random number of the run.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32, or autocast to bf16 or fp16.
        reduce: how shards of a batch are added up; exact gives the same bits for any
            number of processes.
        shards: logical shards of a batch in exact mode, a power of two.
        order: discriminator first, then generator; or both at once from one pass.
        discriminator_updates: k, the discriminator's updates in one step.
        ema: half-life of the generator's moving average, in samples; 0 for none.
        data: keep the data on the device, stream it, or decide by its size.
        workers: processes that read streamed data; 0 reads in the training process.
        log_every: steps between two lines of metrics.
        sample_every: steps between two sample grids; 0 for none.
        samples: samples in a grid.
        checkpoint_every: steps between two checkpoints; 0 for the last one only.
        keep: the newest checkpoints, so many, are kept.
        keep_every: and those of every so many steps; 0 for none.
        best: and the one that is best by this metric; empty for none.
        best_is: whether the lowest or the highest value of it is best.
    """

    steps: Count | None = None
    epochs: Positive | None = None
    batch_size: Count = 64
    seed: Whole = 0
    device: str = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    reduce: Literal["fast", "exact"] = "fast"
    shards: Count = 4
    order: Literal["alternating", "simultaneous"] = "alternating"
    discriminator_updates: Count = 1
    ema: Whole = 0
    data: Literal["auto", "resident", "streamed"] = "auto"
    workers: Whole = 2
    log_every: Count = 50
    sample_every: Whole = 500
    samples: Count = 64
    checkpoint_every: Whole = 1000
    keep: Count = 2
    keep_every: Whole = 0
    best: str = ""
    best_is: Literal["lowest", "highest"] = "lowest"


@frozen(kw_only=True)
class Optimizer:
    """A class of torch.optim by name, its options, and their schedules."""

    use: str
    options: dict[str, Any]
    clip: NonNegative = 0.0  # largest norm of the gradient; 0 for none
    schedule: dict[str, Schedule] = field(factory=dict)

    def as_table(self) -> dict[str, Any]:
        """Return the block that a recipe would hold."""
        names = {cls: name for name, cls in SCHEDULES.items()}
        options = option_table(self.options, optimizer_options(self.use))
        table: dict[str, Any] = {"use": self.use, **options}
        if self.clip:
            table["clip"] = self.clip
        if self.schedule:
            table["schedule"] = {
                key: {"use": names[type(s)], **block_table(s)}
                for key, s in self.schedule.items()
            }
        return table


def structure_block(cls: type, table: Any, path: str, problems: list[str]) -> Any:
    """Convert a table to one of the core's own blocks; None if that failed."""
    before = len(problems)
    if not isinstance(table, dict):
        problems.append(f"{path}: {table!r} is not a table")
        return None
    values = structure_options(table, options_of(cls), path, problems)
    return cls(**values) if len(problems) == before else None


def block_table(block: Any) -> dict[str, Any]:
    """Turn a block back into a table."""
    options = options_of(type(block))
    return option_table({o.name: getattr(block, o.name) for o in options}, options)


def contradictions(train: Train | None, noise: Noise | None) -> list[str]:
    """Say which settings, each right by itself, cannot be together."""
    problems = []
    if train and (train.steps is None) == (train.epochs is None):
        problems.append("train: set either steps or epochs")
    if train and train.order == "simultaneous" and train.discriminator_updates > 1:
        problems.append(
            "train.discriminator_updates: in simultaneous order each player moves "
            "once; set it to 1, or train.order to 'alternating'"
        )
    if train and train.reduce == "exact":
        problems += _inexact(train)
    if noise and noise.low >= noise.high:
        problems.append(
            f"noise.low: {noise.low:g} is not below noise.high {noise.high:g}"
        )
    return problems


def _inexact(train: Train) -> list[str]:
    if train.shards & (train.shards - 1):
        return [
            f"train.shards: {train.shards} is no power of two, which train.reduce "
            "'exact' needs; set it to 2, 4 or 8"
        ]
    if train.batch_size % train.shards:
        return [
            f"train.batch_size: {train.batch_size} cannot be cut into {train.shards} "
            f"equal shards; set it to a multiple of {train.shards}"
        ]
    return []


def structure_optimizer(
    table: dict[str, Any], path: str, problems: list[str]
) -> Optimizer | None:
    """Convert one player's optimiser block; None if that failed."""
    before = len(problems)
    table = dict(table)
    clip = structure(table.pop("clip", 0.0), NonNegative, f"{path}.clip", problems)
    schedules = table.pop("schedule", {})
    use = table.pop("use")
    known = optimizer_names()
    if use not in known:
        hint = nearest(str(use), known) or f"; there are {listed(known)}"
        problems.append(f"{path}.use: torch.optim has no optimiser {use!r}{hint}")
        return None
    takes = optimizer_options(use)
    options = structure_options(table, takes, path, problems)
    if not isinstance(schedules, dict):
        problems.append(f"{path}.schedule: {schedules!r} is not a table")
        return None
    schedule = {
        key: _structure_schedule(key, block, takes, f"{path}.schedule.{key}", problems)
        for key, block in schedules.items()
    }
    if len(problems) == before:
        problems += [f"{path}: {fault}" for fault in _faults(use, options)]
        for key, planned in schedule.items():
            where = f"{path}.schedule.{key}"
            last = options | {key: planned(options[key], float(1 << 62))}
            problems += [f"{where}: {fault}" for fault in _faults(use, last)]
            if isinstance(planned, Linear) and planned.start >= planned.end:
                problems.append(
                    f"{where}.start: {planned.start:g} is not before the end, "
                    f"{planned.end:g}"
                )
    if len(problems) > before:
        return None
    return Optimizer(use=use, options=options, clip=clip, schedule=schedule)


def _faults(use: str, options: dict[str, Any]) -> list[str]:
    """Let torch check the options, on one weight."""
    import torch

    try:
        getattr(torch.optim, use)([torch.zeros(1, 1, requires_grad=True)], **options)
    except Exception as error:  # each optimiser raises what suits it
        return [f"torch.optim.{use} refuses this: {error}"]
    return []


def _structure_schedule(
    key: str, block: Any, takes: tuple[Option, ...], path: str, problems: list[str]
) -> Any:
    scheduled = [option.name for option in takes if option.type is float]
    if key not in scheduled:
        problems.append(
            f"{path}: no such option to schedule{nearest(key, scheduled)}; "
            f"this optimiser has {listed(scheduled)}"
        )
        return None
    block = dict(block) if isinstance(block, dict) else {}
    use = block.pop("use", None)
    if not isinstance(use, str) or use not in SCHEDULES:
        problems.append(
            f"{path}.use: no schedule {use!r}{nearest(str(use), SCHEDULES)}; "
            f"there are {listed(SCHEDULES)}"
        )
        return None
    return structure_block(SCHEDULES[use], block, path, problems)


def optimizer_names() -> list[str]:
    """List the optimisers of torch.optim that a player can use.

    Not LBFGS, which evaluates a loss itself, and not SparseAdam, which takes no dense
    gradient.
    """
    import torch

    unfit = (torch.optim.Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam)
    return sorted(
        name
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value)
        and issubclass(value, torch.optim.Optimizer)
        and value not in unfit
    )


def optimizer_options(name: str) -> tuple[Option, ...]:
    """List the options of an optimiser of torch.optim, typed by their defaults.

    ``Adam(betas=(0, 0.9))`` raises in torch, so that a pair of floats has to be one.
    """
    import torch

    parameters = list(inspect.signature(getattr(torch.optim, name)).parameters.values())
    return tuple(
        Option(p.name, _type_of(p.default), p.default, "") for p in parameters[1:]
    )


def _type_of(default: Any) -> Any:
    if isinstance(default, tuple):
        return tuple[tuple(float for _ in default)]  # type: ignore[misc] # its length is the default's
    if isinstance(default, bool | int | float | str):
        return float if type(default) in (int, float) else type(default)
    return float if default is inspect.Parameter.empty else Any
