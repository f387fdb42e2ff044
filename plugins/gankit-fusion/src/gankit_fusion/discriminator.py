"""Discriminator `fusion`: pictures and texts to one logit each."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gankit import Count, NonNegative, Shapes
from gankit_fusion.blocks import SLOPE, DownBlock
from gankit_fusion.shapes import plan_of


class FusionDiscriminator(nn.Module):
    """Residual halvings from pictures (B, C, H, W) to 4 × 4, and one logit with a text.

    The condition is repeated over the 4 × 4 places and joined in depth; two
    convolutions give one logit that says whether the picture is real and matches (the
    one-way output of the paper). There is no norm of any kind, as the gradient penalty
    of each sample asks for. Sides are as for the generator `fusion`.

    Tao et al. 2022, "DF-GAN", section 3.3; ``width = 32`` at 256 × 256 is their code's.

    Args:
        width: channels at the size of the picture; they double at each halving, up to
            eight times as many.
        residual_weight: of the convolutions in each halving at the start; it is learnt.
            With 0, as in the authors' code, the features are linear at first, means of
            large squares, and a short run ends before much else is seen.
    """

    def __init__(
        self, shapes: Shapes, *, width: Count = 32, residual_weight: NonNegative = 0.0
    ) -> None:
        super().__init__()
        plan = plan_of(shapes.sample, width)
        self._conditional = shapes.condition > 0
        self.start = nn.Conv2d(plan.channels, width, 3, 1, 1)
        self.blocks = nn.Sequential(
            *(DownBlock(a, b, residual_weight) for a, b in pairwise(plan.widths))
        )
        self.end = nn.Sequential(
            nn.Conv2d(
                plan.widths[-1] + shapes.condition, 2 * width, 3, 1, 1, bias=False
            ),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 1, (plan.height, plan.width), bias=False),
        )

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge pictures (B, C, H, W): logits (B,)."""
        features = self.blocks(self.start(samples))
        if self._conditional:
            assert condition is not None, "a conditional network needs a condition"
            planes = condition[:, :, None, None].expand(-1, -1, *features.shape[2:])
            features = torch.cat([features, planes], dim=1)
        logits: Tensor = self.end(features)
        return logits.flatten()  # (B, 1, 1, 1) to (B,)
