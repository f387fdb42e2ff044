"""Discriminator `residual`: pictures to logits by residual blocks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from gankit import Count, Shapes, Whole
from gankit_residual.layers import ROOT_TWO, conv
from gankit_residual.sizes import deepest
from gankit_residual.spectral import SpectralConv2d, SpectralLinear

Conv = Callable[[int, int, int, float], nn.Conv2d]


class ResidualDiscriminator(nn.Module):
    """Residual blocks from pictures (B, C, H, W) to features φ, whose sum is judged.

    The first blocks halve, the others keep the size; ReLU, and a sum over all places.
    H and W are multiples of 2^halvings.

    - Miyato et al. 2018, table 4 (CIFAR-10): ``widths = [128, 128, 128, 128]``,
      ``halvings = 2``; table 5 (STL-10): ``[64, 128, 256, 512, 1024]``, 4.
    - Miyato & Koyama 2018 (ImageNet): ``[64, 128, 256, 512, 1024, 1024]``, 5. With a
      condition y the logit is w·φ(x) + (Vy)·φ(x), their equation 3.

    By ``norm = "spectral"`` every weight, V too, has the largest singular value 1
    (:mod:`gankit_residual.spectral`). The convolution of a block's skip comes after the
    halving, which gives the same numbers for a quarter of the work. As in the authors'
    code, what judges the sum has no bias.

    Args:
        widths: channels of each block.
        halvings: so many blocks, the first ones, halve.
        norm: spectral, or none, for a penalty on gradients instead.
    """

    def __init__(
        self,
        shapes: Shapes,
        *,
        widths: tuple[Count, ...] = (128, 128, 128, 128),
        halvings: Whole = 2,
        norm: Literal["spectral", "none"] = "spectral",
    ) -> None:
        super().__init__()
        if not 0 <= halvings <= len(widths) or not widths:
            raise ValueError(
                f"residual has {len(widths)} blocks by its widths, and halvings = "
                f"{halvings} of them cannot halve; give it more widths"
            )
        deepest("residual", shapes.sample, halvings)
        self.lipschitz = norm == "spectral"
        made: Conv = _spectral if self.lipschitz else conv
        sizes = pairwise((shapes.sample[0], *widths))
        self.blocks = nn.Sequential(
            *(
                _Block(inputs, outputs, made, halves=i < halvings, first=i == 0)
                for i, (inputs, outputs) in enumerate(sizes)
            )
        )
        self.logit = self._linear(widths[-1], 1)
        self.embedding: nn.Linear | None = None
        if shapes.condition:
            self.embedding = self._linear(shapes.condition, widths[-1])

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge pictures (B, C, H, W): logits (B,)."""
        features: Tensor = relu(self.blocks(samples)).sum((2, 3))  # (B, widths[-1])
        logits: Tensor = self.logit(features)[:, 0]
        if self.embedding is None:
            return logits
        assert condition is not None, "a conditional network needs a condition"
        projected: Tensor = self.embedding(condition)
        return logits + (projected * features).sum(1)

    def _linear(self, inputs: int, outputs: int) -> nn.Linear:
        if self.lipschitz:
            return SpectralLinear(inputs, outputs)
        layer = nn.Linear(inputs, outputs, bias=False)
        nn.init.xavier_uniform_(layer.weight)
        return layer


class _Block(nn.Module):
    """(B, inputs, h, w) to (B, outputs, h, w), or to half of h and w.

    Figure 8 of Miyato et al. 2018. The first one of a network gets pictures, and has no
    ReLU before its first convolution. Where nothing changes, the skip is the identity.
    """

    def __init__(
        self, inputs: int, outputs: int, conv: Conv, *, halves: bool, first: bool
    ) -> None:
        super().__init__()
        self._halves, self._first = halves, first
        hidden = outputs if first else inputs
        self.conv1 = conv(inputs, hidden, 3, ROOT_TWO)
        self.conv2 = conv(hidden, outputs, 3, ROOT_TWO)
        self.skip: nn.Module = nn.Identity()
        if halves or first or inputs != outputs:
            self.skip = conv(inputs, outputs, 1, 1.0)

    def forward(self, features: Tensor) -> Tensor:
        residue = self.conv1(features if self._first else relu(features))
        residue = self.conv2(relu(residue))
        if self._halves:
            residue, features = avg_pool2d(residue, 2), avg_pool2d(features, 2)
        changed: Tensor = residue + self.skip(features)
        return changed


def _spectral(inputs: int, outputs: int, kernel: int, gain: float) -> nn.Conv2d:
    return SpectralConv2d(inputs, outputs, kernel, gain=gain)
