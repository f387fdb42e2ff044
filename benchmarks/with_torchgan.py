"""The perceptrons of `networks.py` trained by torchgan's own loop, on MNIST.

    python with_torchgan.py ROOT [--batch 64]

ROOT holds MNIST as torchvision has it; torchgan has to be installed.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from networks import LayersDiscriminator, LayersGenerator
from torch.utils.data import DataLoader, RandomSampler
from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
from torchgan.models import Discriminator, Generator
from torchgan.trainer import Trainer
from torchvision import datasets, transforms

from gankit import Shapes

_SHAPES = Shapes((1, 28, 28), 100)


class TheGenerator(Generator):  # type: ignore[misc] # torchgan has no types
    """The generator, as torchgan knows one."""

    def __init__(self) -> None:
        super().__init__(_SHAPES.noise)
        self.network = LayersGenerator(_SHAPES)

    def forward(self, noise: torch.Tensor) -> Any:
        """Generate."""
        return self.network(noise, None)


class TheDiscriminator(Discriminator):  # type: ignore[misc] # torchgan has no types
    """The discriminator, as torchgan knows one."""

    def __init__(self) -> None:
        super().__init__(28 * 28)
        self.network = LayersDiscriminator(_SHAPES)

    def forward(self, samples: torch.Tensor, **kwargs: Any) -> Any:
        """Judge."""
        return self.network(samples, None)


def main() -> None:
    """Train until somebody ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    told = parser.parse_args()
    scaled = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
    )
    data = datasets.MNIST(told.root, transform=scaled)
    # one epoch without end: where one ends, torchgan 0.1.0 calls torchvision's
    # make_grid as it was before 0.13, and fails
    drawn = RandomSampler(data, replacement=True, num_samples=10**8)
    loader = DataLoader(data, told.batch, sampler=drawn)
    adam = {"name": torch.optim.Adam, "args": {"lr": 2e-4, "betas": (0.5, 0.999)}}
    trainer = Trainer(
        {
            "generator": {"name": TheGenerator, "optimizer": adam},
            "discriminator": {"name": TheDiscriminator, "optimizer": adam},
        },
        [MinimaxGeneratorLoss(), MinimaxDiscriminatorLoss()],
        device=torch.device(told.device),
        sample_size=64,
        epochs=10**6,
    )
    trainer(loader)


if __name__ == "__main__":
    main()
