"""The conditioner: numbers, scaled by what the data has of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gankit import Facts, Vector
from gankit.contracts import ReadData


class Standardised(nn.Module):
    """A vector annotation, less its mean over the data, by its standard deviation.

    Args:
        reads: the annotation's name.

    Raises:
        ValueError: the data set has no such vector.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, facts: Facts, *, reads: str = "numbers") -> None:
        super().__init__()
        self.reads = reads
        self.kind = facts.declared(reads, Vector)
        self.size = len(self.kind.names)
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("std", torch.ones(self.size))

    def fit(
        self,
        data: ReadData,
        /,
        *,
        device: torch.device,
        seed: int,
        progress: Callable[[int, int, str], None],
    ) -> None:
        """Learn mean and deviation."""
        known = data.annotations[self.reads]
        self.mean.copy_(known.mean(0))
        self.std.copy_(known.std(0, correction=0).clamp(min=1e-6))

    def tokens(self, raw: Any, /) -> Tensor:
        """Return the numbers as they are, float32 (N, size)."""
        return torch.as_tensor(raw, dtype=torch.float32)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scale numbers (B, size)."""
        return (tokens - self.mean) / self.std

    def parse(self, text: str, /) -> Sequence[float]:
        """Read ``"angle=0.5, length=1"``, or raise ValueError."""
        return self.kind.parse(text)
