"""What is in a drawn scene: one or two coloured shapes, their sizes and places.

Coordinates are fractions of the picture, from its upper left corner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar, get_args

from attrs import frozen

Colour = Literal["red", "green", "blue", "yellow", "purple", "orange", "cyan", "white"]
Shape = Literal["circle", "square", "triangle", "star", "cross"]
Size = Literal["large", "small"]
Place = Literal["left", "right", "top", "bottom", "centre"]

COLOURS: tuple[Colour, ...] = get_args(Colour)
SHAPES: tuple[Shape, ...] = get_args(Shape)
SIZES: tuple[Size, ...] = get_args(Size)
PLACES: tuple[Place, ...] = get_args(Place)

# half the side of a thing's box; whatever is alone has more room. Every large thing is
# larger than every small one, alone or not.
RADIUS_ALONE = {"large": 0.27, "small": 0.15}
RADIUS_PAIRED = {"large": 0.21, "small": 0.14}
_RADIUS_SPREAD = 0.04  # radii vary by this share of themselves, up and down
_MARGIN = 0.03  # between a thing at the left and the left edge
_WOBBLE = 0.03  # how far a thing alone may be from its place
FROM_EDGE = _MARGIN + _WOBBLE / 2  # the same between box and edge, in the mean

T = TypeVar("T")
Draw = Callable[[], float]  # a number from 0 to below 1


@frozen
class Kind:
    """A colour and a shape: what every caption tells of a thing."""

    colour: Colour
    shape: Shape

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


@frozen
class Thing:
    """One shape of a scene, centred on (x, y), within ``radius`` of it."""

    kind: Kind
    size: Size
    x: float
    y: float
    radius: float


@frozen
class Single:
    """One thing and its place."""

    thing: Thing
    place: Place

    @property
    def things(self) -> tuple[Thing, ...]:
        """All things of the scene."""
        return (self.thing,)


@frozen
class Pair:
    """Two things of different colours, the first above or left of the second."""

    first: Thing
    second: Thing
    upright: bool  # one above the other, not side by side

    @property
    def things(self) -> tuple[Thing, ...]:
        """All things of the scene."""
        return (self.first, self.second)


@frozen
class SingleClass:
    """Scenes of one thing of a kind, of any size and at any place."""

    kind: Kind

    def __str__(self) -> str:
        return str(self.kind)

    @property
    def traits(self) -> frozenset[object]:
        """What other classes may have too: its colour, and its shape."""
        return frozenset({("alone", self.kind.colour), ("alone", self.kind.shape)})

    def compose(self, draw: Draw) -> Single:
        """Compose a scene: size and place all equally likely."""
        size, place = pick(draw, SIZES), pick(draw, PLACES)
        radius = RADIUS_ALONE[size] * _about(draw, 1, _RADIUS_SPREAD)
        across = _about(draw, 0.5, _WOBBLE)
        if place == "centre":
            x, y = across, _about(draw, 0.5, _WOBBLE)
            return Single(Thing(self.kind, size, x, y, radius), place)
        near = radius + _MARGIN + _WOBBLE * draw()
        along = near if place in ("left", "top") else 1 - near
        x, y = (along, across) if place in ("left", "right") else (across, along)
        return Single(Thing(self.kind, size, x, y, radius), place)


@frozen
class PairClass:
    """Scenes of two things, the first above or left of the second, of any sizes."""

    first: Kind
    second: Kind
    upright: bool  # one above the other, not side by side

    def __str__(self) -> str:
        relation = "above" if self.upright else "left of"
        return f"{self.first} {relation} {self.second}"

    @property
    def traits(self) -> frozenset[object]:
        """What other classes may have too: colour and shape of each, the relation."""
        return frozenset(
            {
                *(("first", self.first.colour), ("first", self.first.shape)),
                *(("second", self.second.colour), ("second", self.second.shape)),
                ("upright", self.upright),
            }
        )

    def compose(self, draw: Draw) -> Pair:
        """Compose a scene whose boxes never touch, sizes all equally likely."""
        things: list[Thing] = []
        for kind, middle in ((self.first, 0.25), (self.second, 0.75)):
            size = pick(draw, SIZES)
            radius = RADIUS_PAIRED[size] * _about(draw, 1, _RADIUS_SPREAD)
            along, across = _about(draw, middle, 0.02), _about(draw, 0.5, 0.06)
            x, y = (across, along) if self.upright else (along, across)
            things.append(Thing(kind, size, x, y, radius))
        return Pair(things[0], things[1], self.upright)


def single_classes(kinds: Sequence[Kind]) -> list[SingleClass]:
    """List the classes of scenes of one thing."""
    return [SingleClass(kind) for kind in kinds]


def pair_classes(kinds: Sequence[Kind]) -> list[PairClass]:
    """List the classes of scenes of two things, of different colours."""
    return [
        PairClass(first, second, upright)
        for first in kinds
        for second in kinds
        if first.colour != second.colour
        for upright in (True, False)
    ]


def pick(draw: Draw, options: Sequence[T]) -> T:
    """Choose one of some options, each equally likely."""
    return options[int(draw() * len(options))]


def pick_single(draw: Draw, kinds: Sequence[Kind]) -> SingleClass:
    """Choose a class of scenes of one thing, all equally likely."""
    return SingleClass(pick(draw, kinds))


def pick_pair(draw: Draw, kinds: Sequence[Kind]) -> PairClass:
    """Choose a class of scenes of two things, all equally likely.

    The first is of any kind, the second of any kind of another colour; they are above
    each other or side by side.
    """
    first = pick(draw, kinds)
    second = pick(draw, [kind for kind in kinds if kind.colour != first.colour])
    return PairClass(first, second, draw() < 0.5)


def _about(draw: Draw, middle: float, spread: float) -> float:
    return middle + spread * (2 * draw() - 1)
