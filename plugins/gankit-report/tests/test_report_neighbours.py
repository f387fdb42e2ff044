"""Neighbours: the nearest there are, by hand and by brute force."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gankit import Facts
from gankit_report.neighbours import nearest


class Pictures:
    """Data that has been read: items that are given."""

    annotations: dict[str, object] = {}  # noqa: RUF012 # there are none

    def __init__(self, items: Tensor) -> None:
        self.items = items
        self.facts = Facts(tuple(items.shape[1:]))

    def __len__(self) -> int:
        return len(self.items)

    def samples(self, positions: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return items (B, C, H, W)."""
        del rng
        return self.items[positions]

    stored = samples

    def fingerprint(self) -> str:
        """Return what nobody asks for."""
        return ""


def test_the_nearest_of_all_are_found_across_pieces() -> None:
    """As in float64, all at once."""
    rng = torch.Generator().manual_seed(0)
    items = torch.rand(600, 1, 4, 4, generator=rng)
    samples = torch.rand(5, 1, 4, 4, generator=rng)
    found = nearest(samples, Pictures(items), count=3, searched=1000)
    apart = torch.cdist(samples.flatten(1).double(), items.flatten(1).double()) / 4
    wanted, places = apart.topk(3, largest=False)
    torch.testing.assert_close(found.distances.double(), wanted)
    assert torch.equal(found.items, items[places])
    assert (found.searched, found.total) == (600, 600)


def test_distances_are_root_mean_squares() -> None:
    """Of four pixels that each differ by a half it is a half; a copy has none."""
    items = torch.stack([torch.full((1, 2, 2), v) for v in (0.0, 0.25, 1.0)])
    found = nearest(torch.full((1, 1, 2, 2), 0.5), Pictures(items), searched=9)
    assert found.distances.tolist() == [[0.25, 0.5, 0.5]]
    copy = nearest(items[1:2], Pictures(items), searched=9)
    assert copy.distances[0, 0] == 0


def test_an_item_is_no_neighbour_of_its_own() -> None:
    """Of 0, 0.25 and 1 the nearest others are 0.25, 0.25 and 0.75 away."""
    items = torch.stack([torch.full((1, 2, 2), v) for v in (0.0, 0.25, 1.0)])
    found = nearest(items[:1], Pictures(items), count=2, searched=9)
    assert found.usual == pytest.approx(0.25)
    assert found.compared == 3


def test_some_items_are_looked_through_where_all_are_too_many() -> None:
    """As many as are asked for, chosen by the seed."""
    items = torch.rand(40, 1, 2, 2)
    one, again, other = (
        nearest(items[:2], Pictures(items), count=1, searched=10, seed=seed)
        for seed in (1, 1, 2)
    )
    assert one.searched == 10
    assert torch.equal(one.items, again.items)
    assert not torch.equal(one.items, other.items)
