"""InfoGAN (Chen et al. 2016): codes that a head of the discriminator tells again."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from gankit import Count, NonNegative, Part, hookimpl


class Coded:
    """Normal numbers z, and behind them a code c: one of some classes, one-hot.

    Args:
        normal: how many numbers z are.
        classes: how many values c may have, all equally likely.
    """

    def __init__(self, *, normal: Count = 2, classes: Count = 8):
        self.normal, self.classes = normal, classes
        self.size = normal + classes

    def __call__(self, count, rng):
        z = torch.randn(count, self.normal, generator=rng, device=rng.device)
        device = rng.device
        drawn = torch.randint(self.classes, (count,), generator=rng, device=device)
        return torch.cat([z, F.one_hot(drawn, self.classes)], 1)


class Featured(nn.Module):
    """A discriminator that gives its features beside its logits.

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


class InfoGAN(nn.Module):
    """The generator also maximises what Q can tell of the code: equations 5 and 6.

    Q is a layer that reads the discriminator's features. It learns with the generator;
    the features learn with the discriminator alone.

    Args:
        width: of the discriminator's features.
        classes: of the code.
        weight: λ, of the information.
    """

    learns_with = "generator"

    def __init__(
        self, *, width: Count = 128, classes: Count = 8, weight: NonNegative = 1.0
    ):
        super().__init__()
        self.q, self.classes, self.weight = nn.Linear(width, classes), classes, weight

    def discriminator(self, step):
        source = F.softplus(-step.real_logits) + F.softplus(step.fake_logits)
        return source.mean()

    def generator(self, step):
        told = self.q(step.fake_judged.extras["features"])  # (B, classes)
        code = step.noise[:, -self.classes :].argmax(1)
        # in nats; no more than I(c; G(z, c)), nor than the code's entropy
        information = math.log(self.classes) - F.cross_entropy(told, code)
        step.log("information", information)
        return F.softplus(-step.fake_logits).mean() - self.weight * information


@hookimpl
def gankit_parts():
    yield Part("noise", "coded", Coded)
    yield Part("discriminator", "featured", Featured)
    yield Part("loss", "infogan", InfoGAN)
