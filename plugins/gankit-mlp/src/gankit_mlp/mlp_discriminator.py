"""Discriminator `mlp`: samples, joined by a condition, through (Leaky)ReLU layers."""

from __future__ import annotations

from math import prod
from typing import Literal

from torch import Tensor, nn

from gankit import Count, Fraction, Positive, Shapes, Whole
from gankit_mlp.layers import JoinedInputs, in_a_row, initialise


class MLPDiscriminator(nn.Module):
    """Fully connected discriminator for samples of any shape, one logit each.

    The flattened sample and, where there is one, the condition (B, c) pass a layer
    each (or none), are joined, and pass the ``hidden`` layers and a linear one. It
    follows no single paper; LeakyReLU and its slope are those of Radford et al. 2015,
    section 3.

    Args:
        hidden: units of the layers after the joining; may be empty.
        sample_hidden: units of the sample's own layer; 0 joins the sample as it is.
        condition_hidden: units of the condition's own layer; 0 joins the condition as
            it is. Without a conditioner it has no effect.
        activation: what follows each hidden layer; LeakyReLU has the slope 0.2.
        dropout: fraction of every hidden layer's units that is dropped in training.
        weight_range: weights start uniform within plus and minus this, biases at 0;
            left out, torch's own initialisation.
    """

    def __init__(
        self,
        shapes: Shapes,
        *,
        hidden: tuple[Count, ...] = (512, 256),
        sample_hidden: Whole = 0,
        condition_hidden: Whole = 0,
        activation: Literal["leaky-relu", "relu"] = "leaky-relu",
        dropout: Fraction = 0.0,
        weight_range: Positive | None = None,
    ) -> None:
        super().__init__()
        bend = nn.LeakyReLU(0.2) if activation == "leaky-relu" else nn.ReLU()

        def layer(inputs: int, units: int) -> nn.Module:
            return nn.Sequential(nn.Linear(inputs, units), bend, nn.Dropout(dropout))

        self.joined = JoinedInputs(
            layer,
            (prod(shapes.sample), sample_hidden),
            (shapes.condition, condition_hidden),
        )
        self.hidden = in_a_row(layer, self.joined.width, hidden)
        self.logit = nn.Linear([self.joined.width, *hidden][-1], 1)
        initialise(self, weight_range)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge samples (B, *sample): logits (B,)."""
        features = self.hidden(self.joined(samples.flatten(1), condition))
        logits: Tensor = self.logit(features)  # (B, 1)
        return logits.squeeze(1)
