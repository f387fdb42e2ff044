"""Truths about the changes of `ada`: matrices by hand, and what the paper draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, halfnorm, kstest, norm, uniform

from gankit_losses.chances import Chances
from gankit_losses.recolouring import (
    brightness,
    colours,
    contrast,
    hue,
    luma_flip,
    recoloured,
    saturation,
)
from gankit_losses.warping import (
    SYM6,
    blitted,
    blitting,
    geometry,
    rotation,
    scaling,
    shift,
    warped,
)

LOWPASS = torch.tensor(SYM6, dtype=torch.double)
EYE = np.eye(3)
ONES = np.ones((3, 3))


def number(value):
    """Return a number as the maps take it."""
    return torch.tensor([value], dtype=torch.double)


def chances(p, count=5000, seed=0):
    """Return draws in float64, each used with the probability p."""
    rng = torch.Generator().manual_seed(seed)
    return Chances(count, torch.tensor(p), rng, torch.double)


class Scripted:
    """Chances that are no chance: what is drawn stands in a list."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def _next(self, *_, **__):
        return number(self.numbers.pop(0))

    uniform = normal = lognormal = whole = constant = _next

    def applied(self, drawn, neutral, *, halved=False):
        """Use it."""
        return drawn

    def gate(self, **_):
        """Say yes."""
        return torch.tensor([True])


def homogeneous(linear, moved=(0, 0, 0)):
    """Join a linear map and a shift."""
    size = len(linear)
    result = np.eye(size + 1)
    result[:size, :size] = linear
    result[:size, size] = moved[:size]
    return result


@pytest.mark.parametrize(
    ("made", "by_hand"),
    [
        (scaling(number(2.0), number(-1.0)), np.diag([2, -1, 1])),
        (shift(number(3.0), number(-5.0)), [[1, 0, 3], [0, 1, -5], [0, 0, 1]]),
        # x towards y, by 60 degrees
        (
            rotation(number(math.pi / 3)),
            [[1 / 2, -math.sqrt(3) / 2, 0], [math.sqrt(3) / 2, 1 / 2, 0], [0, 0, 1]],
        ),
        (brightness(number(0.25)), homogeneous(EYE, [0.25] * 3)),
        (contrast(number(1.5)), homogeneous(1.5 * EYE)),
        # Householder's reflection I - 2 v vᵀ at the plane across v = (1, 1, 1) / √3
        (luma_flip(number(1.0)), homogeneous(EYE - 2 / 3 * ONES)),
        (luma_flip(number(0.0)), np.eye(4)),
        # a third of a turn takes red to green, green to blue and blue to red
        (
            hue(number(2 * math.pi / 3)),
            homogeneous(np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])),
        ),
        # half a turn is the mirror image at the axis: 2 v vᵀ - I
        (hue(number(math.pi)), homogeneous(2 / 3 * ONES - EYE)),
        (saturation(number(0.0)), homogeneous(ONES / 3)),
        (saturation(number(2.0)), homogeneous(2 * EYE - ONES / 3)),
    ],
)
def test_each_matrix_is_the_one_computed_by_hand(made, by_hand):
    """In float64."""
    np.testing.assert_allclose(made[0].numpy(), by_hand, atol=1e-15)


def test_pixels_are_mirrored_then_turned_then_shifted():
    """By three quarters, and by round(t w) and round(t h): 3 of 30 and -2 of 20."""
    drawn = blitting(Scripted(1, 1, 3, 0.1, -0.125), height=20, width=30)[0]
    three = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # quarters, each from y towards x
    moved = [[1, 0, 3], [0, 1, -2], [0, 0, 1]]
    by_hand = np.array(moved) @ np.array(three) @ np.diag([-1, 1, 1])
    np.testing.assert_allclose(drawn, by_hand, atol=1e-12)


def test_geometry_scales_turns_stretches_turns_and_shifts():
    """In this order, by what is drawn in it."""
    a, b = 0.3, -1.1
    drawn = geometry(Scripted(2, a, b, 1.25, 0.1, -0.2), height=20, width=30)[0]

    def turn(angle):
        cos, sin = math.cos(angle), math.sin(angle)
        return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])

    moved = np.array([[1, 0, 3], [0, 1, -4], [0, 0, 1]])
    by_hand = moved @ turn(-b) @ np.diag([1.25, 0.8, 1]) @ turn(-a) @ np.diag([2, 2, 1])
    np.testing.assert_allclose(drawn, by_hand, atol=1e-12)


