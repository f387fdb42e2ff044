"""Generator `mlp`: noise, joined by a condition, through ReLU layers to samples."""

from __future__ import annotations

from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from gankit import UNBOUNDED, Count, Fraction, Positive, Shapes, Whole, full_precision
from gankit_mlp.layers import JoinedInputs, in_a_row, initialise

_OUTPUTS = {
    "sigmoid": (nn.Sigmoid, (0.0, 1.0)),
    "tanh": (nn.Tanh, (-1.0, 1.0)),
    "linear": (nn.Identity, UNBOUNDED),
}
_MARGIN = 1e-7  # of a mean from 0 and 1; pylearn2, on which the authors' code stands


class MLPGenerator(nn.Module):
    """Fully connected generator with ReLU layers, for samples of any shape.

    Noise (B, n) and, where there is one, the condition (B, c) pass a layer each (or
    none), are joined, and pass the ``hidden`` layers and a linear one, whose output
    is squashed and shaped into samples (B, *sample).

    - Goodfellow et al. 2014, authors' code: the defaults with ``weight_range = 0.05``
      and ``bias_from_data = true``.
    - Mirza & Osindero 2014, section 4.1: ``noise_hidden = 200``,
      ``condition_hidden = 1000``, ``hidden = [1200]``, ``dropout = 0.5``.

    Args:
        hidden: units of the ReLU layers after the joining; may be empty.
        noise_hidden: units of the noise's own ReLU layer; 0 joins the noise as it is.
        condition_hidden: units of the condition's own ReLU layer; 0 joins the
            condition as it is. Without a conditioner it has no effect.
        output: the squashing function, and with it the range of samples: sigmoid
            [0, 1], tanh [-1, 1], linear unbounded.
        dropout: fraction of every hidden layer's units that is dropped in training.
        weight_range: weights start uniform within plus and minus this, biases at 0;
            left out, torch's own initialisation.
        bias_from_data: start the output's bias so that without any other input the
            samples are the mean of the data.
    """

    output_range: tuple[float, float]

    def __init__(
        self,
        shapes: Shapes,
        *,
        hidden: tuple[Count, ...] = (1200, 1200),
        noise_hidden: Whole = 0,
        condition_hidden: Whole = 0,
        output: Literal["sigmoid", "tanh", "linear"] = "sigmoid",
        dropout: Fraction = 0.0,
        weight_range: Positive | None = None,
        bias_from_data: bool = False,
    ) -> None:
        super().__init__()

        def layer(inputs: int, units: int) -> nn.Module:
            return nn.Sequential(
                nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(dropout)
            )

        self.joined = JoinedInputs(
            layer, (shapes.noise, noise_hidden), (shapes.condition, condition_hidden)
        )
        self.hidden = in_a_row(layer, self.joined.width, hidden)
        last = [self.joined.width, *hidden][-1]
        self.output = nn.Linear(last, prod(shapes.sample))
        squash, self.output_range = _OUTPUTS[output]
        self.squash = squash()
        self._sample_shape = shapes.sample
        self._bias_from_data = bias_from_data
        initialise(self, weight_range)

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate samples (B, *sample) within ``output_range``."""
        features = self.hidden(self.joined(noise, condition))
        samples: Tensor = self.squash(full_precision(self.output(features)))
        return samples.reshape(-1, *self._sample_shape)

    @torch.no_grad()
    def observe(self, samples: Tensor) -> None:
        """Set the output's bias from real samples (M, *sample), if so asked.

        The bias becomes the inverse squashing function of each element's mean, which
        is first kept 1e-7 away from the ends of a bounded range.
        """
        if not self._bias_from_data:
            return
        means = samples.flatten(1).mean(0).cpu().double()  # (prod(sample),)
        self.output.bias.copy_(self._unsquashed(means))

    def _unsquashed(self, means: Tensor) -> Tensor:
        if isinstance(self.squash, nn.Sigmoid):
            return torch.logit(means, _MARGIN)
        if isinstance(self.squash, nn.Tanh):  # tanh x = 2 sigmoid(2x) - 1
            return torch.logit((means + 1) / 2, _MARGIN) / 2
        return means
