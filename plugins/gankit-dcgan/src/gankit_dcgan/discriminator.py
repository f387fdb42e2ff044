"""Discriminator `dcgan`: square images to logits by strided convolutions."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from gankit import Count, Shapes, Whole
from gankit_dcgan.layers import (
    PADDING,
    SMALLEST,
    initialise,
    join,
    projection,
    stages_of,
    widths_of,
)


class DCGANDiscriminator(nn.Module):
    """Strided convolutions from images (B, C, S, S) down to 4 × 4, one logit each.

    Every stage halves the size and doubles the channels, with batch norm, but for the
    first, and LeakyReLU; a 4 × 4 convolution gives the logit. S is a power of two from
    16 up.

    - Radford et al. 2015, section 3: ``width = 128`` at 64 × 64; ``kernel = 5`` is the
      authors' code's.
    - Their code's conditional form: ``condition_at = "layers"``.
    - Reed et al. 2016, section 4.1: ``width = 64``, ``condition_size = 128``,
      ``condition_at = "features"``.
    - Miyato & Koyama 2018, equation 3: ``condition_at = "product"`` adds the product of
      a linear map of the condition and the 4 × 4 features to the logit.

    Deviations: layers without batch norm have biases; Reed's code adds a residual
    block at 4 × 4 and batch norm of the projected text that the paper does not have;
    Miyato & Koyama sum features over places before the product, and here each place has
    weights of its own, because a text tells what is where.

    Args:
        width: channels at half the size of the image; they double at each stage
            towards 4 × 4.
        max_width: no stage has more channels; 1024 is Radford's widest.
        kernel: size of the convolutions' kernels.
        norm: batch norm, or none, which a penalty on each sample's gradient asks for
            (Gulrajani et al. 2017, section 4).
        condition_size: a condition first passes a linear layer of this size and
            LeakyReLU; 0 joins it as it is, which suits one-hot labels.
        condition_at: where the condition joins in depth: the image; the 4 × 4
            features, followed by a 1 × 1 convolution; or the input of every layer. Or
            it joins nowhere, and its product with the 4 × 4 features is added.
    """

    def __init__(
        self,
        shapes: Shapes,
        *,
        width: Count = 64,
        max_width: Count = 1024,
        kernel: Literal[4, 5] = 4,
        norm: Literal["batch", "none"] = "batch",
        condition_size: Whole = 0,
        condition_at: Literal["input", "features", "layers", "product"] = "features",
    ) -> None:
        super().__init__()
        widths = widths_of(stages_of(shapes.sample), width, max_width)
        self.projection, joined = projection(shapes.condition, condition_size)
        mixes = joined > 0 and condition_at == "features"

        # kernel size, stride, padding
        halving: tuple[int, int, int] = (kernel, 2, PADDING[kernel][0])
        plan = [(a, b, halving) for a, b in pairwise([shapes.sample[0], *widths])]
        plan += [(widths[-1], widths[-1], (1, 1, 0))] if mixes else []
        plan += [(widths[-1], 1, (SMALLEST, 1, 0))]

        places = {
            "input": range(1),
            "features": range(len(widths), len(widths) + 1),
            "layers": range(len(plan)),
            "product": range(0),
        }
        self._joins = places[condition_at] if joined else range(0)
        self.stages = nn.ModuleList()
        for index, (inputs, outputs, geometry) in enumerate(plan):
            last = index == len(plan) - 1
            normed = norm == "batch" and index > 0 and not last
            inputs += joined if index in self._joins else 0
            stage = nn.Sequential(
                nn.Conv2d(inputs, outputs, *geometry, bias=not normed)
            )
            if normed:
                stage.append(nn.BatchNorm2d(outputs))
            if not last:
                stage.append(nn.LeakyReLU(0.2))
            self.stages.append(stage)
        self.product: nn.Linear | None = None
        if joined and condition_at == "product":
            self.product = nn.Linear(joined, widths[-1] * SMALLEST**2, bias=False)
        initialise(self)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge images (B, C, S, S): logits (B,)."""
        if self._joins or self.product is not None:
            assert condition is not None, "a conditional network needs a condition"
            condition = self.projection(condition)
        features = samples
        for index, stage in enumerate(self.stages):
            if condition is not None and index in self._joins:
                features = join(features, condition)
            before, features = features, stage(features)
        logits = features.flatten()  # (B, 1, 1, 1) to (B,)
        if self.product is not None:
            agreement: Tensor = self.product(condition) * before.flatten(1)
            logits = logits + agreement.sum(1)
        return logits
