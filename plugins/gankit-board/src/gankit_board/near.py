"""The training items nearest to a sample, by their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gankit
from gankit.contracts import ReadData

_CHUNK = 256  # items that are compared at a time
_LOOKED_AT = 20_000  # items, at most, in one random order
_NEAREST = 6


class Near:
    """Compares samples with the data of a run, which is read once.

    Args:
        folder: of the run.
        how: plugin files, and plugins to leave out, as `gankit.read_recipe` takes them.
    """

    def __init__(self, folder: str, how: dict[str, Any]) -> None:
        recipe = gankit.read_recipe(Path(folder) / "recipe.toml", **how)
        self._data: ReadData = gankit.read_data(
            gankit.assemble_dataset(recipe),
            device=torch.device("cpu"),
            output_range=(0.0, 1.0),
        )

    def __len__(self) -> int:
        return len(self._data)

    def to(self, sample: Tensor) -> tuple[Tensor, Tensor, int]:
        """Find the items nearest to a sample, as the training saw them.

        Args:
            sample: (C, H, W), in [0, 1].

        Returns:
            the items, (K, C, H, W), nearest first; the root mean square of the
            differences of their pixels, (K,); and how many were looked at.
        """
        order = torch.Generator().manual_seed(0)
        views = torch.Generator().manual_seed(0)
        positions = torch.randperm(len(self._data), generator=order)[:_LOOKED_AT]
        items = torch.empty(0, *sample.shape)
        apart = torch.empty(0)
        for some in torch.split(positions, _CHUNK):
            new = self._data.samples(some, rng=views)
            both = torch.cat([items, new])
            far = (new - sample).square().flatten(1).mean(1).sqrt()
            far, places = torch.cat([apart, far]).sort(stable=True)
            apart, items = far[:_NEAREST], both[places[:_NEAREST]]
        return items, apart, len(positions)
