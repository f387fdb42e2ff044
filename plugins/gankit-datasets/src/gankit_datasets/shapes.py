"""Drawn scenes of coloured shapes with captions, made from a seed: no download."""

from __future__ import annotations

import random
from typing import Annotated, Any, Literal

from gankit import Classes, Count, Facts, Item, Range, Texts, Whole
from gankit_datasets.drawing import draw_scene
from gankit_datasets.scenes import (
    COLOURS,
    SHAPES,
    Colour,
    Draw,
    Kind,
    Pair,
    Shape,
    Single,
    compose_pair,
    compose_single,
    pair_classes,
    single_classes,
)
from gankit_datasets.wording import MOST, captions_of


class DrawnShapes:
    """Scenes of one or two shapes on dark ground, each with true captions and a class.

    A thing alone is large or small, at the left, right, top, bottom or centre; two
    things are of different colours, one above the other or side by side. All of this
    is equally likely. The class is all that every caption settles, so that no caption
    fits a scene of another class: of one thing its colour and shape, "red circle"; of
    two things both and which is where, "red circle above blue square" or "red circle
    left of blue square". Sizes, and the place of a thing alone, are no part of it.
    Among ``mixed`` scenes, "a red circle" is taken to mean that nothing else is there.

    With c colours and s shapes there are c s classes of one thing and 2 c (c - 1) s² of
    two; where scenes are mixed, those of one thing come first.

    Item i depends on the seed and on i alone: a smaller set is the beginning of a
    larger one. In the manner of ShapeWorld (Kuhnle and Copestake 2017); the scenes and
    the words are ours.

    Args:
        size: pixels a side
        items: number of scenes
        scenes: with one thing, with two, or half of each
        captions: different captions for each scene
        colours: the colours to use; two things need at least two
        shapes: the shapes to use
        seed: of the scenes

    Raises:
        ValueError: no colours or shapes, or some named twice, or two things in scenes
            of one colour.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Range(at_least=16, at_most=128)] = 32,
        items: Count = 20_000,
        scenes: Literal["one", "two", "mixed"] = "one",
        captions: Annotated[int, Range(at_least=1, at_most=MOST)] = 5,
        colours: tuple[Colour, ...] = COLOURS,
        shapes: tuple[Shape, ...] = SHAPES,
        seed: Whole = 0,
    ) -> None:
        _check_distinct("colours", colours)
        _check_distinct("shapes", shapes)
        if scenes != "one" and len(colours) < 2:
            raise ValueError(
                f"scenes = {scenes!r} holds two things of different colours, but "
                f'colours = {list(colours)}; name another, or set scenes to "one"'
            )
        self._size, self._seed = size, seed
        self._scenes, self._captions = scenes, captions
        self._items = range(items)
        self._kinds = [Kind(colour, shape) for colour in colours for shape in shapes]
        classes = single_classes(self._kinds) if scenes != "two" else []
        classes += pair_classes(self._kinds) if scenes != "one" else []
        self._labels = {name: label for label, name in enumerate(classes)}
        self.facts = Facts((3, size, size), label=Classes(classes), captions=Texts())

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        scene, captions = self._told(index)
        sample = draw_scene(scene.things, self._size)
        return Item(sample, label=self._labels[scene.class_name], captions=captions)

    def annotations(self, index: int) -> dict[str, Any]:
        """Return an item's label and captions without drawing it."""
        scene, captions = self._told(index)
        return {"label": self._labels[scene.class_name], "captions": captions}

    def _told(self, index: int) -> tuple[Single | Pair, tuple[str, ...]]:
        # the method random() of Python's generator is kept the same in all versions
        draw = random.Random(f"{self._seed}/{self._items[index]}").random
        scene = self._compose(draw)
        return scene, captions_of(scene, self._captions, draw)

    def _compose(self, draw: Draw) -> Single | Pair:
        single = draw() < 0.5 if self._scenes == "mixed" else self._scenes == "one"
        compose = compose_single if single else compose_pair
        return compose(draw, self._kinds)


def _check_distinct(option: str, names: tuple[str, ...]) -> None:
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"{option} = {list(names)}: name at least one, and each only once"
        )
