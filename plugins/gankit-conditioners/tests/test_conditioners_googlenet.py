"""The pre-trained features of images that `char-cnn-rnn` can be fitted to."""

from __future__ import annotations

from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn

from gankit import Facts, Item, Texts
from gankit.data.reading import read_data
from gankit_conditioners.char_cnn_rnn import CharCNNRNN
from gankit_conditioners.googlenet import features_of

CPU = torch.device("cpu")
COLOURS = ("black", "blue", "green", "cyan", "red", "purple", "yellow", "white")


class Plain:
    """One plain image of each corner of the RGB cube, with its name."""

    def __init__(self, channels: tuple[int, ...] = (0, 1, 2)) -> None:
        self.channels = channels
        self.annotations = {"captions": [(f"all {colour}",) for colour in COLOURS]}
        self.facts = Facts((len(channels), 8, 8), captions=Texts())
        self.broken: dict[int, str] = {}

    def __len__(self) -> int:
        return 8

    def stored(self, indices: Tensor) -> Tensor:
        """Draw the images: red, green and blue are the binary digits of the index."""
        pixels = torch.stack([indices >> digit & 1 for digit in (2, 1, 0)], dim=1)
        pixels = pixels[:, list(self.channels)].byte() * 255
        return pixels[:, :, None, None].expand(-1, -1, 8, 8)

    def fingerprint(self) -> str:
        """Tell the images by their channels."""
        return repr(self.channels)


class ChannelMeans(nn.Module):
    """Stands for GoogLeNet: three means repeated to 1024 features."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1024, 1000)
        self.looked_at = 0

    def forward(self, images: Tensor) -> Tensor:
        """Average over places after checking the size."""
        self.looked_at += len(images)
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
    network = ChannelMeans()
    monkeypatch.setattr("torchvision.models.googlenet", lambda **_: network)
    reports = fit(Plain(), size)
    assert network.looked_at == 8
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


class Wide:
    """Stored pictures whose middle is red and whose sides are not, used by halves.

    Of 8 x 24 pixels the columns 7 to 16 are pure red: the central square, 8 to 15, and
    those beside it that enter its enlargement.
    """

    def __init__(self, sides: int, values: float = 255.0) -> None:
        rng = torch.Generator().manual_seed(sides)
        self.pictures = torch.rand((70, 3, 8, 24), generator=rng)
        self.pictures[..., 7:17] = torch.tensor([1.0, 0, 0])[:, None, None]
        self.pictures *= values
        within = None if values == 255 else (0.0, values)
        self.facts = Facts((3, 8, 8), sample_range=within)

    def __len__(self) -> int:
        return 70

    def __getitem__(self, index: int) -> Item:
        """Return a picture, uint8 where its values go up to 255."""
        picture = self.pictures[index]
        return Item(picture if self.facts.sample_range else picture.byte())

    def transform(self, samples: Tensor, rng: torch.Generator) -> Tensor:
        """Cut a random square out of each."""
        first = torch.randint(0, 17, (len(samples),), generator=rng).tolist()
        crops = zip(samples, first, strict=True)
        return torch.stack([sample[..., at : at + 8] for sample, at in crops])


@pytest.mark.parametrize("mode", ["resident", "streamed"])
@pytest.mark.parametrize("values", [255.0, 4.0])
def test_pretrained_features_are_of_the_centre_of_each_stored_picture(
    monkeypatch: pytest.MonkeyPatch, values: float, mode: str
) -> None:
    """Whatever the data set's random crops are and its borders hold: all is red."""
    monkeypatch.setattr("torchvision.models.googlenet", lambda **_: ChannelMeans())
    first, second, other = (
        features_of(
            read_data(Wide(sides, values), device=CPU, mode=mode), CPU, lambda *_: None
        )
        for sides in (0, 0, 1)
    )
    red = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    torch.testing.assert_close(first[:, :3], torch.tensor(red).expand(70, 3))
    assert torch.equal(first, second)
    assert torch.equal(first, other)


def test_pretrained_features_need_grey_or_rgb() -> None:
    """Images of two channels are refused with the way out."""
    with pytest.raises(ValueError, match=r"not \(2, 8, 8\); set .* 'convnet'"):
        features_of(Plain((0, 1)), CPU, lambda *_: None)


def test_pretrained_features_need_to_know_black_and_white() -> None:
    """Floats without bounds are refused with the way out."""
    data = read_data(Wide(0, values=float("inf")), device=CPU)
    with pytest.raises(ValueError, match=r"within 0.0 and inf; set .* 'convnet'"):
        features_of(data, CPU, lambda *_: None)


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
