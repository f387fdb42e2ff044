"""The convolutions of `networks.py` trained by torch-mimicry's own loop.

    python with_mimicry.py CHECKOUT DATA [--batch 64]

CHECKOUT holds the package ``torch_mimicry``, and DATA is a file of uint8 pixels
(N, C, H, W) that ``torch.save`` has written, which the loader scales one by one.
torch-mimicry 0.1.16 cannot be imported as it is: its data sets take ``torch._six``,
which torch has no longer, and its metrics need TensorFlow. Neither has a part in the
training, and both are left out here; networks' base classes, losses, trainer and logger
are its own.
"""

from __future__ import annotations

import argparse
import sys
from types import ModuleType
from typing import Any

import torch
from networks import OfficialDiscriminator, OfficialGenerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gankit import Shapes

_SHAPES = Shapes((3, 64, 64), 100)


class Pixels(Dataset[tuple[Tensor, int]]):
    """Pictures in [-1, 1], each with the class 0, as mimicry's loop takes them."""

    def __init__(self, path: str) -> None:
        self.pixels: Tensor = torch.load(path, weights_only=True)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pixels[index].float() / 127.5 - 1, 0


def _players() -> tuple[Any, Any]:
    """Make the generator and the discriminator, as mimicry knows them."""
    from torch_mimicry.nets.gan import gan

    class TheGenerator(gan.BaseGenerator):  # type: ignore[misc] # it has no types
        def __init__(self) -> None:
            super().__init__(_SHAPES.noise, 64, 4, "ns")
            self.network = OfficialGenerator(_SHAPES)

        def forward(self, noise: Tensor) -> Any:
            return self.network(noise, None)

    class TheDiscriminator(gan.BaseDiscriminator):  # type: ignore[misc] # nor this
        def __init__(self) -> None:
            super().__init__(64, "ns")
            self.network = OfficialDiscriminator(_SHAPES)

        def forward(self, samples: Tensor) -> Any:
            return self.network(samples, None)[:, None]

    return TheGenerator(), TheDiscriminator()


def main() -> None:
    """Train until somebody ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout")
    parser.add_argument("data")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    told = parser.parse_args()
    sys.path.insert(0, told.checkout)
    for name in ("torch_mimicry.datasets", "torch_mimicry.metrics"):
        sys.modules[name] = ModuleType(name)
    from torch_mimicry.training import Trainer

    generator, discriminator = _players()
    adam: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}
    trainer = Trainer(
        netD=discriminator,
        netG=generator,
        optD=torch.optim.Adam(discriminator.parameters(), **adam),
        optG=torch.optim.Adam(generator.parameters(), **adam),
        n_dis=1,
        num_steps=10**6,
        dataloader=DataLoader(
            Pixels(told.data), told.batch, shuffle=True, drop_last=True
        ),
        print_steps=50,
        log_dir="mimicry",
        device=torch.device(told.device),
    )
    trainer.train()


if __name__ == "__main__":
    main()
