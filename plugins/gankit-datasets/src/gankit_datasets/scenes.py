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
_SIZES: tuple[Size, ...] = get_args(Size)
_PLACES: tuple[Place, ...] = get_args(Place)

# half the side of a thing's box; whatever is alone has more room. Every large thing is
# larger than every small one, alone or not.
_RADIUS_ALONE = {"large": 0.27, "small": 0.15}
_RADIUS_PAIRED = {"large": 0.21, "small": 0.14}
_RADIUS_SPREAD = 0.04  # radii vary by this share of themselves, up and down
_MARGIN = 0.03  # between a thing at the left and the left edge
_WOBBLE = 0.03  # how far a thing alone may be from its place

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

    @property
    def class_name(self) -> str:
        """What every caption settles: the kind of the thing, not its size or place."""
        return str(self.thing.kind)


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

    @property
    def class_name(self) -> str:
        """What every caption settles: both kinds and which is where, not the sizes."""
        return _class_of_pair(self.first.kind, self.second.kind, self.upright)


def single_classes(kinds: Sequence[Kind]) -> list[str]:
    """Name the classes of scenes of one thing."""
    return [str(kind) for kind in kinds]


def pair_classes(kinds: Sequence[Kind]) -> list[str]:
    """Name the classes of scenes of two things, of different colours."""
    return [
        _class_of_pair(first, second, upright)
        for first in kinds
        for second in kinds
        if first.colour != second.colour
        for upright in (True, False)
    ]


def _class_of_pair(first: Kind, second: Kind, upright: bool) -> str:
    return f"{first} {'above' if upright else 'left of'} {second}"


def pick(draw: Draw, options: Sequence[T]) -> T:
    """Choose one of some options, each equally likely."""
    return options[int(draw() * len(options))]


def compose_single(draw: Draw, kinds: Sequence[Kind]) -> Single:
    """Compose a scene of one thing: kind, size and place all equally likely."""
    kind, size, place = pick(draw, kinds), pick(draw, _SIZES), pick(draw, _PLACES)
    radius = _RADIUS_ALONE[size] * _about(draw, 1, _RADIUS_SPREAD)
    across = _about(draw, 0.5, _WOBBLE)
    if place == "centre":
        return Single(
            Thing(kind, size, across, _about(draw, 0.5, _WOBBLE), radius), place
        )
    near = radius + _MARGIN + _WOBBLE * draw()
    along = near if place in ("left", "top") else 1 - near
    x, y = (along, across) if place in ("left", "right") else (across, along)
    return Single(Thing(kind, size, x, y, radius), place)


def compose_pair(draw: Draw, kinds: Sequence[Kind]) -> Pair:
    """Compose a scene of two things, whose boxes never touch.

    The first is of any kind, the second of any kind of another colour; they are above
    each other or side by side.
    """
    first = pick(draw, kinds)
    second = pick(draw, [kind for kind in kinds if kind.colour != first.colour])
    upright = draw() < 0.5
    things: list[Thing] = []
    for kind, middle in ((first, 0.25), (second, 0.75)):
        size = pick(draw, _SIZES)
        radius = _RADIUS_PAIRED[size] * _about(draw, 1, _RADIUS_SPREAD)
        along, across = _about(draw, middle, 0.02), _about(draw, 0.5, 0.06)
        x, y = (across, along) if upright else (along, across)
        things.append(Thing(kind, size, x, y, radius))
    return Pair(things[0], things[1], upright)


def _about(draw: Draw, middle: float, spread: float) -> float:
    return middle + spread * (2 * draw() - 1)
