"""Discriminator `r3gan`: pictures to logits by grouped blocks without norms."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gankit import Count, Shapes, Whole
from gankit_residual.r3gan_layers import Halved, drawn
from gankit_residual.r3gan_plan import planned, stage


class R3GANDiscriminator(nn.Module):
    """The mirror of generator `r3gan`: pictures (B, C, H, W) down to a logit each.

    Huang et al. 2024. A 1 × 1 convolution, then at each size blocks and bilinear
    halving; of the smallest map each channel is weighed by its places, and a linear
    map gives the logit. H and W are multiples of 2^(number of widths − 1).

    With a condition y the linear map gives as many numbers as y is mapped to, and the
    logit is the product of the two (Miyato & Koyama 2018, without the term that does
    not depend on y); y's map is scaled down by the root of that number.

    Args:
        widths: channels at each size, the picture's first; the paper has the
            generator's, reversed.
        blocks: residual blocks at each size.
        expansion: a block's inner channels are so many times its width.
        group: inner channels that a 3 × 3 convolution joins.
        condition_size: numbers that are made of a condition; the authors' code takes
            the first of the widths.
    """

    def __init__(
        self,
        shapes: Shapes,
        *,
        widths: tuple[Count, ...] = (128, 128, 128, 128),
        blocks: Whole = 2,
        expansion: Count = 2,
        group: Count = 16,
        condition_size: Count = 64,
    ) -> None:
        super().__init__()
        small = planned(shapes.sample, widths, expansion, group)
        depth = blocks * len(widths)
        layers: list[nn.Module] = [
            drawn(nn.Conv2d(shapes.sample[0], widths[0], 1, bias=False))
        ]
        layers += stage(widths[0], blocks, expansion, group, depth)
        for inputs, outputs in pairwise(widths):
            layers.append(Halved(inputs, outputs))
            layers += stage(outputs, blocks, expansion, group, depth)
        last = widths[-1]
        layers.append(drawn(nn.Conv2d(last, last, small, groups=last, bias=False)))
        self.layers = nn.Sequential(*layers)
        told = condition_size if shapes.condition else 1
        self.told = drawn(nn.Linear(last, told, bias=False))
        self.embedding: nn.Linear | None = None
        if shapes.condition:
            made = nn.Linear(shapes.condition, told, bias=False)
            self.embedding = drawn(made, gain=told**-0.5)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge pictures (B, C, H, W): logits (B,)."""
        told: Tensor = self.told(self.layers(samples).flatten(1))
        if self.embedding is None:
            return told[:, 0]
        assert condition is not None, "a conditional network needs a condition"
        product: Tensor = told * self.embedding(condition)
        return product.sum(1)
