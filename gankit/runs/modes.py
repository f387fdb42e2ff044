"""The modes in which networks are sampled: as they play, but for running statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gankit.compute.shards import State
from gankit.contracts import Conditioner
from gankit.randomness import global_stream


def condition_of(
    conditioner: Conditioner | None, tokens: Tensor | None
) -> Tensor | None:
    """Turn tokens (B, ...) into conditions (B, c); None if there is none of either."""
    if conditioner is None or tokens is None:
        return None
    return conditioner(tokens)


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
    generator: nn.Module,
    conditioner: Conditioner | None,
    noise: Tensor,
    tokens: Tensor | None,
) -> list[nn.Module]:
    """Find the modules whose own buffers a pass in training mode changes.

    Args:
        generator: is left as it was.
        conditioner: likewise.
        noise: (B, n), of which one is used.
        tokens: of conditions (B, ...), on the device, of which one is used.
    """
    both = (generator, conditioner)
    networks = [network for network in both if isinstance(network, nn.Module)]
    modules = [m for n in networks for m in n.modules() if m.training]
    before = [[b.clone() for b in m.buffers(recurse=False)] for m in modules]
    put_back = State(networks, ()).keep()
    with global_stream(noise.device, 0, "trial"):  # of two, as a batch norm needs
        two = None if tokens is None else torch.cat([tokens[:1]] * 2)
        generator(torch.cat([noise[:1]] * 2), condition_of(conditioner, two))
    changed = [
        module
        for module, was in zip(modules, before, strict=True)
        if not all(map(torch.equal, was, module.buffers(recurse=False)))
    ]
    put_back()
    return changed
