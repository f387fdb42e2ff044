"""Drawn scenes of coloured shapes with captions, made from a seed: no download."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from gankit import Classes, Count, Facts, Item, Range, Texts, Whole
from gankit_datasets.drawing import draw_scene
from gankit_datasets.judging import judge
from gankit_datasets.scenes import (
    COLOURS,
    SHAPES,
    Colour,
    Draw,
    Kind,
    Pair,
    PairClass,
    Shape,
    Single,
    SingleClass,
    pair_classes,
    pick,
    pick_pair,
    pick_single,
    single_classes,
)
from gankit_datasets.wording import MOST, captions_of

_HELD_OUT = 5000  # scenes of a split

SceneClass = SingleClass | PairClass


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

    With ``withhold`` some classes never occur, drawn from the seed; every colour and
    every shape still occurs at its place, alone, first or second, and so do both
    relations. Labels count all classes, withheld or not. 5,000 scenes each are held
    out: ``splits["test"]`` has new ones of the classes that occur; where classes are
    withheld, ``splits["unseen"]`` has scenes of these alone, all equally likely.

    Args:
        size: pixels a side
        items: number of scenes
        scenes: with one thing, with two, or half of each
        captions: different captions for each scene
        colours: the colours to use; two things need at least two
        shapes: the shapes to use
        withhold: classes that never occur, so many, to try combinations never seen
        seed: of the scenes

    Raises:
        ValueError: no colours or shapes, or some named twice, or two things in scenes
            of one colour; so many classes cannot be withheld.
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
        withhold: Whole = 0,
        seed: Whole = 0,
    ) -> None:
        _check_distinct("colours", colours)
        _check_distinct("shapes", shapes)
        if scenes != "one" and len(colours) < 2:
            raise ValueError(
                f"scenes = {scenes!r} holds two things of different colours, but "
                f'colours = {list(colours)}; name another, or set scenes to "one"'
            )
        self._size, self._stream = size, str(seed)
        self._scenes, self._captions = scenes, captions
        self._items = range(items)
        self._kinds = [Kind(colour, shape) for colour in colours for shape in shapes]
        classes: list[SceneClass] = []
        classes += single_classes(self._kinds) if scenes != "two" else []
        classes += pair_classes(self._kinds) if scenes != "one" else []
        self._labels = {each: label for label, each in enumerate(classes)}
        self._withheld = _withheld(classes, withhold, seed)
        self._only: tuple[SceneClass, ...] = ()  # classes of the split "unseen"
        names = list(map(str, classes))
        self.facts = Facts((3, size, size), label=Classes(names), captions=Texts())
        again: dict[str, Any] = {
            "size": size,
            "scenes": scenes,
            "captions": captions,
            "colours": colours,
            "shapes": shapes,
            "withhold": withhold,
            "seed": seed,
        }
        others = ("test", "unseen") if withhold else ("test",)
        self.splits = {name: partial(_split, name, again) for name in others}

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        told, scene, captions = self._told(index)
        sample = draw_scene(scene.things, self._size)
        return Item(sample, label=self._labels[told], captions=captions)

    def annotations(self, index: int) -> dict[str, Any]:
        """Return an item's label and captions without drawing it."""
        told, _, captions = self._told(index)
        return {"label": self._labels[told], "captions": captions}

    def judge(self, samples: Tensor, captions: Sequence[str]) -> dict[str, Tensor]:
        """Tell whether pictures show what captions ask for, as far as those tell.

        Nothing is trained: how scenes are drawn is known, so pixels are explained by
        the palette, and what is of one colour by drawings of the shapes. The things of
        a caption are matched with those of its picture by colour, then by shape, by
        the relation, and by size. A picture with more things than asked for, or fewer,
        or with one that is of no shape, is wrong in all aspects.

        Args:
            samples: uint8 (B, 3, S, S), of this set's size.
            captions: B texts, in the words of this data set.

        Returns:
            by aspect ("colour", "shape", "size", "place", "relation", and "all" for
            the whole caption), float (B,): 1 where it is right, 0 where it is wrong,
            NaN where the caption tells nothing of it.

        Raises:
            ValueError: a caption is said in other words, or the samples are no
                pictures of this size, or not as many as captions.
        """
        expected = (len(captions), *self.facts.sample_shape)
        if samples.dtype != torch.uint8 or tuple(samples.shape) != expected:
            raise ValueError(
                f"samples of shape {tuple(samples.shape)} and {samples.dtype} cannot "
                f"be judged; give uint8 pictures of shape {expected}"
            )
        return judge(samples.cpu(), captions)

    def _told(self, index: int) -> tuple[SceneClass, Single | Pair, tuple[str, ...]]:
        # the method random() of Python's generator is kept the same in all versions
        draw = random.Random(f"{self._stream}/{self._items[index]}").random
        told = pick(draw, self._only) if self._only else self._pick(draw)
        scene = told.compose(draw)
        return told, scene, captions_of(scene, self._captions, draw)

    def _pick(self, draw: Draw) -> SceneClass:
        """Choose a class that is not withheld."""
        while True:
            single = draw() < 0.5 if self._scenes == "mixed" else self._scenes == "one"
            choose = pick_single if single else pick_pair
            if (told := choose(draw, self._kinds)) not in self._withheld:
                return told


def _split(name: str, options: dict[str, Any]) -> DrawnShapes:
    """Build what a data set of these options holds out."""
    data = DrawnShapes(items=_HELD_OUT, **options)
    data._stream = f"{data._stream}/{name}"
    if name == "unseen":
        data._only = tuple(each for each in data._labels if each in data._withheld)
    data.splits = {}
    return data


def _withheld(
    classes: list[SceneClass], count: int, seed: int
) -> frozenset[SceneClass]:
    """Draw classes to withhold, whose every trait other classes still have.

    One class after the other, in an order of the seed, is withheld if it can be; so
    what is withheld of fewer is withheld of more too.
    """
    draw = random.Random(f"{seed}/withhold").random
    left = Counter(trait for each in classes for trait in each.traits)
    chosen: list[SceneClass] = []
    for each in sorted(classes, key=lambda _: draw()):
        if len(chosen) < count and all(left[trait] > 1 for trait in each.traits):
            left.subtract(each.traits)
            chosen.append(each)
    if len(chosen) < count:
        raise ValueError(
            f"withhold = {count} leaves some colour, shape or relation out of all "
            f"scenes: of these {len(classes)} classes {len(chosen)} can be withheld; "
            "withhold fewer, or name more colours or shapes"
        )
    return frozenset(chosen)


def _check_distinct(option: str, names: tuple[str, ...]) -> None:
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"{option} = {list(names)}: name at least one, and each only once"
        )
