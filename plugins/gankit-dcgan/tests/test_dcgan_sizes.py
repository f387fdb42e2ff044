"""Truths about the sizes that both networks can have, and those they refuse."""

from __future__ import annotations

import pytest
import torch

from gankit import Shapes
from gankit_dcgan.discriminator import DCGANDiscriminator
from gankit_dcgan.generator import DCGANGenerator

FACES = Shapes((3, 64, 64), noise=100)


def test_widths_double_up_to_the_cap():
    """64 → 128 → 256 → 256 with a cap of 256, in both networks."""
    shapes = Shapes((3, 64, 64), 100)
    with torch.device("meta"):
        down = DCGANDiscriminator(shapes, width=64, max_width=256)
        up = DCGANGenerator(shapes, width=64, max_width=256)
    assert [stage[0].out_channels for stage in down.stages] == [64, 128, 256, 256, 1]
    assert [stage[0].in_channels for stage in up.stages] == [256, 256, 128, 64]


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ((784,), r"images \(C, H, W\).*\(784,\).*mlp"),
        ((3, 64, 48), r"square images.*64x48.*crop or resize"),
        ((1, 28, 28), r"powers of two.*28x28.*to 16 or 32$"),
        ((3, 100, 100), r"100x100.*to 64 or 128$"),
        ((3, 8, 8), r"8x8.*to 16$"),
        ((3, 1, 1), r"1x1.*to 16$"),
        ((3, 33, 33), r"33x33.*to 32 or 64$"),
    ],
)
@pytest.mark.parametrize("kind", [DCGANDiscriminator, DCGANGenerator])
def test_shapes_that_it_cannot_have_are_refused_with_the_remedy(kind, sample, says):
    """The message names the shape, the reason and the nearest sizes."""
    with pytest.raises(ValueError, match=says):
        kind(Shapes(sample, 100))


@pytest.mark.parametrize("kind", [DCGANDiscriminator, DCGANGenerator])
def test_a_width_above_its_cap_is_refused(kind):
    """The two options contradict each other."""
    with pytest.raises(ValueError, match="width = 2048 is above max_width = 1024"):
        kind(FACES, width=2048)
