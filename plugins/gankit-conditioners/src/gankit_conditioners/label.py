"""Class labels as one-hot vectors. Mirza & Osindero 2014, section 4.1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gankit import Classes, Facts


class Label(nn.Module):
    """One-hot vectors of class indices, as long as there are classes.

    Raises:
        ValueError: the data set has no classes.
    """

    reads = "label"

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.classes = facts.declared(self.reads, Classes)
        self.size = len(self.classes.names)

    def tokens(self, raw: Sequence[int], /) -> Tensor:
        """Return class indices as int64, (N,)."""
        return torch.tensor(raw, dtype=torch.int64)

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn class indices, (B,), into one-hot vectors, (B, classes)."""
        # a comparison never waits for the device; F.one_hot does, to check its input
        classes = torch.arange(self.size, device=tokens.device)
        return (tokens[:, None] == classes).float()

    def parse(self, text: str, /) -> int:
        """Read a class name, in any case, or a class index.

        Raises:
            ValueError: no such class.
        """
        return self.classes.parse(text)
