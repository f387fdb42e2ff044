"""A generator whose inputs have names."""

from __future__ import annotations

from torch import Tensor, nn

from gankit_export.dropout import Supply, with_given_dropout


class Inputs(nn.Module):
    """A generator with named inputs: noise, condition, and numbers for its dropout."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.supply = Supply()
        self.generator = with_given_dropout(generator, self.supply)
        self.training = False  # those within are in the mode in which they are sampled

    def forward(
        self,
        noise: Tensor,
        condition: Tensor | None = None,
        uniform: Tensor | None = None,
    ) -> Tensor:
        """Generate samples (B, *sample)."""
        self.supply.begin(noise.shape[0], uniform)
        made: Tensor = self.generator(noise, condition)
        return made

    @property
    def network(self) -> nn.Module:
        """The run's own network, within what leaves its extras out."""
        inner = self.generator.generator
        assert isinstance(inner, nn.Module), "a sampler's module holds its generator"
        return inner
