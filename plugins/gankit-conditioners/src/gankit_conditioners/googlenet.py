"""Images as the 1024 features of GoogLeNet trained on ImageNet, as in Reed et al. 2016.

Szegedy et al. 2015, "Going deeper with convolutions", with torchvision's weights, which
are downloaded on first use.

Deviation: the authors draw one of ten crops of an image at each use; here the central
square of each stored picture is seen once, whatever the data set's ``transform`` does
with it at each use.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from gankit.contracts import ReadData

FEATURES = 1024

_SIDE = 224  # pixels that the weights were trained at
_CHUNK = 64  # images looked at together


@torch.no_grad()
def features_of(
    data: ReadData, device: torch.device, progress: Callable[[int, int, str], None]
) -> Tensor:
    """Return the features of all images of a data set, (N, 1024), on the CPU.

    Raises:
        ValueError: the weights cannot be had, or the images are neither grey nor RGB,
            or their floats have no lowest and highest value.
    """
    black, white = _range_of(data)
    network, prepare = _load(device)
    rows = []
    for start in range(0, len(data), _CHUNK):
        items = torch.arange(start, min(start + _CHUNK, len(data)))
        pictures = (data.stored(items).to(device) - black) / (white - black)
        rows.append(network(prepare(pictures.expand(-1, 3, -1, -1))).cpu())
        progress(start + len(items), len(data), "GoogLeNet features of the images")
    return torch.cat(rows)


def _range_of(data: ReadData) -> tuple[float, float]:
    """Return the values of black and white in pictures as stored, if they are such."""
    stored = tuple(data.stored(torch.tensor([0])).shape[1:])
    if len(stored) != 3 or stored[0] not in (1, 3):
        raise ValueError(
            "image_features = 'googlenet' takes grey or RGB images, (1, H, W) or "
            f"(3, H, W), not {stored}; set image_features = 'convnet'"
        )
    black, white = data.facts.sample_range or (0.0, 255.0)
    if not isfinite(white - black):
        raise ValueError(
            "image_features = 'googlenet' has to know black and white, but the samples "
            f"are within {black} and {white}; set image_features = 'convnet'"
        )
    return black, white


def _load(device: torch.device) -> tuple[nn.Module, Callable[[Tensor], Any]]:
    """Return the network up to its features, and what its input must pass."""
    from torchvision.models import (  # type: ignore[import-untyped] # no types
        GoogLeNet_Weights,
        googlenet,
    )

    weights = GoogLeNet_Weights.IMAGENET1K_V1
    try:
        network = googlenet(weights=weights, progress=False)
    except (OSError, HTTPException, RuntimeError) as error:
        raise ValueError(
            f"the weights of GoogLeNet cannot be had from {weights.url} ({error}); set "
            "image_features = 'convnet' in [conditioner], which needs no download, or "
            "try again with a connection"
        ) from error
    network.fc = nn.Identity()
    return network.eval().to(device), weights.transforms(resize_size=_SIDE)
