"""Which networks are differentiated twice, found out while they play."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gankit.game.given import unpacked


@contextmanager
def second_derivatives(networks: Mapping[str, nn.Module]) -> Iterator[set[str]]:
    """Give a set, to which each network is added that is differentiated twice.

    A backward pass through a network that is to be differentiated itself, as by a
    penalty on a gradient, runs with gradients enabled.
    """
    twice: set[str] = set()

    def watch(name: str) -> Any:
        def backward(gradient: Tensor) -> None:
            if torch.is_grad_enabled():
                twice.add(name)

        def forward(network: nn.Module, inputs: Any, given: Any) -> None:
            tensor, extras = unpacked(given)
            for output in (tensor, *extras.values()):
                if isinstance(output, Tensor) and output.requires_grad:
                    output.register_hook(backward)  # type: ignore[no-untyped-call] # torch has no types here

        return forward

    handles = [
        network.register_forward_hook(watch(name)) for name, network in networks.items()
    ]
    try:
        yield twice
    finally:
        for handle in handles:
            handle.remove()
