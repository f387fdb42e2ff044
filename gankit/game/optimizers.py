"""Optimisers by name: those of torch.optim, and ``module:Class`` of anybody's."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gankit.errors import PluginError
from gankit.plugins.importing import resolve

if TYPE_CHECKING:  # showing a recipe must not import torch
    import torch
    from torch import Tensor, nn


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
    use: str,
    options: dict[str, Any],
    modules: Sequence[nn.Module],
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Add ``fused=True`` to options, where torch has one kernel for all of a step.

    One that the options choose themselves is left alone. A fused kernel walks through
    weights as they lie in memory: those that lie with gaps it would miss. Whether it
    can be had is tried by a step, because only that tells of devices and types.

    Args:
        use: the optimiser.
        options: as the recipe has them.
        modules: what it moves.
        device: where that will be; where it is, if left out.
    """
    import torch

    parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
    within = [m for module in modules for m in module.modules()]
    if any(getattr(m, "sparse", False) for m in within):
        return options  # the gradient of such an embedding is sparse
    chosen = any(options.get(name) is not None for name in ("fused", "foreach"))
    if ":" in use or chosen or options.get("differentiable"):
        return options
    if any(
        p.stride() != torch.empty_like(p, device="meta").stride() for p in parameters
    ):
        return options
    fused = options | {"fused": True}
    sorts = {(device or p.device, p.dtype) for p in parameters}
    alone = [torch.zeros(1, device=d, dtype=t, requires_grad=True) for d, t in sorts]
    for weight in alone:
        weight.grad = torch.zeros_like(weight)
    try:
        optimizer_class(use)(alone, **fused).step()
    except (TypeError, RuntimeError, ValueError):  # there is none, or not here
        return options
    return fused


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
    if option.partition(".")[0] in group:
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