def test_colours_change_in_the_order_of_the_paper():
    """Brightness, contrast, luma, hue, saturation."""
    drawn = colours(Scripted(0.2, 1.5, 1, 2 * math.pi / 3, 0.5))[0]
    turned = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    linear = (0.5 * EYE + 0.5 * ONES / 3) @ turned @ (EYE - 2 / 3 * ONES) * 1.5
    by_hand = homogeneous(linear, linear @ np.full(3, 0.2))
    np.testing.assert_allclose(drawn, by_hand, atol=1e-12)


def test_pixels_are_mirrored_turned_and_shifted_in_eight_ways_and_25():
    """Appendix B: U{0, 1}, U{0, 3}, and round(t w) for t uniform within 1/8."""
    drawn = blitting(chances(1.0), 16, 16)
    ways = (drawn[:, 0, 0] + 3 * drawn[:, 0, 1] + 9 * drawn[:, 1, 0]).round()
    turned = drawn[:, 0, 0].round() == 0
    kinds = torch.stack([ways, drawn[:, 1, 1].round(), turned], 1).unique(
        dim=0, return_counts=True
    )[1]
    assert len(kinds) == 8
    assert chisquare(kinds.numpy()).pvalue > 1e-3
    for moved in (drawn[:, 0, 2], drawn[:, 1, 2]):
        places, counts = moved.unique(return_counts=True)
        assert places.tolist() == [-2, -1, 0, 1, 2]
        shares = np.array([1, 2, 2, 2, 1]) / 8
        assert chisquare(counts.numpy(), shares * len(moved)).pvalue > 1e-3


