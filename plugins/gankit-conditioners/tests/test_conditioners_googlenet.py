"""The pre-trained features of images that `char-cnn-rnn` can be fitted to."""

from __future__ import annotations

from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn

from gankit import Facts
from gankit_conditioners.char_cnn_rnn import CharCNNRNN
from gankit_conditioners.googlenet import features_of

CPU = torch.device("cpu")
COLOURS = ("black", "blue", "green", "cyan", "red", "purple", "yellow", "white")


class Plain:
    """One plain image of each corner of the RGB cube, with its name."""

    labels: Tensor | None = None
    pixel_range = (-1.0, 1.0)
    captions = tuple((f"all {colour}",) for colour in COLOURS)

    def __init__(self, channels: tuple[int, ...] = (0, 1, 2)) -> None:
        self.channels = channels
        self.facts = Facts((len(channels), 8, 8), captioned=True)
        self.looks = 0

    def __len__(self) -> int:
        return 8

    def samples(self, indices: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Draw the images: red, green and blue are the binary digits of the index."""
        self.looks += 1
        pixels = torch.stack([indices >> digit & 1 for digit in (2, 1, 0)], dim=1)
        pixels = pixels[:, list(self.channels)] * 2.0 - 1
        return pixels[:, :, None, None].expand(-1, -1, 8, 8)

    def fingerprint(self) -> str:
        """Tell the images by their channels."""
        return repr(self.channels)


class ChannelMeans(nn.Module):
    """Stands for GoogLeNet: three means repeated to 1024 features."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1024, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Average over places after checking the size."""
        assert images.shape[1:] == (3, 224, 224)
        assert not self.training
        means: Tensor = self.fc(images.mean(dim=(2, 3)).repeat(1, 342)[:, :1024])
        return means


def fit(data: Plain, size: int) -> list[tuple[int, int, str]]:
    """Fit a small encoder to the features and return what was reported."""
    conditioner = CharCNNRNN(
        data.facts,
        size=size,
        channels=(32, 32, 32),
        length=48,
        fit_steps=200,
        fit_batch=8,
        fit_lr=1e-3,
        image_features="googlenet",
    )
    reports: list[tuple[int, int, str]] = []
    conditioner.fit(
        data, device=CPU, seed=0, progress=lambda *report: reports.append(report)
    )
    return reports


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test with an empty cache of its own."""
    monkeypatch.setenv("GANKIT_CACHE", str(tmp_path))


@pytest.mark.parametrize("size", [16, 1024])
def test_pretrained_features_can_stand_for_images(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Every image is looked at once, and its features find the captions."""
    monkeypatch.setattr("torchvision.models.googlenet", lambda **_: ChannelMeans())
    data = Plain()
    reports = fit(data, size)
    assert data.looks == 1
    assert "GoogLeNet" in reports[1][2]
    assert "first 100%" in reports[-1][2]


def test_pretrained_features_are_of_images_normalised_as_for_imagenet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By hand: black is (0 - 0.485) / 0.229 in the red channel, grey images too."""
    monkeypatch.setattr("torchvision.models.googlenet", lambda **_: ChannelMeans())
    features = features_of(Plain(), CPU, lambda *_: None)
    assert features.shape == (8, 1024)
    white, black = features[7], features[0]
    assert black[0].item() == pytest.approx((0 - 0.485) / 0.229, rel=1e-4)
    assert white[1].item() == pytest.approx((1 - 0.456) / 0.224, rel=1e-4)
    assert black[5].item() == pytest.approx((0 - 0.406) / 0.225, rel=1e-4)


def test_pretrained_features_see_grey_images_as_rgb(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By hand: white is 1 in all three channels, before the normalisation of each."""
    monkeypatch.setattr("torchvision.models.googlenet", lambda **_: ChannelMeans())
    white = features_of(Plain((1,)), CPU, lambda *_: None)[7]
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert white[:3].tolist() == pytest.approx(expected, rel=1e-4)


def test_pretrained_features_need_grey_or_rgb() -> None:
    """Images of two channels are refused with the way out."""
    with pytest.raises(ValueError, match=r"2 channels; set .* 'convnet'"):
        features_of(Plain((0, 1)), CPU, lambda *_: None)


@pytest.mark.parametrize(
    "error",
    [
        URLError("no route to host"),
        IncompleteRead(b"no route"),
        RuntimeError("invalid hash value: no route"),
    ],
)
def test_weights_that_cannot_be_had_are_reported(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The error names the address, the reason and the way without a download."""

    def offline(**_: object) -> nn.Module:
        raise error

    monkeypatch.setattr("torchvision.models.googlenet", offline)
    with pytest.raises(ValueError, match=r"https://.*features = 'convnet'") as caught:
        fit(Plain(), size=16)
    assert str(error) in str(caught.value)
    assert caught.value.__cause__ is error
