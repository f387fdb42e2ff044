"""A generator as a plain module, for whatever takes modules."""

from __future__ import annotations

from torch import Tensor, nn

from gankit.game.given import unpacked


class Module(nn.Module):
    """Noise (B, n) and conditions (B, c) to samples (B, *sample), and nothing beside.

    Args:
        generator: may give extras beside its samples, which are left out here.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.training = generator.training

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Generate samples in the generator's own range."""
        samples, _ = unpacked(self.generator(noise, condition))
        return samples
