"""The networks of torchgan in the form that gankit plays with."""

from __future__ import annotations

from torch import Tensor, nn
from torchgan.models import DCGANDiscriminator, DCGANGenerator

from gankit import Count, Shapes


class Generator(nn.Module):
    """torchgan's ``DCGANGenerator``.

    Args:
        width: channels of its widest pictures.

    Raises:
        ValueError: samples are no square pictures with a power of two a side, or there
            is a condition.
    """

    output_range = (-1.0, 1.0)

    def __init__(self, shapes: Shapes, *, width: Count = 16) -> None:
        super().__init__()
        channels, size = _square(shapes)
        self.network = DCGANGenerator(shapes.noise, size, channels, width)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Turn noise (B, n) into pictures (B, C, H, W)."""
        pictures: Tensor = self.network(noise)
        return pictures


class Discriminator(nn.Module):
    """torchgan's ``DCGANDiscriminator``, without its last squashing.

    Args:
        width: channels after its first convolution.

    Raises:
        ValueError: as for the generator.
    """

    def __init__(self, shapes: Shapes, *, width: Count = 16) -> None:
        super().__init__()
        channels, size = _square(shapes)
        self.network = DCGANDiscriminator(
            size, channels, width, last_nonlinearity=nn.Identity()
        )

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge pictures (B, C, H, W): logits (B,)."""
        logits: Tensor = self.network(samples)
        return logits.view(len(samples))


def _square(shapes: Shapes) -> tuple[int, int]:
    """Return the channels and the side of pictures that these networks can make."""
    if shapes.condition:
        raise ValueError("it takes no condition; set conditioner = 'none'")
    if len(shapes.sample) == 3:
        channels, height, width = shapes.sample
        if height == width and height >= 16 and height & (height - 1) == 0:
            return channels, height
    raise ValueError(
        f"samples are {shapes.sample}, and it makes square pictures of 16, 32, 64 ... "
        "a side; set dataset.size to one of these"
    )
