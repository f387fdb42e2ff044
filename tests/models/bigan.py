"""BiGAN (Donahue et al. 2017): an encoder plays with the generator."""

import math

import torch
from torch import nn
from torch.nn.functional import softplus

from gankit import Count, Part, hookimpl


class Joint(nn.Module):
    """Judge pairs of a sample and its code; a sample alone has the code 0."""

    def __init__(self, shapes, *, width: Count = 8):
        super().__init__()
        self.code = shapes.noise
        pixels = math.prod(shapes.sample)
        self.layers = nn.Sequential(
            nn.Linear(pixels + shapes.noise, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def forward(self, samples, condition, code=None):
        if code is None:
            code = samples.new_zeros(len(samples), self.code)
        return self.layers(torch.cat([samples.flatten(1), code], 1))[:, 0]


class BiGAN(nn.Module):
    """Both players see (x, E(x)) and (G(z), z); E learns with G."""

    learns_with = "generator"

    def __init__(self, *, pixels: Count = 2, code: Count = 2):
        super().__init__()
        self.encoder = nn.Linear(pixels, code)

    def _logits(self, step):
        real = step.judge(step.real, None, code=self.encoder(step.real.flatten(1)))
        fake = step.judge(step.fake, None, code=step.noise)
        step.rank(real.logits, fake.logits)
        return real.logits, fake.logits

    def discriminator(self, step):
        real, fake = self._logits(step)
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, step):
        real, fake = self._logits(step)
        return softplus(real).mean() + softplus(-fake).mean()


@hookimpl
def gankit_parts():
    yield Part("discriminator", "joint", Joint)
    yield Part("loss", "bigan", BiGAN)
