"""How networks are asked: as they play, but for running statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gankit.compute.state import State
from gankit.contracts import UNBOUNDED, Conditioner, NoiseSource
from gankit.errors import UsageError
from gankit.randomness import global_stream


def condition_of(
    conditioner: Conditioner | None, tokens: Tensor | None
) -> Tensor | None:
    """Turn tokens (B, ...) into conditions (B, c); None if there is none of either."""
    if conditioner is None or tokens is None:
        return None
    return conditioner(tokens)


def vectors(
    conditioner: Conditioner | None,
    tokens: Tensor | None,
    device: torch.device,
    seed: int,
) -> Tensor | None:
    """Turn tokens into conditions on the CPU, drawing what a sampler would draw."""
    with global_stream(device, seed, "sample", "global", 0):
        made = condition_of(conditioner, tokens)
    return None if made is None else made.float().cpu()


def played_range(generator: nn.Module) -> tuple[float, float]:
    """Return the range that pixels have in the game."""
    limits = getattr(generator, "output_range", UNBOUNDED)
    return (-1.0, 1.0) if limits == UNBOUNDED else limits


def displayed(samples: Tensor, generator: nn.Module) -> Tensor:
    """Scale pictures from the range of the game to [0, 1]."""
    low, high = played_range(generator)
    return ((samples - low) / (high - low)).clamp(0, 1)


def truncated(
    noise: NoiseSource, count: int, rng: torch.Generator, limit: float
) -> Tensor:
    """Draw noise within ± a limit alone; of all of it, where that is 0.

    Raises:
        UsageError: it cannot be truncated.
    """
    if not limit:
        return noise(count, rng)
    drawn = getattr(noise, "truncated", None)
    if limit < 0 or drawn is None:
        name = type(noise).__name__
        raise UsageError(
            f"truncation {limit:g}: "
            + ("give a number above 0" if limit < 0 else f"{name} has no middle")
        )
    try:
        within: Tensor = drawn(count, rng, limit)
    except ValueError as error:
        raise UsageError(f"truncation {limit:g}: {error}") from error
    return within


@contextmanager
def evaluated(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Hold modules that play in evaluation mode, each alone, not what is within it."""
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module in modules:
            module.training = True


def changed_by_a_pass(
    networks: Sequence[object], pass_two: Callable[[], object], device: torch.device
) -> list[nn.Module]:
    """Find the modules whose own buffers a pass in training mode changes.

    Args:
        networks: those that are modules are looked at, and left as they were.
        pass_two: passes two samples through them, as a batch norm needs.
        device: where they are.
    """
    those = [network for network in networks if isinstance(network, nn.Module)]
    modules = [m for network in those for m in network.modules() if m.training]
    before = [[b.clone() for b in m.buffers(recurse=False)] for m in modules]
    put_back = State(those, ()).keep()
    with global_stream(device, 0, "trial"):
        pass_two()
    changed = [
        module
        for module, was in zip(modules, before, strict=True)
        if not all(map(torch.equal, was, module.buffers(recurse=False)))
    ]
    put_back()
    return changed


def two_of(some: Tensor) -> Tensor:
    """Return the first of a batch twice."""
    return torch.cat([some[:1]] * 2)
