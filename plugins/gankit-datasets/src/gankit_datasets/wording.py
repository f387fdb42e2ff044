"""What can truly be said of a drawn scene, in several wordings.

Every caption names the colour and the shape of everything in the scene. A caption of a
pair names also which is where, so that it fits scenes of one class only; sizes, and the
place of a thing alone, are in some captions and not in others.
"""

from __future__ import annotations

from gankit_datasets.scenes import (
    Draw,
    Kind,
    Pair,
    Place,
    Shape,
    Single,
    Size,
    Thing,
    pick,
)

NOUNS: dict[Shape, tuple[str, ...]] = {
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "cross": ("cross", "plus"),
}
SIZES: dict[Size, tuple[str, ...]] = {
    "large": ("large", "big"),
    "small": ("small", "little"),
}
PLACES: dict[Place, tuple[str, ...]] = {
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
    "top": ("at the top", "near the top"),
    "bottom": ("at the bottom", "near the bottom"),
    "centre": ("in the centre", "in the middle"),
}
# of the first thing to the second, and of the second to the first
UPRIGHT = ("above", "over"), ("below", "under")
LEVEL = ("left of", "to the left of"), ("right of", "to the right of")

_OF_ONE = (
    "{plain}",
    "{sized}",
    "{plain} {place}",
    "{sized} {place}",
    "there is {plain} {place}",
    "there is {sized}",
    "{place} there is {sized}",
    "a picture of {plain}",
)
_OF_TWO = (
    "{plain} {relation} {other}",
    "{other} {inverse} {plain}",
    "{sized} {relation} {sized_other}",
    "{sized_other} {inverse} {sized}",
    "there is {plain} {relation} {other}",
    "there is {other} {inverse} {plain}",
    "{other} with {plain} {relation} it",
    "a picture of {plain} {relation} {other}",
)
MOST = min(len(_OF_ONE), len(_OF_TWO))


def captions_of(scene: Single | Pair, count: int, draw: Draw) -> tuple[str, ...]:
    """Say ``count`` different things of a scene, at most `MOST`."""
    templates = list(_OF_ONE if isinstance(scene, Single) else _OF_TWO)
    for kept in range(count):  # the beginning of a Fisher-Yates shuffle
        other = kept + int(draw() * (len(templates) - kept))
        templates[kept], templates[other] = templates[other], templates[kept]
    return tuple(
        template.format_map(_words(scene, draw)) for template in templates[:count]
    )


def _words(scene: Single | Pair, draw: Draw) -> dict[str, str]:
    if isinstance(scene, Single):
        return {
            "plain": _named(scene.thing.kind, draw),
            "sized": _sized(scene.thing, draw),
            "place": pick(draw, PLACES[scene.place]),
        }
    relations, inverses = UPRIGHT if scene.upright else LEVEL
    return {
        "plain": _named(scene.first.kind, draw),
        "sized": _sized(scene.first, draw),
        "other": _named(scene.second.kind, draw),
        "sized_other": _sized(scene.second, draw),
        "relation": pick(draw, relations),
        "inverse": pick(draw, inverses),
    }


def _named(kind: Kind, draw: Draw) -> str:
    article = "an" if kind.colour == "orange" else "a"
    return f"{article} {kind.colour} {pick(draw, NOUNS[kind.shape])}"


def _sized(thing: Thing, draw: Draw) -> str:
    size, noun = pick(draw, SIZES[thing.size]), pick(draw, NOUNS[thing.kind.shape])
    return f"a {size} {thing.kind.colour} {noun}"
