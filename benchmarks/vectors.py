"""Pictures with a vector each, as those that a text encoder gives: a local plugin.

Numbers are drawn, so that what is measured is the game alone: `drawn-vectors` has
pictures of 64 x 64 and vectors of 1,024 numbers, and the conditioner `vectors` gives
them to the networks as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from gankit import Count, Facts, Item, Part, Vector, hookimpl

SIZE, SIDE = 1024, 64


class DrawnVectors:
    """Noise for pictures, and normal numbers for vectors; all from one seed.

    Args:
        items: how many.
    """

    def __init__(self, items: Count = 4096) -> None:
        rng = torch.Generator().manual_seed(0)
        shape = (items, 3, SIDE, SIDE)
        self.all_samples = torch.randint(256, shape, dtype=torch.uint8, generator=rng)
        self.vectors = torch.randn(items, SIZE, generator=rng)
        names = [f"number {i}" for i in range(SIZE)]
        self.facts = Facts(shape[1:], vector=Vector(names))

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int) -> Item:
        return Item(self.all_samples[index], **self.annotations(index))

    def annotations(self, index: int) -> dict[str, Tensor]:
        """Return the vector of an item."""
        return {"vector": self.vectors[index]}


class Vectors:
    """Vectors as they are."""

    reads, size = "vector", SIZE

    def __init__(self, facts: Facts) -> None:
        self._kind = facts.declared(self.reads, Vector)

    def tokens(self, raw: Any, /) -> Tensor:
        """Return them, (N, 1024)."""
        return torch.as_tensor(raw, dtype=torch.float32)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return them, (B, 1024)."""
        return tokens

    def parse(self, text: str, /) -> tuple[float, ...]:
        """Read one."""
        return self._kind.parse(text)


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield both."""
    yield Part("dataset", "drawn-vectors", DrawnVectors, summary="For a benchmark")
    yield Part("conditioner", "vectors", Vectors, summary="Vectors as they are")
