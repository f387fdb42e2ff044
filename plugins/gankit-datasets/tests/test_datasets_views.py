"""Random crops and mirrors."""

from __future__ import annotations

import pytest
import torch

from gankit_datasets.views import RandomView


def numbered(batch: int, side: int) -> torch.Tensor:
    """Return pictures (B, 2, side, side) that tell sample, channel, row and column."""
    shape = (batch, 2, side, side)
    return torch.arange(batch * 2 * side * side, dtype=torch.int32).reshape(shape)


def rng(seed: int = 0) -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(seed)


def places(samples: torch.Tensor, views: torch.Tensor) -> list[tuple[int, int, bool]]:
    """Find for each view the one window that it is: row, column, mirrored."""
    size, slack = views.shape[-1], samples.shape[-1] - views.shape[-1] + 1
    found = []
    for sample, view in zip(samples, views, strict=True):
        [place] = [
            (row, column, turned)
            for row in range(slack)
            for column in range(slack)
            for turned in (False, True)
            if torch.equal(
                view.flip(-1) if turned else view,
                sample[:, row : row + size, column : column + size],
            )
        ]
        found.append(place)
    return found


def test_each_view_is_a_window_of_its_own_sample():
    """Rows and columns stay neighbours, channels stay together."""
    samples = numbered(64, 6)
    views = RandomView(4, mirror=True)(samples, rng())
    assert views.shape == (64, 2, 4, 4)
    assert views.dtype == samples.dtype
    found = places(samples, views)
    assert {place[0] for place in found} == {0, 1, 2}
    assert {place[1] for place in found} == {0, 1, 2}
    assert {place[2] for place in found} == {False, True}


def test_all_places_and_both_sides_are_equally_likely():
    """Chi-square over the 3 x 3 x 2 views of 3,600 samples, 99.99 % quantile 47.6."""
    samples = numbered(1, 6).expand(3600, -1, -1, -1)
    found = places(samples, RandomView(4, mirror=True)(samples, rng()))
    counts = [found.count(place) for place in set(found)]
    assert len(counts) == 18
    assert sum((count - 200) ** 2 / 200 for count in counts) < 47.6


def test_the_generator_alone_decides():
    """One seed gives the same views whatever torch's own generator does."""
    samples, view = numbered(32, 9), RandomView(5, mirror=True)
    torch.manual_seed(1)
    first = view(samples, rng(3))
    torch.manual_seed(2)
    assert torch.equal(first, view(samples, rng(3)))
    assert not torch.equal(first, view(samples, rng(4)))


def test_mirroring_alone_keeps_the_whole_picture():
    """Without anything to cut, a view is the picture or its mirror image."""
    samples = numbered(50, 5)
    views = RandomView(5, mirror=True)(samples, rng())
    turned = (views != samples).flatten(1).any(1)
    assert torch.equal(views[turned], samples[turned].flip(-1))
    assert 10 < turned.sum() < 40


def test_nothing_is_mirrored_unasked():
    """Cropping alone never turns a picture."""
    samples = numbered(50, 6)
    found = places(samples, RandomView(4)(samples, rng()))
    assert not any(turned for *_, turned in found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_views_are_cut_on_the_device_of_the_samples():
    """The generator lives there as well."""
    samples = numbered(8, 6).cuda()
    generator = torch.Generator("cuda").manual_seed(0)
    views = RandomView(4, mirror=True)(samples, generator)
    assert views.device == samples.device
    assert len(places(samples.cpu(), views.cpu())) == 8
