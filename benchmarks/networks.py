"""The networks that peers train, as parts: a local plugin for `gankit --plugin`.

Written from what the peers' scripts build, so that both sides train the same weights:
`official` is PyTorch's DCGAN example at 64 x 64 in colour, `small` PyTorch-GAN's
convolutions at 32 x 32 in grey, `layers` its perceptrons at 28 x 28, and `labelled` its
perceptrons with a class. `texts` are gankit's own networks for text-to-image at 64 x 64
(Reed et al. 2016, section 4.1, at half their width).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gankit import Part, Shapes, hookimpl

_SLOPE = 0.2


class _Generator(nn.Module):
    output_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    body: nn.Module

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.sample = shapes.sample

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate samples (B, *sample)."""
        made: Tensor = self.body(noise)
        return made.reshape(-1, *self.sample)


class _Discriminator(nn.Module):
    body: nn.Module

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge samples: logits (B,)."""
        logits: Tensor = self.body(samples)
        return logits.flatten()


class OfficialGenerator(_Generator):
    """Five transposed convolutions, from 1 x 1 up to 64 x 64."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.body = nn.Sequential(
            nn.Unflatten(1, (shapes.noise, 1, 1)),
            *_up(shapes.noise, 512, stride=1, padding=0),
            *_up(512, 256),
            *_up(256, 128),
            *_up(128, 64),
            nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
        self.apply(_initialise)


class OfficialDiscriminator(_Discriminator):
    """Five convolutions, from 64 x 64 down to 1 x 1."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 64, 4, 2, 1, bias=False),
            nn.LeakyReLU(_SLOPE, inplace=True),
            *_down(64, 128),
            *_down(128, 256),
            *_down(256, 512),
            nn.Conv2d(512, 1, 4, 1, 0, bias=False),
        )
        self.apply(_initialise)


class SmallGenerator(_Generator):
    """Two doublings by repeated pixels, each before a convolution; 32 x 32."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        side = shapes.sample[1] // 4
        self.body = nn.Sequential(
            nn.Linear(shapes.noise, 128 * side**2),
            nn.Unflatten(1, (128, side, side)),
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2),
            *_same(128, 128),
            nn.Upsample(scale_factor=2),
            *_same(128, 64),
            nn.Conv2d(64, shapes.sample[0], 3, 1, 1),
            nn.Tanh(),
        )
        self.apply(_initialise)


class SmallDiscriminator(_Discriminator):
    """Four halvings, with dropout of whole channels, and a linear layer."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = shapes.sample[0]
        for outputs in (16, 32, 64, 128):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1)]
            layers += [nn.LeakyReLU(_SLOPE, inplace=True), nn.Dropout2d(0.25)]
            layers += [nn.BatchNorm2d(outputs, 0.8)] if inputs != 1 else []
            inputs = outputs
        side = shapes.sample[1] // 16
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * side**2, 1))
        self.apply(_initialise)


class LayersGenerator(_Generator):
    """Perceptrons of 128 to 1,024 units, with batch norm but for the first."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        layers: list[nn.Module] = [nn.Linear(shapes.noise, 128), nn.LeakyReLU(_SLOPE)]
        for inputs in (128, 256, 512):
            layers += [nn.Linear(inputs, 2 * inputs), nn.BatchNorm1d(2 * inputs, 0.8)]
            layers += [nn.LeakyReLU(_SLOPE, inplace=True)]
        self.body = nn.Sequential(
            *layers, nn.Linear(1024, prod(shapes.sample)), nn.Tanh()
        )


class LayersDiscriminator(_Discriminator):
    """Perceptrons of 512 and 256 units."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(prod(shapes.sample), 512),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Linear(512, 256),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Linear(256, 1),
        )


class LabelledGenerator(_Generator):
    """Perceptrons of 128 to 1,024 units; the class is embedded and joins the noise."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        # of a one-hot vector: what an embedding is
        self.embedding = nn.Linear(shapes.condition, shapes.condition, bias=False)
        inputs = shapes.noise + shapes.condition
        layers: list[nn.Module] = [nn.Linear(inputs, 128)]
        layers += [nn.LeakyReLU(_SLOPE, inplace=True)]
        for width in (128, 256, 512):
            layers += [nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width, 0.8)]
            layers += [nn.LeakyReLU(_SLOPE, inplace=True)]
        self.body = nn.Sequential(
            *layers, nn.Linear(1024, prod(shapes.sample)), nn.Tanh()
        )

    def forward(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Generate samples (B, *sample) for one-hot conditions (B, c)."""
        return super().forward(torch.cat([self.embedding(condition), noise], 1), None)


class LabelledDiscriminator(_Discriminator):
    """Three times 512 units, with dropout; the embedded class joins the pixels."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.embedding = nn.Linear(shapes.condition, shapes.condition, bias=False)
        layers: list[nn.Module] = []
        inputs = prod(shapes.sample) + shapes.condition
        for dropout in (0.0, 0.4, 0.4):
            layers += [nn.Linear(inputs, 512)]
            layers += [nn.Dropout(dropout)] if dropout else []
            layers += [nn.LeakyReLU(_SLOPE, inplace=True)]
            inputs = 512
        self.body = nn.Sequential(*layers, nn.Linear(512, 1))

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        """Judge samples with one-hot conditions (B, c): logits (B,)."""
        joined = torch.cat([samples.flatten(1), self.embedding(condition)], 1)
        return super().forward(joined, None)


def _texts_generator(shapes: Shapes) -> nn.Module:
    from gankit_dcgan.generator import DCGANGenerator

    return DCGANGenerator(shapes, width=64, condition_size=128)


def _texts_discriminator(shapes: Shapes) -> nn.Module:
    from gankit_dcgan.discriminator import DCGANDiscriminator

    return DCGANDiscriminator(shapes, width=64, condition_size=128)


def _up(
    inputs: int, outputs: int, stride: int = 2, padding: int = 1
) -> Iterable[nn.Module]:
    yield nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU(inplace=True)


def _down(inputs: int, outputs: int) -> Iterable[nn.Module]:
    yield nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
    yield nn.BatchNorm2d(outputs)
    yield nn.LeakyReLU(_SLOPE, inplace=True)


def _same(inputs: int, outputs: int) -> Iterable[nn.Module]:
    yield nn.Conv2d(inputs, outputs, 3, 1, 1)
    yield nn.BatchNorm2d(outputs, 0.8)
    yield nn.LeakyReLU(_SLOPE, inplace=True)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


NETWORKS: dict[str, tuple[Any, Any]] = {
    "official": (OfficialGenerator, OfficialDiscriminator),
    "small": (SmallGenerator, SmallDiscriminator),
    "layers": (LayersGenerator, LayersDiscriminator),
    "labelled": (LabelledGenerator, LabelledDiscriminator),
    "texts": (_texts_generator, _texts_discriminator),
}


@hookimpl
def gankit_parts() -> Iterable[Part]:
    """Yield both networks under each name."""
    for name, (generator, discriminator) in NETWORKS.items():
        for kind, network in (
            ("generator", generator),
            ("discriminator", discriminator),
        ):
            yield Part(kind, name, network, summary="A peer's, for a benchmark")
