"""What a caption of drawn scenes asks for, read back from its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import frozen

from gankit_datasets.scenes import COLOURS, Colour, Place, Shape, Size
from gankit_datasets.wording import LEVEL, NOUNS, PLACES, SIZES, UPRIGHT

Name = TypeVar("Name")


@frozen
class Described:
    """One thing that a caption names; no ``size`` where it tells none."""

    colour: Colour
    shape: Shape
    size: Size | None


@frozen
class Claim:
    """All that a caption settles of its picture, and that nothing else is there.

    Of two things the first is the upper or the left one, in whichever order the caption
    names them.
    """

    things: tuple[Described, ...]
    place: Place | None = None  # of a thing alone
    upright: bool | None = None  # of two: one above the other, or side by side


def _meanings(words: Mapping[Name, Iterable[str]]) -> dict[str, Name]:
    return {word: meant for meant, told in words.items() for word in told}


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_NOUNS, _SIZES = _meanings(NOUNS), _meanings(SIZES)
_PLACES = _meanings(PLACES)
# is the one above the other, and is the thing named first the upper or left one?
_RELATIONS = {
    word: (upright, forward)
    for upright, told in ((True, UPRIGHT), (False, LEVEL))
    for forward, words in zip((True, False), told, strict=True)
    for word in words
}
_THING = rf"an? (?:({_any_of(_SIZES)}) )?({_any_of(COLOURS)}) ({_any_of(_NOUNS)})"
_OPENING = r"(?:there is |a picture of )?"
_PLACE, _RELATION = f"({_any_of(_PLACES)})", f"({_any_of(_RELATIONS)})"
_ALONE = re.compile(f"{_OPENING}{_THING}(?: {_PLACE})?")
_PLACE_FIRST = re.compile(f"{_PLACE} there is {_THING}")
_PAIR = re.compile(f"{_OPENING}{_THING} {_RELATION} {_THING}")
_PAIR_WITH = re.compile(f"{_THING} with {_THING} {_RELATION} it")


def read_caption(text: str) -> Claim:
    """Read a caption in the words of :mod:`gankit_datasets.wording`.

    Raises:
        ValueError: it is said in other words.
    """
    if said := _ALONE.fullmatch(text):
        *thing, place = said.groups()
        return Claim((_described(*thing),), place=_PLACES.get(place))
    if said := _PLACE_FIRST.fullmatch(text):
        place, *thing = said.groups()
        return Claim((_described(*thing),), place=_PLACES[place])
    if said := _PAIR.fullmatch(text):
        *first, relation = said.groups()[:4]
        return _related(first, relation, said.groups()[4:])
    if said := _PAIR_WITH.fullmatch(text):  # the one named second is the subject
        *first, relation = said.groups()[3:]
        return _related(first, relation, said.groups()[:3])
    raise ValueError(
        f"the caption {text!r} is none of drawn scenes; say it as their own do: "
        "'a red circle', 'a small red circle on the left', or 'a red circle above a "
        "blue square'"
    )


def _related(first: Iterable[str], relation: str, second: Iterable[str]) -> Claim:
    upright, forward = _RELATIONS[relation]
    things = _described(*first), _described(*second)
    return Claim(things if forward else things[::-1], upright=upright)


def _described(size: Any, colour: Any, noun: str) -> Described:
    return Described(colour, _NOUNS[noun], _SIZES.get(size))
