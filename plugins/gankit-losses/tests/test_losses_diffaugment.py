"""Truths about the augmentation `diffaugment`."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare, kstest

from gankit_losses.diffaugment import DiffAugment

POLICIES = [("color",), ("translation",), ("cutout",)]
ALL = ("color", "translation", "cutout")


def rng(seed=0):
    """Return a fresh source of randomness."""
    return torch.Generator().manual_seed(seed)


def test_everything_is_drawn_from_the_given_rng():
    """The same seed gives the same images, another seed others; torch's own is idle."""
    images = torch.rand(8, 3, 16, 16, generator=rng())
    before = torch.get_rng_state()
    once, again, other = (DiffAugment()(images, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("policy", POLICIES)
def test_each_image_draws_its_own_changes(policy):
    """Sixty-four equal images become many."""
    image = torch.rand(1, 3, 32, 32, generator=rng())
    changed = DiffAugment(policy)(image.expand(64, 3, 32, 32), rng(1))
    assert changed.flatten(1).unique(dim=0).shape[0] > 30


def test_brightness_is_a_uniform_shift():
    """A constant grey has no saturation nor contrast: ±0.5 is all that happens."""
    images = torch.full((5000, 1, 2, 2), 0.25)
    shift = DiffAugment(("color",))(images, rng()) - 0.25
    assert shift.flatten(1).std(1).max() < 1e-6
    assert kstest(shift[:, 0, 0, 0].numpy(), "uniform", args=(-0.5, 1)).pvalue > 1e-3


def test_saturation_scales_the_distance_between_channels():
    """A plain colour's channels spread by 0 to 2, times a contrast of ½ to 1½.

    The mean over an image is the mean over its channels here, so that both factors
    apply to the same distance. Their product has the mean 1 · 1 and the second moment
    4/3 · 13/12.
    """
    color = torch.tensor([0.0, 0.3, 0.6])[None, :, None, None]
    changed = DiffAugment(("color",))(color.expand(20_000, 3, 2, 2), rng())
    spread = (changed[:, 2] - changed[:, 0])[:, 0, 0].double() / 0.6
    assert spread.min() >= 0
    assert 2.5 < spread.max() <= 3
    assert spread.mean().item() == pytest.approx(1, abs=0.02)
    assert spread.square().mean().item() == pytest.approx(13 / 9, abs=0.05)


def test_contrast_scales_the_distance_from_the_images_mean():
    """In grey pictures saturation does nothing: the range is scaled by ½ to 1½."""
    images = torch.linspace(-1, 1, 16).view(1, 1, 4, 4).expand(5000, 1, 4, 4)
    changed = DiffAugment(("color",))(images, rng()).flatten(1)
    scale = (changed.amax(1) - changed.amin(1)) / 2
    assert kstest(scale.numpy(), "uniform", args=(0.5, 1)).pvalue > 1e-3


def test_transparency_is_no_colour():
    """Of four channels the first three are changed as if they were alone."""
    images = torch.rand(8, 4, 8, 8, generator=rng())
    changed = DiffAugment(("color",))(images, rng(1))
    assert torch.equal(changed[:, 3], images[:, 3])
    assert torch.equal(changed[:, :3], DiffAugment(("color",))(images[:, :3], rng(1)))


def test_translation_shifts_by_whole_pixels_and_fills_with_zeros():
    """Every image is a crop of the original, padded by 1/8 of its size."""
    image = torch.rand(3, 16, 24, generator=rng()) + 1
    changed = DiffAugment(("translation",))(image.expand(4000, 3, 16, 24), rng(1))
    padded = torch.nn.functional.pad(image, (3, 3, 2, 2))
    crops = padded.unfold(1, 16, 1).unfold(2, 24, 1)  # (3, 5, 7, 16, 24)
    crops = crops.permute(1, 2, 0, 3, 4).flatten(0, 1)  # (35, 3, 16, 24)
    same = torch.stack([(changed == crop).flatten(1).all(1) for crop in crops])
    assert same.any(0).all()
    assert chisquare(same.sum(1).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("size", [16, 17])
def test_cutout_clears_a_square_around_a_random_centre(size):
    """Half the size, cut off at the border; every other pixel stays.

    The centre is any pixel, or for an even square any corner of one, so that at the
    border half of the square is left.
    """
    images = torch.ones(6000, 1, size, size)
    kept = DiffAugment(("cutout",))(images, rng())[:, 0]
    side = int(size / 2 + 0.5)
    rows, columns = (kept == 0).any(2).sum(1), (kept == 0).any(1).sum(1)
    assert torch.equal((kept == 0).sum((1, 2)), rows * columns)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    centres = size + 1 - side % 2
    assert (rows.min(), rows.max()) == ((side + 1) // 2, side)
    whole = (rows == side).sum().item()
    expected = 6000 * (size - side + 1) / centres
    assert abs(whole - expected) < 4 * (6000 / 4) ** 0.5


def test_the_policy_is_followed_in_its_order():
    """Brightness after cutout tints the hole, before it does not."""
    images = torch.ones(16, 1, 16, 16)
    last = DiffAugment(("color", "cutout"))(images, rng())
    first = DiffAugment(("cutout", "color"))(images, rng())
    assert (last == 0).flatten(1).any(1).all()
    assert not (first == 0).any()


@pytest.mark.parametrize("policy", [*POLICIES, ALL])
def test_gradients_pass_as_through_an_affine_map(policy):
    """First and second derivatives against finite differences, in float64."""
    images = torch.rand(2, 3, 8, 8, dtype=torch.double, generator=rng())
    images.requires_grad_()

    def changed(x):
        return DiffAugment(policy)(x, rng(1))

    def curved(x):
        return changed(x).square()

    assert torch.autograd.gradcheck(changed, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(curved, images, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_type_stay(dtype):
    """Grey and colour, any height and width."""
    for shape in [(2, 1, 8, 8), (2, 3, 9, 20)]:
        changed = DiffAugment()(torch.zeros(shape, dtype=dtype), rng())
        assert (changed.shape, changed.dtype) == (shape, dtype)


def test_vectors_are_refused_with_the_remedy():
    """The message names the shape that it got."""
    with pytest.raises(ValueError, match=r"images \(C, H, W\).*\(7,\).*leave"):
        DiffAugment()(torch.zeros(2, 7), rng())


def test_an_empty_policy_is_refused_with_the_remedy():
    """It would change nothing, which the user did not mean."""
    with pytest.raises(ValueError, match=r"empty policy.*'translation'"):
        DiffAugment(())
