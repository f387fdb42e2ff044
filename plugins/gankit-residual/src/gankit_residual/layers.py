"""What the networks of Miyato et al. 2018 share: batch norm, initial weights."""

from __future__ import annotations

import math

from torch import Tensor, nn

ROOT_TWO = math.sqrt(2)  # gain within blocks that end in ReLU, in the authors' code


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gains and shifts follow the condition, where there is one.

    Dumoulin et al. 2017, "A learned representation for artistic style", and de Vries et
    al. 2017; the generator of Miyato & Koyama 2018. Of a one-hot label the linear map
    takes one column, which is what they call a table by class. Gains are 1 plus that
    map, which starts at 0, so that a condition of any kind starts without an effect.

    Args:
        features: channels.
        condition: numbers of a condition; 0 for plain batch norm.
    """

    def __init__(self, features: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=not condition)
        self.affine = None
        if condition:
            self.affine = nn.Linear(condition, 2 * features, bias=False)
            nn.init.zeros_(self.affine.weight)

    def forward(self, features: Tensor, condition: Tensor | None) -> Tensor:
        """Normalise (B, C, H, W) over batch and places, for conditions (B, c)."""
        normal: Tensor = self.norm(features)
        if self.affine is None:
            return normal
        assert condition is not None, "a conditional network needs a condition"
        gain, shift = self.affine(condition)[:, :, None, None].chunk(2, dim=1)
        changed: Tensor = normal * (1 + gain) + shift
        return changed


def conv(inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> nn.Conv2d:
    """Return a convolution that keeps the size, Glorot & Bengio 2010, biases 0."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
