"""Samples that were made, as data that a classifier can be fitted to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from gankit import Facts
from gankit_metrics.some import Some


@frozen(eq=False)
class Made:
    """Samples in the place of data that were read, see `gankit.contracts.ReadData`."""

    some: Some
    told: Facts

    @property
    def facts(self) -> Facts:
        """What is known of them: pictures are in [0, 1] here, whatever they were."""
        if self.told.sample_range is None or len(self.told.sample_shape) != 3:
            return self.told
        return Facts(self.told.sample_shape, (0.0, 1.0), **self.told.annotations)

    @property
    def annotations(self) -> Mapping[str, Any]:
        """What was asked for."""
        return self.some.annotations

    @property
    def broken(self) -> Mapping[int, str]:
        """Nothing is."""
        return {}

    def __len__(self) -> int:
        return len(self.some)

    def samples(self, positions: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return some, pictures in [0, 1]."""
        return self.some.floats(positions)

    def stored(self, positions: Tensor) -> Tensor:
        """Return some as they are kept."""
        return self.some.samples[positions]

    def fingerprint(self) -> str:
        """Return a digest of all of them."""
        pixels = self.some.samples.contiguous().flatten().view(torch.uint8)
        return hashlib.sha256(pixels.numpy().data).hexdigest()
