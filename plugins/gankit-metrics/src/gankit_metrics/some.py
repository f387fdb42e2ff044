"""Samples that are compared, generated or real, and what is known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from gankit import Facts

GENERATED = "generated"


@frozen(eq=False)
class Some:
    """Samples that are compared, generated or real.

    Attributes:
        samples: (N, *sample): uint8 pixels, or float numbers of what is no picture.
        annotations: what is known of them, or was asked for: by name, tensors (N, …) or
            lists of N tuples of texts.
        name: ``"generated"``, or the split that they are of.
    """

    samples: Tensor
    annotations: Mapping[str, Any]
    name: str

    def __len__(self) -> int:
        return len(self.samples)

    def floats(self, rows: slice | Tensor = slice(None)) -> Tensor:
        """Return samples as features are given them: pictures in [0, 1]."""
        some = self.samples[rows]
        return some.float() / 255 if some.dtype == torch.uint8 else some

    def channel(self, number: int) -> Some:
        """Return one channel of pictures, as grey ones."""
        alone = self.samples[:, number : number + 1]
        return Some(alone, self.annotations, f"{self.name}, channel {number}")

    def texts(self) -> list[str]:
        """Return the caption of each, the first of an item that has several.

        Raises:
            ValueError: there are none.
        """
        if "captions" not in self.annotations:
            raise ValueError("the data set has no captions; choose another metric")
        return [texts[0] if texts else "" for texts in self.annotations["captions"]]

    def labels(self) -> Tensor:
        """Return the class of each, int64 (N,).

        Raises:
            ValueError: there are none.
        """
        labels = self.annotations.get("label")
        if not isinstance(labels, Tensor) or labels.ndim != 1:
            raise ValueError("the data set has no labels; choose another metric")
        return labels


def kept(samples: Tensor, facts: Facts) -> Tensor:
    """Bring samples to the form in which they are compared.

    Pixels in [0, 1] are rounded to the 256 steps that stored ones have: else the
    rounding itself would tell generated samples from real ones (Parmar et al. 2022,
    section 3.3). Pictures with a range of their own are scaled to [0, 1].
    """
    if facts.sample_range is None:
        return (samples * 255).round().clamp(0, 255).to(torch.uint8)
    low, high = facts.sample_range
    if len(facts.sample_shape) == 3 and math.isfinite(high - low):
        return ((samples - low) / (high - low)).clamp(0, 1)
    return samples
