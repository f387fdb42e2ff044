"""Optimisers by name: those of torch.optim, and ``module:Class`` of anybody's."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gankit.errors import PluginError
from gankit.plugins.importing import resolve

if TYPE_CHECKING:  # showing a recipe must not import torch
    import torch
    from torch import Tensor


def optimizer_class(use: str) -> type[torch.optim.Optimizer]:
    """Return the class that a name stands for.

    Raises:
        PluginError: it cannot be imported, or is no optimiser.
    """
    import torch

    if ":" not in use:
        return getattr(torch.optim, use)  # type: ignore[no-any-return] # known by name
    found = resolve(use)
    if inspect.isclass(found) and issubclass(found, torch.optim.Optimizer):
        return found
    raise PluginError(f"{use!r} is {found!r}, and no torch.optim.Optimizer")


def fastest(
    use: str, options: dict[str, Any], parameters: Sequence[Tensor]
) -> dict[str, Any]:
    """Add ``fused=True`` to options, where torch has one kernel for all of a step.

    One that the options choose themselves is left alone. A fused kernel walks through
    weights as they lie in memory: those that lie with gaps it would miss. Whether it
    can be had is tried by a step, because only that tells of devices and types.
    """
    import torch

    chosen = any(options.get(name) is not None for name in ("fused", "foreach"))
    if ":" in use or chosen or options.get("differentiable"):
        return options
    if any(
        p.stride() != torch.empty_like(p, device="meta").stride() for p in parameters
    ):
        return options
    fused = options | {"fused": True}
    sorts = {(p.device, p.dtype) for p in parameters}
    alone = [torch.zeros(1, device=d, dtype=t, requires_grad=True) for d, t in sorts]
    for weight in alone:
        weight.grad = torch.zeros_like(weight)
    try:
        optimizer_class(use)(alone, **fused).step()
    except (TypeError, RuntimeError, ValueError):  # there is none, or not here
        return options
    return fused


def kernels(use: str, options: dict[str, Any]) -> str:
    """Say which optimiser this is, and whether one kernel does all of its step."""
    return f"fused {use}" if options.get("fused") else use


def full_name(use: str) -> str:
    """Return where an optimiser is from, for an error."""
    return use if ":" in use else f"torch.optim.{use}"


def optimizer_faults(use: str, options: dict[str, Any]) -> list[str]:
    """Let an optimiser check its options, on one weight."""
    try:
        optimizer_class(use)([_weight()], **options)
    except Exception as error:  # each optimiser raises what suits it
        return [f"{full_name(use)} refuses this: {error}"]
    return []


def step_faults(use: str, options: dict[str, Any]) -> list[str]:
    """Say what an optimiser asks of a step that a game cannot give it.

    One that fails whatever it is given may need another device than the CPU.
    """
    import torch

    dense, sparse = torch.ones(1, 1), torch.ones(1, 1).to_sparse()
    if not _fails(use, options, dense):
        return []
    if not _fails(use, options, dense, lambda: torch.zeros(())):
        return [
            f"{use} needs a closure that evaluates the loss, and a step of the game "
            "has one look at the data; choose another"
        ]
    if not _fails(use, options, sparse):
        return [
            f"{use} takes sparse gradients only, and those of networks are dense; "
            "choose another"
        ]
    return []


def schedule_fault(use: str, options: dict[str, Any], option: str) -> list[str]:
    """Say that a schedule of an option would have no effect."""
    (group,) = optimizer_class(use)([_weight()], **options).param_groups
    if option in group:
        return []
    return [f"{use} reads {option!r} once, when it is made; it can have no schedule"]


def _fails(use: str, options: dict[str, Any], gradient: Tensor, *closure: Any) -> bool:
    weight = _weight()
    weight.grad = gradient
    try:
        optimizer_class(use)([weight], **options).step(*closure)
    except Exception:  # each optimiser raises what suits it
        return True
    return False


def _weight() -> Tensor:
    import torch

    return torch.zeros(1, 1, requires_grad=True)
