"""Whether a discriminator judges each sample by itself, so that passes can join."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gankit.contracts import Shapes
from gankit.game.given import unpacked
from gankit.randomness import global_stream

_SAMPLES = 4
_ROUNDING = 1e-5  # of the largest logit: sums of other batches are cut otherwise


@torch.no_grad()
def judges_apart(network: nn.Module, shapes: Shapes) -> bool:
    """Tell whether logits are the same whatever samples are judged beside one.

    Real and generated samples can then be judged in one pass instead of two. Batch
    statistics forbid that, and so does whatever else mixes samples, or a state that
    each pass moves on. A network that draws random numbers by other means than torch's
    dropout is taken for one of these.

    Args:
        network: on any device; its weights are lost.
        shapes: of what it judges.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    network.train()  # as it plays
    for module in network.modules():
        if isinstance(module, _DropoutNd):
            module.eval()
    before = [buffer.clone() for buffer in network.buffers()]
    with global_stream(device, 0, "apart"):
        samples = torch.randn(2 * _SAMPLES, *shapes.sample, device=device)
        samples[_SAMPLES:] *= 3  # as generated ones differ from real ones
        told = torch.randn(2 * _SAMPLES, shapes.condition, device=device)
        halves = slice(_SAMPLES), slice(_SAMPLES, None)
        try:
            _everything(network, samples[:_SAMPLES], told[:_SAMPLES])
            if not all(map(torch.equal, before, network.buffers())):
                return False
            for parameter in network.parameters():  # to see what starts at zero
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
            alone = [_everything(network, samples[h], told[h]) for h in halves]
            joined = _everything(network, samples, told)
            apart = [torch.cat(pair) for pair in zip(*alone, strict=True)]
            return all(map(_alike, apart, joined))
        except Exception:  # of a stranger's code, which play has not called so
            return False


def _everything(network: nn.Module, samples: Tensor, told: Tensor) -> list[Tensor]:
    """Return the logits and all extras."""
    judged, extras = unpacked(network(samples, told if told.numel() else None))
    return [judged.float(), *(extras[name].float() for name in sorted(extras))]


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or not one.isfinite().all():
        return False
    return bool((one - other).abs().max() <= _ROUNDING * one.abs().max())
