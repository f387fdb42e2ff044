"""Whether pictures show what captions of drawn scenes ask for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from attrs import frozen
from torch import Tensor

from gankit_datasets.claims import Claim, read_caption
from gankit_datasets.scenes import (
    COLOURS,
    FROM_EDGE,
    PLACES,
    RADIUS_ALONE,
    RADIUS_PAIRED,
    SHAPES,
    SIZES,
)
from gankit_datasets.sight import MOST, Seen, see

ASPECTS = ("colour", "shape", "size", "place", "relation")
# what is right of two things in one aspect outweighs all aspects that are worth less
_WORTH = (1000, 100, 1, 0, 10)
_UNTOLD = -1
_AWAY = 0.1  # a thing alone may be so far from its place; scenes have it within 0.05


@frozen(eq=False)
class _Asked:
    """Claims as numbers, -1 for what is not told.

    Attributes:
        count: things, (B,).
        colour, shape, size: of each, (B, 2).
        place, upright: (B,).
    """

    count: Tensor
    colour: Tensor
    shape: Tensor
    size: Tensor
    place: Tensor
    upright: Tensor

    @property
    def aspects(self) -> tuple[Tensor, ...]:
        """What is asked in each of `ASPECTS`."""
        return self.colour, self.shape, self.size, self.place, self.upright


def judge(samples: Tensor, captions: Sequence[str]) -> dict[str, Tensor]:
    """Tell by aspect whether pictures (B, 3, S, S), uint8, are as captions ask.

    See `gankit_datasets.shapes.DrawnShapes.judge`.
    """
    asked = _numbered([_claim(caption) for caption in captions])
    seen = see(samples)
    ways = [_compare(asked, seen, order) for order in ((0, 1), (1, 0))]
    straight, swapped = (_merit(way) for way in ways)
    swaps = (swapped > straight) & (asked.count == MOST)
    right = torch.where(swaps[:, None], ways[1].all(2), ways[0].all(2))
    right &= (seen.count == asked.count)[:, None]  # (B, 5)
    told = _told(asked)  # (B, 5)
    verdicts = right.float().masked_fill(~told, float("nan"))
    whole = (right | ~told).all(1).float()
    return {**dict(zip(ASPECTS, verdicts.unbind(1), strict=True)), "all": whole}


_claim = lru_cache(1 << 16)(read_caption)


def _numbered(claims: Sequence[Claim]) -> _Asked:
    def column(names: Sequence[str], told: str) -> Tensor:
        rows = [
            [
                _UNTOLD if (name := getattr(t, told)) is None else names.index(name)
                for t in claim.things
            ]
            for claim in claims
        ]
        padded = [row + [_UNTOLD] * (MOST - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.int64).view(-1, MOST)

    places = [_UNTOLD if c.place is None else PLACES.index(c.place) for c in claims]
    upright = [_UNTOLD if c.upright is None else int(c.upright) for c in claims]
    return _Asked(
        count=torch.tensor([len(claim.things) for claim in claims]),
        colour=column(COLOURS, "colour"),
        shape=column(SHAPES, "shape"),
        size=column(SIZES, "size"),
        place=torch.tensor(places),
        upright=torch.tensor(upright),
    )


def _told(asked: _Asked) -> Tensor:
    """Return which aspects each caption settles, (B, 5)."""
    told = [(each.view(len(each), -1) >= 0).any(1) for each in asked.aspects]
    return torch.stack(told, 1)


def _compare(asked: _Asked, seen: Seen, order: tuple[int, int]) -> Tensor:
    """Take the things seen in an order for those asked for, and compare: (B, 5, 2).

    What is not told is right.
    """
    taken = list(order)
    centre = seen.centre[:, taken]
    relation = _relation(centre) == asked.upright
    place = _place(centre[:, 0], seen.radius[:, order[0]]) == asked.place
    rows = [
        seen.colour[:, taken] == asked.colour,
        seen.shape[:, taken] == asked.shape,
        _size(seen)[:, taken] == asked.size,
        place[:, None].expand(-1, MOST),
        relation[:, None].expand(-1, MOST),
    ]
    untold = [each.view(len(each), -1).expand(-1, MOST) < 0 for each in asked.aspects]
    return torch.stack([a | b for a, b in zip(rows, untold, strict=True)], 1)


def _merit(right: Tensor) -> Tensor:
    """Rank an order by what is right in it: see `_WORTH`, (B,)."""
    return (right.sum(2) * torch.tensor(_WORTH)).sum(1)


def _relation(centre: Tensor) -> Tensor:
    """Return 1 where the first is above the second, 0 where left of it, else 2."""
    across, down = (centre[:, 1] - centre[:, 0]).unbind(1)
    return torch.where(down > across.abs(), 1, torch.where(across > down.abs(), 0, 2))


def _size(seen: Seen) -> Tensor:
    """Return places in `SIZES`, (B, 2): on which side of the middle between them."""
    alone, paired = (
        torch.tensor(sum(radii.values()) / 2) for radii in (RADIUS_ALONE, RADIUS_PAIRED)
    )
    limit = torch.where(seen.count == 1, alone, paired)
    small = seen.radius < limit[:, None]
    return torch.where(small, SIZES.index("small"), SIZES.index("large"))


def _place(centre: Tensor, radius: Tensor) -> Tensor:
    """Return the nearest of `PLACES` to a thing alone, (B,), if it is there, else 5."""
    near, middle = radius + FROM_EDGE, torch.full_like(radius, 0.5)
    where = {
        "left": (near, middle),
        "right": (1 - near, middle),
        "top": (middle, near),
        "bottom": (middle, 1 - near),
        "centre": (middle, middle),
    }
    spots = torch.stack([torch.stack(where[place], 1) for place in PLACES], 1)
    least, which = torch.linalg.vector_norm(spots - centre[:, None], dim=2).min(1)
    there = least < _AWAY
    return torch.where(there, which, len(PLACES))
