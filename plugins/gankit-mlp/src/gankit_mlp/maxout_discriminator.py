"""Discriminator `maxout`: the one of the first GAN, and of CGAN."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from gankit import Count, Fraction, Positive, Shapes, Whole
from gankit_mlp.layers import JoinedInputs, in_a_row, initialise


class Maxout(nn.Module):
    """Units that are the largest of several linear pieces: (B, n) to (B, units).

    Goodfellow et al. 2013, "Maxout networks", section 3.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, pieces * units)
        self._shape = (-1, pieces, units)

    def forward(self, inputs: Tensor) -> Tensor:
        """Evaluate all pieces, keep the largest of each unit."""
        pieces: Tensor = self.linear(inputs)  # (B, pieces * units)
        return pieces.reshape(self._shape).amax(1)


class MaxoutDiscriminator(nn.Module):
    """Maxout layers with dropout, for samples of any shape, one logit each.

    The flattened sample and, where there is one, the condition (B, c) pass a maxout
    layer each (or none), are joined, and pass the ``hidden`` layers and a linear one.

    - Goodfellow et al. 2014, authors' code: the defaults with
      ``weight_range = 0.005``.
    - Mirza & Osindero 2014, section 4.1: the defaults with ``pieces = 4``.

    Args:
        sample_hidden: units of the sample's own layer; 0 joins the sample as it is.
        condition_hidden: units of the condition's own layer; 0 joins the condition as
            it is. Without a conditioner it has no effect.
        hidden: units of the layers after the joining; may be empty.
        input_pieces: linear pieces of each unit before the joining.
        pieces: linear pieces of each unit after the joining.
        input_dropout: fraction of the sample's elements that is dropped in training;
            the condition is always whole.
        dropout: fraction of every hidden layer's units that is dropped in training,
            the last layer's too.
        weight_range: weights start uniform within plus and minus this, biases at 0;
            left out, torch's own initialisation.
    """

    def __init__(
        self,
        shapes: Shapes,
        *,
        sample_hidden: Whole = 240,
        condition_hidden: Whole = 50,
        hidden: tuple[Count, ...] = (240,),
        input_pieces: Count = 5,
        pieces: Count = 5,
        input_dropout: Fraction = 0.2,
        dropout: Fraction = 0.5,
        weight_range: Positive | None = None,
    ) -> None:
        super().__init__()

        def input_layer(inputs: int, units: int) -> nn.Module:
            return nn.Sequential(
                Maxout(inputs, units, input_pieces), nn.Dropout(dropout)
            )

        def layer(inputs: int, units: int) -> nn.Module:
            return nn.Sequential(Maxout(inputs, units, pieces), nn.Dropout(dropout))

        self.input_dropout = nn.Dropout(input_dropout)
        self.joined = JoinedInputs(
            input_layer,
            (prod(shapes.sample), sample_hidden),
            (shapes.condition, condition_hidden),
        )
        self.hidden = in_a_row(layer, self.joined.width, hidden)
        self.logit = nn.Linear([self.joined.width, *hidden][-1], 1)
        initialise(self, weight_range)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge samples (B, *sample): logits (B,)."""
        inputs = self.input_dropout(samples.flatten(1))
        features = self.hidden(self.joined(inputs, condition))
        logits: Tensor = self.logit(features)  # (B, 1)
        return logits.squeeze(1)
