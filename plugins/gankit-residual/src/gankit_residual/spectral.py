"""Spectral normalisation: each weight is divided by its largest singular value.

Miyato et al. 2018, "Spectral normalization for generative adversarial networks",
algorithm 1: one power iteration for each update of the discriminator.

How often a weight is looked at says nothing of how often it moves: real and generated
samples may pass apart or together, penalties pass again, a batch may be cut into
shards, and the generator's round looks too. So a pass changes nothing. It makes one
iteration from the vector of the last update, the same in every pass between two
updates, and that vector becomes the next start when the weight gets its gradient. The
start is a buffer: it is saved, and is alike in all shards and processes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

_SETTLING = 15  # iterations at the start; torch.nn.utils.parametrizations does as many


class SpectralConv2d(nn.Conv2d):
    """A convolution that keeps the size, by W / σ(W), W as (out, in · k · k).

    Args:
        inputs: channels.
        outputs: channels.
        kernel: 1 or 3.
        gain: of the initial weights, uniform as Glorot & Bengio 2010.
    """

    left: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, gain: float = 1.0
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        _begin(self, gain)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (B, inputs, H, W) to (B, outputs, H, W)."""
        weight = _normalised(self, self.left)
        return self._conv_forward(features, weight, self.bias)  # type: ignore[no-any-return] # torch has no types here


class SpectralLinear(nn.Linear):
    """A linear map by W / σ(W), without a bias.

    Args:
        inputs: numbers of a vector.
        outputs: numbers that are made of it.
    """

    left: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        _begin(self, gain=1.0)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        return linear(vectors, _normalised(self, self.left))


def _begin(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """Draw weights, and a left singular vector that is near the right one."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    weight = layer.weight.detach().flatten(1)
    left = normalize(torch.randn(len(weight)), dim=0)
    for _ in range(_SETTLING):
        left, _ = _iterate(weight, left)
    layer.register_buffer("left", left)


def _iterate(weight: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Make one power iteration: u to (u', v), with v = Wᵀu and u' = Wv of length 1."""
    right = normalize(weight.T @ left, dim=0)
    return normalize(weight @ right, dim=0), right


# compiled code keeps the start for its backward pass, and may not find it changed then
@torch.compiler.disable  # type: ignore[untyped-decorator] # torch has no types here
def _normalised(layer: nn.Conv2d | nn.Linear, start: Tensor) -> Tensor:
    """Return W / σ(W), σ = u'ᵀWv; when W gets its gradient u' becomes the next start.

    The gradient passes through σ too, with both vectors held (section 2.3).
    """
    matrix = layer.weight.flatten(1)  # (out, in · k · k)
    with _in_float32(matrix):
        with torch.no_grad():
            left, right = _iterate(matrix, start)
        scaled = layer.weight / (left @ (matrix @ right))
    if layer.training and scaled.requires_grad:  # so the discriminator moves

        def commit(gradient: Tensor) -> None:
            start.copy_(left)

        scaled.register_hook(commit)  # type: ignore[no-untyped-call] # torch has no types here
    return scaled


def _in_float32(matrix: Tensor) -> AbstractContextManager[Any]:
    """Compute what follows as the weights are; ``meta`` knows no autocast."""
    if matrix.is_meta:
        return nullcontext()
    return torch.autocast(matrix.device.type, enabled=False)
