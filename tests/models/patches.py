"""PatchGAN (Isola et al. 2017): a logit for each patch; and judges at two scales."""

import torch
from torch import nn
from torch.nn import functional as F

from gankit import Count, Part, hookimpl


class Patches(nn.Module):
    """Judge each patch of a picture: logits (B, H / 4, W / 4)."""

    def __init__(self, shapes, *, width: Count = 4):
        super().__init__()
        channels, height, wide = shapes.sample
        self.logits_shape = (height // 4, wide // 4)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 1, 4, 2, 1),
        )

    def forward(self, samples, condition):
        return self.layers(samples)[:, 0]


class TwoScales(nn.Module):
    """Judge a picture and its half (Wang et al. 2018), each pooled to one map."""

    def __init__(self, shapes, *, width: Count = 4):
        super().__init__()
        self.judges = nn.ModuleList(Patches(shapes, width=width) for _ in range(2))
        self.logits_shape = (2, 2, 2)

    def forward(self, samples, condition):
        scales = (samples, F.avg_pool2d(samples, 2))
        maps = [j(s, condition) for j, s in zip(self.judges, scales, strict=True)]
        return torch.stack([F.adaptive_avg_pool2d(m, 2) for m in maps], 1)


@hookimpl
def gankit_parts():
    yield Part("discriminator", "patches", Patches)
    yield Part("discriminator", "two-scales", TwoScales)
