"""The blocks of a recipe that are the core's own: noise, train, optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from gankit.contracts.limits import NonNegative
from gankit.errors import PluginError, listed, nearest
from gankit.game.optimizers import (
    optimizer_class,
    optimizer_faults,
    schedule_fault,
    step_faults,
)
from gankit.game.schedules import (
    LATE,
    SCHEDULES,
    Linear,
    Schedule,
    option_at,
    option_changed,
)
from gankit.game.settings import ADAM, PLAYERS, Optimizer
from gankit.plugins.options import Option, options_of
from gankit.recipe.overrides import override
from gankit.recipe.values import option_table, structure, structure_options


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


def optimizer_table(optimizer: Optimizer) -> dict[str, Any]:
    """Turn a player's optimiser back into a table."""
    options = option_table(optimizer.options, optimizer_options(optimizer.use))
    table: dict[str, Any] = {"use": optimizer.use, **options}
    if optimizer.clip:
        table["clip"] = optimizer.clip
    if optimizer.schedule:
        table["schedule"] = schedules_table(optimizer.schedule)
    return table


def schedules_table(schedules: Mapping[str, Schedule]) -> dict[str, Any]:
    """Turn schedules back into a table, in which a dot of a name is a table within."""
    names = {cls: name for name, cls in SCHEDULES.items()}
    table: dict[str, Any] = {}
    for key, planned in schedules.items():
        *outer, last = key.split(".")
        here = table
        for name in outer:
            here = here.setdefault(name, {})
        here[last] = {"use": names[type(planned)], **block_table(planned)}
    return table


def structure_optimizers(
    block: Any, problems: list[str]
) -> dict[str, Optimizer | None]:
    """Give each player its optimiser: the shared block under the player's own."""
    if not isinstance(block, dict):
        problems.append(f"optimizer: {block!r} is not a table")
        return {}
    shared = {key: value for key, value in block.items() if key not in PLAYERS}
    shared = _merged({"use": "Adam", **ADAM}, shared)
    both = structure_optimizer(shared, "optimizer", problems)
    optimizers: dict[str, Optimizer | None] = dict.fromkeys(PLAYERS, both)
    for player in PLAYERS:
        own = block.get(player, {})
        if not isinstance(own, dict):
            problems.append(f"optimizer.{player}: {own!r} is not a table")
        elif own and both is not None:
            path = f"optimizer.{player}"
            mine = structure_optimizer(_merged(shared, own), path, problems)
            optimizers[player] = mine
    return optimizers


def _merged(block: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    changes = [(("optimizer", key), value) for key, value in own.items()]
    merged: dict[str, Any] = override({"optimizer": block}, changes, ("optimizer",))[
        "optimizer"
    ]
    return merged


def structure_optimizer(
    table: dict[str, Any], path: str, problems: list[str]
) -> Optimizer | None:
    """Convert one player's optimiser block; None if that failed."""
    before = len(problems)
    table = dict(table)
    clip = structure(table.pop("clip", 0.0), NonNegative, f"{path}.clip", problems)
    schedules = table.pop("schedule", {})
    use = table.pop("use")
    if not _checked_use(use, path, problems):
        return None
    takes = optimizer_options(use)
    options = structure_options(table, takes, path, problems)
    if not isinstance(schedules, dict):
        problems.append(f"{path}.schedule: {schedules!r} is not a table")
        return None
    schedule = {
        key: _structure_schedule(key, block, takes, f"{path}.schedule.{key}", problems)
        for key, block in _of_numbers(schedules, takes).items()
    }
    if len(problems) == before:
        faults = optimizer_faults(use, options)
        if ":" in use and not faults:
            faults = step_faults(use, options)
        problems += [f"{path}: {fault}" for fault in faults]
        _check_schedules(schedule, use, options, path, problems)
    if len(problems) > before:
        return None
    return Optimizer(use=use, options=options, clip=clip, schedule=schedule)


def _checked_use(use: Any, path: str, problems: list[str]) -> bool:
    """Tell whether there is such an optimiser; else say so."""
    if isinstance(use, str) and ":" in use:
        try:
            optimizer_class(use)
        except PluginError as error:
            problems.append(f"{path}.use: {error}")
            return False
        return True
    known = optimizer_names()
    if use in known:
        return True
    hint = nearest(str(use), known) or (
        f"; there are {listed(known)}, and those of other packages as 'module:Class'"
    )
    problems.append(f"{path}.use: torch.optim has no optimiser {use!r}{hint}")
    return False


def _check_schedules(
    schedule: dict[str, Any],
    use: str,
    options: dict[str, Any],
    path: str,
    problems: list[str],
) -> None:
    """Let the optimiser check the last value of each option that has a schedule."""
    for key, planned in schedule.items():
        where = f"{path}.schedule.{key}"
        late = planned(option_at(options, key), LATE)
        last = options | option_changed(options, key, late)
        faults = optimizer_faults(use, last) or schedule_fault(use, last, key)
        problems += [f"{where}: {fault}" for fault in faults]


def _structure_schedule(
    key: str, block: Any, takes: tuple[Option, ...], path: str, problems: list[str]
) -> Any:
    scheduled = [option.name for option in takes if option.type is float]
    scheduled += [f"{o.name}.{i}" for o in takes for i in range(_numbers_in(o))]
    if key not in scheduled:
        problems.append(
            f"{path}: no such option to schedule{nearest(key, scheduled)}; "
            f"this optimiser has {listed(scheduled)}"
        )
        return None
    return structure_planned(block, path, problems)


def structure_planned(block: Any, path: str, problems: list[str]) -> Any:
    """Convert the block of a schedule; None if that failed."""
    block = dict(block) if isinstance(block, dict) else {}
    use = block.pop("use", None)
    if not isinstance(use, str) or use not in SCHEDULES:
        problems.append(
            f"{path}.use: no schedule {use!r}{nearest(str(use), SCHEDULES)}; "
            f"there are {listed(SCHEDULES)}"
        )
        return None
    planned = structure_block(SCHEDULES[use], block, path, problems)
    if isinstance(planned, Linear) and planned.start >= planned.end:
        problems.append(
            f"{path}.start: {planned.start:g} is not before the end, {planned.end:g}"
        )
    return planned


def _of_numbers(schedules: dict[str, Any], takes: Iterable[Option]) -> dict[str, Any]:
    """Name those of numbers among several, ``{"betas": {"1": …}}``, as ``betas.1``."""
    several = {option.name for option in takes if _numbers_in(option)}
    found: dict[str, Any] = {}
    for key, block in schedules.items():
        if key in several and isinstance(block, Mapping) and "use" not in block:
            found |= {f"{key}.{place}": inner for place, inner in block.items()}
        else:
            found[key] = block
    return found


def _numbers_in(option: Option) -> int:
    """Count the numbers of an option that is several."""
    return len(get_args(option.type)) if get_origin(option.type) is tuple else 0


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
    """List the options of an optimiser, typed by their defaults.

    ``Adam(betas=(0, 0.9))`` raises in torch, so that a pair of floats has to be one.
    """
    parameters = list(inspect.signature(optimizer_class(name)).parameters.values())
    return tuple(
        Option(p.name, _type_of(p.default), p.default, "")
        for p in parameters[1:]
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    )


def _type_of(default: Any) -> Any:
    if isinstance(default, tuple):
        return tuple[tuple(float for _ in default)]  # type: ignore[misc] # its length is the default's
    if isinstance(default, bool | int | float | str):
        return float if type(default) in (int, float) else type(default)
    return float if default is inspect.Parameter.empty else Any
