"""The projection discriminator (Miyato & Koyama 2018)."""

import math

from torch import nn

from gankit import Count, Part, hookimpl


class Projection(nn.Module):
    """Logits ψ(φ(x)) + yᵀVφ(x), equation 3: a condition y meets the features φ(x).

    Args:
        width: how many features there are.
    """

    def __init__(self, shapes, *, width: Count = 128):
        super().__init__()
        if not shapes.condition:
            raise ValueError("projection judges by conditions; set conditioner.use")
        self.features = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shapes.sample), width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
        )
        self.logit = nn.Linear(width, 1)  # ψ
        self.condition = nn.Linear(shapes.condition, width, bias=False)  # V

    def forward(self, samples, condition):
        features = self.features(samples)  # (B, width)
        agreement = (self.condition(condition) * features).sum(1)
        return self.logit(features)[:, 0] + agreement  # (B,)


@hookimpl
def gankit_parts():
    yield Part("discriminator", "projection", Projection)
