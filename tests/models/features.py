"""Feature matching (Salimans et al. 2016, section 3.1)."""

import math

from torch import nn
from torch.nn.functional import softplus

from gankit import Count, Part, hookimpl


class Featured(nn.Module):
    """A discriminator that gives its last features beside its logits.

    Args:
        width: how many there are.
    """

    def __init__(self, shapes, *, width: Count = 128):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shapes.sample), width), nn.LeakyReLU(0.2)
        )
        self.head = nn.Linear(width, 1)

    def forward(self, samples, condition):
        features = self.body(samples)
        return self.head(features)[:, 0], {"features": features}


class FeatureMatching:
    """The generator makes the mean features of its samples those of real ones."""

    def discriminator(self, step):
        return softplus(-step.real_logits).mean() + softplus(step.fake_logits).mean()

    def generator(self, step):
        real = step.real_judged.extras["features"].mean(0).detach()
        return (step.fake_judged.extras["features"].mean(0) - real).square().sum()


@hookimpl
def gankit_parts():
    yield Part("discriminator", "featured", Featured)
    yield Part("loss", "feature-matching", FeatureMatching)
