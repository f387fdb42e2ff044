"""The networks of the features `classifier`: for pictures, and for all else."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gankit_metrics.features.pictures import resized

SMALLEST = 16  # pixels a side that leave 2 after three halvings


class Network(nn.Module):
    """A body from samples to features, and a head from features to logits.

    Samples are standardised by ``mean`` and ``std`` first: of each channel for
    pictures, of each number for anything else.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(size, classes)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def observe(self, samples: Tensor) -> None:
        """Take mean and standard deviation from samples, as ``features`` has them."""
        flat = samples.transpose(0, 1).flatten(1)  # (channels, …)
        self.mean.copy_(flat.mean(1))
        self.std.copy_(flat.std(1).clamp(min=1e-3))

    def features(self, samples: Tensor) -> Tensor:
        """Turn samples, (B, C, H, W) or (B, n), into features, (B, size)."""
        shape = (-1, *[1] * (samples.ndim - 2))
        standard = (samples - self.mean.view(shape)) / self.std.view(shape)
        if standard.ndim == 4:
            standard = standard.contiguous(memory_format=torch.channels_last)
        found: Tensor = self.body(standard)
        return found

    def forward(self, samples: Tensor) -> Tensor:
        """Turn samples into logits, (B, classes)."""
        logits: Tensor = self.head(self.features(samples))
        return logits


def network_for(
    shape: tuple[int, ...], *, width: int, size: int, classes: int
) -> Network:
    """Return the network for samples of a shape, its weights drawn anew.

    Pictures (C, H, W) pass five convolutions, of which three halve them, so that 28
    pixels a side become 14, 7 and 4; places are told apart up to the features, because
    what is where can be what a class is. Other samples pass two layers.
    """
    if len(shape) != 3:
        body = nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(math.prod(shape), 256), nn.ReLU()),
            *(nn.Linear(256, size), nn.ReLU()),
        )
        return Network(body, math.prod(shape), size, classes)
    channels, height, width_ = shape
    sides = [math.ceil(side / 8) for side in (height, width_)]
    layers = nn.Sequential(
        *_convolution(channels, width, kernel=5, stride=2),
        *_convolution(width, width),
        *_convolution(width, 2 * width, stride=2),
        *_convolution(2 * width, 2 * width),
        *_convolution(2 * width, 2 * width, stride=2),
        nn.Flatten(),
        *(nn.Linear(2 * width * math.prod(sides), size), nn.ReLU()),
    )
    return Network(
        layers.to(memory_format=torch.channels_last), channels, size, classes
    )


def _convolution(
    channels: int, width: int, *, kernel: int = 3, stride: int = 1
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def shape_seen(shape: tuple[int, ...], side: int) -> tuple[int, ...]:
    """Return the shape in which the network sees samples: at most ``side`` pixels."""
    if len(shape) != 3:
        return shape
    return (shape[0], *(min(pixels, side) for pixels in shape[1:]))


def as_seen(samples: Tensor, side: int) -> Tensor:
    """Bring samples to the shape in which the network sees them."""
    if samples.ndim != 4:
        return samples.flatten(1)
    _, height, width = shape_seen(tuple(samples.shape[1:]), side)
    return resized(samples, height, width)


def shifted(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """Shift each picture (B, C, H, W) by up to 1/14 of its sides, 2 pixels of 28.

    What moves in repeats the border.
    """
    count, channels, *sides = pictures.shape
    places = []
    for side in sides:
        most = round(side / 14)
        by = torch.randint(
            -most, most + 1, (count, 1), generator=rng, device=rng.device
        )
        line = torch.arange(side, device=rng.device)
        places.append((line + by).clamp_(0, side - 1))  # (B, side)
    each = torch.arange(count, device=rng.device).view(-1, 1, 1, 1)
    colours = torch.arange(channels, device=rng.device).view(1, -1, 1, 1)
    rows, columns = places[0][:, None, :, None], places[1][:, None, None, :]
    return pictures[each, colours, rows, columns]