def test_geometry_is_drawn_as_the_paper_says():
    """Appendix B: the area tells the scale, singular values the stretch."""
    drawn = geometry(chances(1.0), 20, 40).numpy()
    linear = drawn[:, :2, :2]
    scale = np.log2(np.linalg.det(linear)) / 2
    assert kstest(scale, norm(scale=0.2).cdf).pvalue > 1e-3
    long, short = np.linalg.svd(linear)[1].T
    assert kstest(np.log2(long / short) / 2, halfnorm(scale=0.2).cdf).pvalue > 1e-3
    u, _, v = np.linalg.svd(linear)
    turned = u @ v  # the turn of the polar decomposition
    angle = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    assert kstest(angle, uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3
    for moved, length in ((drawn[:, 0, 2], 40), (drawn[:, 1, 2], 20)):
        assert kstest(moved / length, norm(scale=1 / 8).cdf).pvalue > 1e-3


def test_both_turns_together_are_made_with_p():
    """Each with 1 - √(1 - p), so that neither is made with 1 - p."""
    p = 0.36
    gates = [chances(p, 20_000, seed).gate(halved=True) for seed in (0, 1)]
    for gate in gates:
        assert gate.double().mean().item() == pytest.approx(0.2, abs=0.012)
    either = (gates[0] | gates[1]).double().mean().item()
    assert either == pytest.approx(p, abs=0.015)


def test_colours_are_drawn_as_the_paper_says():
    """Appendix B: what the grey axis and the plane across it tell of the map."""
    drawn = colours(chances(1.0)).numpy()
    axis = np.ones(3) / math.sqrt(3)
    along = axis @ drawn[:, :3, :3] @ axis  # contrast, and the sign of luma
    assert kstest(np.log2(abs(along)), norm(scale=0.5).cdf).pvalue > 1e-3
    assert (along < 0).mean() == pytest.approx(1 / 2, abs=0.03)
    added = drawn[:, :3, 3].mean(1) / along
    assert kstest(added, norm(scale=0.2).cdf).pvalue > 1e-3
    plane = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    across = plane @ drawn[:, :3, :3] @ plane.T
    grown = np.sqrt(np.linalg.det(across)) / abs(along)
    assert kstest(np.log2(grown), norm(scale=1).cdf).pvalue > 1e-3
    angle = np.arctan2(across[:, 1, 0], across[:, 0, 0])
    assert kstest(angle, uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize("size", [(8, 8), (5, 9), (1, 4)])
def test_blitted_pixels_are_copies(size):
    """Mirror images, turns and shifts of torch's own, and mirrors at the edges."""
    image = torch.rand(1, 3, *size, dtype=torch.double)
    mirrored = blitted(image, scaling(number(-1.0), number(1.0)))
    assert torch.equal(mirrored, image.flip(3))
    upside_down = blitted(image, rotation(number(math.pi)))
    assert torch.equal(upside_down, image.rot90(2, (2, 3)))
    moved = blitted(image, shift(number(2.0), number(0.0)))
    assert torch.equal(moved[..., 2:], image[..., :-2])
    # the edge is not repeated: 2 1 | 0 1 2 3
    assert torch.equal(moved[..., :2], image[..., 1:3].flip(3))
    if size[0] == size[1]:
        turned = blitted(image, rotation(number(-math.pi / 2)))
        assert torch.equal(turned, image.rot90(1, (2, 3)))


def test_the_filter_is_an_orthogonal_wavelet_with_six_vanishing_moments():
    """Daubechies 1992: these two and its phase make it Symlet 6."""
    taps = np.array(SYM6)
    for k in range(6):
        overlap = float(taps[2 * k :] @ taps[: 12 - 2 * k])
        assert overlap == pytest.approx(float(k == 0), abs=1e-11)
    signs, places = (-1.0) ** np.arange(12), np.arange(12) - 5.5
    for power in range(6):
        assert abs((signs * places**power * taps).sum()) < 1e-8
    assert taps.sum() == pytest.approx(math.sqrt(2))


def test_what_lies_on_the_grid_is_warped_without_loss():
    """A shift by whole pixels gives the mirrored image back, whatever its size."""
    for size in [(16, 16), (5, 3), (1, 7), (2, 2)]:
        image = torch.rand(2, 3, *size, dtype=torch.double)
        both = shift(torch.tensor([2.0, -30.0]), torch.tensor([-1.0, 17.0])).double()
        assert torch.allclose(
            warped(image, both, LOWPASS), blitted(image, both), atol=1e-10
        )


def test_a_ramp_is_warped_as_a_ramp():
    """Its value at a place is that of where the place comes from, exactly.

    The wavelet and the interpolation know what is linear; far from the edges, where
    the mirror images begin.
    """
    down, across = torch.meshgrid(
        torch.arange(61.0).double() - 30,
        torch.arange(81.0).double() - 40,
        indexing="ij",
    )
    ramp = (2 * across - 3 * down)[None, None]
    turn = (
        shift(number(2.3), number(-1.7))
        @ rotation(number(0.7))
        @ scaling(number(1.3), number(0.8))
    )
    made = warped(ramp, turn, LOWPASS)[0, 0]
    a, b, c = (np.array([2.0, -3.0, 0.0]) @ np.linalg.inv(turn[0].numpy())).tolist()
    wanted = a * across + b * down + c
    middle = (slice(22, 39), slice(32, 49))
    assert torch.allclose(made[middle], wanted[middle], atol=1e-9)


def test_half_a_turn_leaves_a_smooth_picture_where_it_was():
    """The wavelet is not symmetric; its middle is, where it matters."""
    angle = torch.arange(32).double() * 2 * math.pi / 31
    image = (angle.cos()[:, None] + (2 * angle).cos())[None, None]  # mirrors meet it
    made = warped(image, rotation(number(math.pi)), LOWPASS)
    assert (made - image.rot90(2, (2, 3))).abs().max() < 0.02


def test_grey_pictures_are_colours_on_the_grey_axis():
    """One channel comes out as each of three equal ones does."""
    grey = torch.rand(64, 1, 4, 4, dtype=torch.double)
    maps = colours(chances(1.0, 64))
    three = recoloured(grey.expand(-1, 3, -1, -1), maps)
    assert torch.allclose(recoloured(grey, maps).expand_as(three), three)


def test_transparency_keeps_its_value():
    """Of four channels the first three are changed as if they were alone."""
    images = torch.rand(16, 4, 4, 4, dtype=torch.double)
    maps = colours(chances(1.0, 16))
    changed = recoloured(images, maps)
    assert torch.equal(changed[:, 3], images[:, 3])
    assert torch.equal(changed[:, :3], recoloured(images[:, :3], maps))


def test_a_colour_is_multiplied_by_its_map():
    """Every pixel, as a column (r, g, b, 1)."""
    images = torch.rand(2, 3, 2, 5, dtype=torch.double)
    maps = colours(chances(1.0, 2))
    changed = recoloured(images, maps)
    for i in range(2):
        for y, x in ((0, 0), (1, 4)):
            pixel = np.append(images[i, :, y, x].numpy(), 1)
            np.testing.assert_allclose(
                changed[i, :, y, x].numpy(), (maps[i].numpy() @ pixel)[:3]
            )
