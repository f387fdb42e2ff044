"""Pictures of any shape: sides that are multiples, of one to many channels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import gankit
from games import make_run
from gankit import Shapes
from gankit_residual.r3gan_discriminator import R3GANDiscriminator
from gankit_residual.r3gan_generator import R3GANGenerator
from gankit_residual.residual_discriminator import ResidualDiscriminator
from gankit_residual.residual_generator import ResidualGenerator
from gankit_residual.sizes import deepest

GROUPED: dict[str, Any] = {"blocks": 1, "group": 4}


def _pair(shapes: Shapes, halvings: int) -> list[tuple[nn.Module, nn.Module]]:
    widths = (4,) * (halvings + 1)
    return [
        (
            ResidualGenerator(shapes, widths=widths),
            ResidualDiscriminator(shapes, widths=widths, halvings=halvings),
        ),
        (
            R3GANGenerator(shapes, widths=widths, **GROUPED),
            R3GANDiscriminator(shapes, widths=widths, **GROUPED),
        ),
    ]


@pytest.mark.parametrize("condition", [0, 3])
@pytest.mark.parametrize(
    ("sample", "halvings"),
    [
        ((1, 28, 28), 2),
        ((3, 48, 80), 4),
        ((4, 24, 40), 3),
        ((4, 6, 4), 1),
        ((2, 7, 5), 0),
        ((3, 2, 16), 1),
    ],
)
def test_sides_need_not_be_powers_of_two_nor_equal(
    sample: tuple[int, ...], halvings: int, condition: int
) -> None:
    """Grey, colour, and colour with transparency; with and without a condition."""
    shapes = Shapes(sample, 5, condition)
    told = torch.randn(2, condition) if condition else None
    for generator, discriminator in _pair(shapes, halvings):
        made = generator(torch.randn(2, 5), told)
        assert made.shape == (2, *sample)
        logits = discriminator(made, told)
        assert logits.shape == (2,)
        logits.sum().backward()
        first = next(generator.parameters()).grad
        assert first is not None
        assert first.isfinite().all()


@pytest.mark.parametrize(
    ("sample", "halvings", "said"),
    [
        ((3, 30, 32), 3, "multiples of 8, and these pictures are 30 x 32; have the "),
        ((3, 30, 32), 3, "resize them, as to 32 x 32, or set its options for 1 halv"),
        ((3, 100, 36), 4, "as to 96 x 32, or set its options for 2 halvings at most"),
        ((3, 3, 64), 2, "as to 4 x 64, or set its options for 0 halvings at most"),
        ((2,), 2, r"a sample here has the shape \(2,\); take a network for vectors"),
    ],
)
def test_other_sides_are_refused_with_what_would_do(
    sample: tuple[int, ...], halvings: int, said: str
) -> None:
    """The nearest size, and how far the options would have to go."""
    with pytest.raises(ValueError, match=said):
        deepest("residual", sample, halvings)


@pytest.mark.parametrize(
    ("build", "options", "said"),
    [
        (ResidualGenerator, {"widths": ()}, "needs widths"),
        (R3GANGenerator, {"widths": ()}, "needs widths"),
        (R3GANDiscriminator, {"widths": ()}, "needs widths"),
        (ResidualDiscriminator, {"widths": ()}, "give it more widths"),
        (
            ResidualDiscriminator,
            {"widths": (4,), "halvings": 2},
            "halvings = 2 of them",
        ),
        (R3GANGenerator, {"widths": (6, 6), "group": 5}, "cut 6 x 2 channels into gro"),
        (R3GANDiscriminator, {"widths": (8, 6), "group": 16}, "a divisor of 12"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    build: Any, options: dict[str, Any], said: str
) -> None:
    """Before anything is allocated."""
    with pytest.raises(ValueError, match=said):
        build(Shapes((3, 16, 16), 4), **options)


def test_what_does_not_fit_is_told_of_a_recipe() -> None:
    """In one line for each network, and no traceback."""
    recipe = {
        "dataset": {"use": "shapes", "items": 8, "size": 36},
        "generator": {"use": "residual", "widths": [4, 4, 4, 4]},
        "discriminator": {"use": "r3gan", "widths": [8, 8, 8, 8]},
        "loss": {"use": "hinge"},
        "train": {"steps": 1, "batch_size": 4},
    }
    with pytest.raises(gankit.errors.MisfitError) as error:
        gankit.assemble(gankit.read_recipe(recipe))
    assert "generator 'residual': residual halves both sides 3 times" in str(
        error.value
    )
    assert "discriminator 'r3gan': r3gan halves both sides 3 times" in str(error.value)


class Stripes:
    """Pictures of 4 × 12 × 20 whose last channel, their transparency, is a disc."""

    def __init__(self) -> None:
        self.facts = gankit.Facts((4, 12, 20))

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> gankit.Item:
        """Give uint8 pixels."""
        pixels = torch.full((4, 12, 20), 30 * index, dtype=torch.uint8)
        across = torch.arange(20) - 10
        down = torch.arange(12) - 6
        pixels[3] = 255 * (down[:, None] ** 2 + across**2 < 25)
        return gankit.Item(pixels)


@pytest.mark.parametrize("which", [0, 1])
def test_transparent_pictures_that_are_not_square_are_trained_on(which: int) -> None:
    """From data of four channels to samples of four."""
    generator, discriminator = _pair(Shapes((4, 12, 20), 3), 2)[which]
    run = make_run(dataset=Stripes(), generator=generator, discriminator=discriminator)
    for index in range(2):
        run.game.play(index)
    samples = run.sampler.sample(3).samples
    assert samples.shape == (3, 4, 12, 20)
    assert samples.min() >= 0
    assert samples.max() <= 1
