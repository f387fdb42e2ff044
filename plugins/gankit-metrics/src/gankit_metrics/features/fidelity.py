"""Features `inception` and `dinov2`: the networks of published scores.

Both are torch-fidelity's (the extra ``gankit-metrics[fidelity]``), so that numbers are
what it gives, its resizing without antialiasing included. Their weights are a download,
which is never begun here: they are looked for where torch's hub keeps what it has
downloaded, and where they are not, the error says how to get them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from gankit.cache import digest_of
from gankit.errors import DataError, PluginError
from gankit_metrics.features import DIGITS
from gankit_metrics.features.pictures import as_rgb

_DINOV2 = "https://dl.fbaipublicfiles.com/dinov2"
_DINOV2_CODE = "https://github.com/facebookresearch/dinov2"


class _Fidelity:
    """An extractor of torch-fidelity, which takes uint8 RGB and gives a tuple."""

    name: str
    size: int

    def __init__(self, extractor: Any) -> None:
        self._extractor = extractor
        digest = digest_of(extractor.state_dict(), "torch-fidelity", self.name)
        self.digest = digest[:DIGITS]

    def to(self, device: torch.device, /) -> Self:
        """Move the network."""
        self._extractor.to(device)
        return self

    @torch.no_grad()
    def __call__(self, samples: Tensor, /) -> Tensor:
        """Return features (B, size) of pictures (B, C, H, W), rounded to 8 bits."""
        pictures = as_rgb(samples, self.name).clamp(0, 1)
        (found,) = self._extractor((pictures * 255).round().to(torch.uint8))
        features: Tensor = found
        return features


class Inception(_Fidelity):
    """The last pooling of Inception-v3 as the FID has it: 2048 numbers.

    Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a
    local Nash equilibrium", with the weights of the TensorFlow graph of 2015 that
    published numbers are computed by.

    Args:
        weights: the file of the weights; by default where torch's hub keeps it.

    Raises:
        PluginError: torch-fidelity is not installed.
        DataError: there are no such weights.
    """

    name = "inception"
    size = 2048

    def __init__(self, *, weights: Path | None = None) -> None:
        module = _torch_fidelity("feature_extractor_inceptionv3", self.name)
        url = module.URL_INCEPTION_V3
        path, _ = _weights(weights, url, self.name)
        try:
            extractor = module.FeatureExtractorInceptionV3(
                "inception-v3-compat",
                ["2048"],
                feature_extractor_weights_path=str(path),
            )
        except RuntimeError as error:
            raise _others(path, self.name) from error
        super().__init__(extractor)

    @torch.no_grad()
    def classify(self, features: Tensor, /) -> Tensor:
        """Return probabilities, (B, 1008), as the inception score has them.

        Salimans et al. 2016, "Improved techniques for training GANs"; its graph leaves
        out the biases of the last layer.
        """
        logits: Tensor = features @ self._extractor.fc.weight.T
        return logits.softmax(1)

    def probabilities(self, samples: Tensor, /) -> Tensor:
        """Return probabilities, (B, 1008), of pictures (B, C, H, W)."""
        return self.classify(self(samples))


class DinoV2(_Fidelity):
    """The class token of DINOv2, a transformer trained without labels.

    Oquab et al. 2023, "DINOv2: learning robust visual features without supervision".
    Stein et al. 2023, "Exposing flaws of generative model evaluation metrics and their
    unfair treatment of diffusion models", find that distances by the large one follow
    what people see better than those by Inception.

    Args:
        model: small (384 numbers), base (768), large (1024) or giant (1536).
        weights: the file of the weights; by default where torch's hub keeps it.
        code: the folder of DINOv2's code, which is run; by default where torch's hub
            keeps it.

    Raises:
        PluginError: torch-fidelity is not installed.
        DataError: there are no such weights, or no such code.
    """

    name = "dinov2"

    def __init__(
        self,
        *,
        model: Literal["vits14", "vitb14", "vitl14", "vitg14"] = "vitl14",
        weights: Path | None = None,
        code: Path | None = None,
    ) -> None:
        module = _torch_fidelity("feature_extractor_dinov2", self.name)
        url = f"{_DINOV2}/dinov2_{model}/dinov2_{model}_pretrain.pth"
        path, state = _weights(weights, url, self.name)
        folder = code or Path(torch.hub.get_dir()) / "facebookresearch_dinov2_main"
        if not (folder / "hubconf.py").is_file():
            raise DataError(
                f"the features 'dinov2' need the code of DINOv2, but {folder} has no "
                f"hubconf.py; put a copy of {_DINOV2_CODE} there, or set code to its "
                "folder"
            )
        with warnings.catch_warnings(action="ignore"):  # of parts it can do without
            network = torch.hub.load(  # type: ignore[no-untyped-call]
                str(folder), f"dinov2_{model}", source="local", pretrained=False
            )
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise _others(path, self.name) from error
        self.size = int(network.embed_dim)
        super().__init__(_offline(module.FeatureExtractorDinoV2, network))


def _offline(extractor: Any, network: Any) -> Any:
    """Return torch-fidelity's DINOv2 around a network that is there.

    Its own constructor asks the network for the newest code, whatever is there.
    """
    from torch_fidelity.feature_extractor_base import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        FeatureExtractorBase,
    )

    made = extractor.__new__(extractor)
    FeatureExtractorBase.__init__(made, "dinov2", ["dinov2"])
    made.feature_extractor_internal_dtype = torch.float32
    made.model = network
    return made.eval().requires_grad_(False)


def _torch_fidelity(module: str, name: str) -> Any:
    from importlib import import_module

    try:
        with warnings.catch_warnings():  # it sets filters of its own
            return import_module(f"torch_fidelity.{module}")
    except ImportError as error:
        raise PluginError(
            f"the features {name!r} are torch-fidelity's ({error}); pip install "
            "'gankit-metrics[fidelity]', or choose 'efficientnet-lite0', which needs "
            "no download"
        ) from error


def _weights(given: Path | None, url: str, name: str) -> tuple[Path, dict[str, Tensor]]:
    """Return where weights are, and the weights.

    Raises:
        DataError: they are not there, or are none.
    """
    path = given or Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(
            f"the features {name!r} need weights, but there is no {path}; download "
            f"{url} to that place, or set weights to where it is, or choose "
            "'efficientnet-lite0', which needs no download"
        ) from error
    except Exception as error:  # what a damaged file makes torch raise has no end
        raise DataError(
            f"{path} holds no weights ({type(error).__name__}); download {url} again"
        ) from error
    if not isinstance(state, dict):
        raise _others(path, name)
    return path, state


def _others(path: Path, name: str) -> DataError:
    return DataError(
        f"{path} holds weights of another network than the features {name!r} have; "
        "set weights to the right file"
    )
