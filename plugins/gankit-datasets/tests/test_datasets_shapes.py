"""Drawn scenes: are their captions true, and do their classes tell them apart?

The captions are read here by an own parser, the pictures with the colours that
cascading style sheets give the colour words.
"""

from __future__ import annotations

import pickle
import random
import re
from collections import Counter, defaultdict

import pytest
import torch
from PIL import ImageColor

from gankit.data.reading import read_data
from gankit_datasets.scenes import (
    COLOURS,
    SHAPES,
    Kind,
    pick_pair,
    pick_single,
)
from gankit_datasets.shapes import DrawnShapes

NAMED = {word: torch.tensor(ImageColor.getrgb(word)) for word in COLOURS}
NOUNS = {"disc": "circle", "box": "square", "plus": "cross"} | {s: s for s in SHAPES}
SIZES = {"large": "large", "big": "large", "small": "small", "little": "small"}
THING = re.compile(
    rf"\ban? (?:({'|'.join(SIZES)}) )?({'|'.join(COLOURS)}) ({'|'.join(NOUNS)})\b"
)
PLACES = {"left": 0, "right": 0, "top": 1, "bottom": 1, "centre": None, "middle": None}
# is the thing named first to be seen at a smaller x, larger x, smaller y or larger y?
RELATIONS = {
    "left of": (0, -1),
    "right of": (0, 1),
    "above": (1, -1),
    "over": (1, -1),
    "below": (1, 1),
    "under": (1, 1),
}


@pytest.fixture(autouse=True)
def _one_thread():
    """Pixels are too few to be shared among threads, which wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def things_in(caption: str) -> list[tuple[str | None, str, str]]:
    """Parse (size, colour, shape) of each thing that a caption names, in order."""
    return [
        (SIZES.get(size), colour, NOUNS[noun])
        for size, colour, noun in THING.findall(caption)
    ]


def coverage(sample: torch.Tensor, colour: str) -> torch.Tensor:
    """Return (H, W): which pixels belong to the shape of one colour.

    Pixels within a shape have exactly the colour of their neighbours; the others are
    counted with it where they are nearer to that colour than to the ground.
    """
    pixels = sample.permute(1, 2, 0).int()  # (H, W, 3)
    code = (pixels << torch.tensor([16, 8, 0])).sum(-1)
    even = (code[:-1, :-1] == code[:-1, 1:]) & (code[:-1, :-1] == code[1:, :-1])
    shades = [
        torch.tensor([shade >> 16, shade >> 8 & 255, shade & 255])
        for shade in code[:-1, :-1][even].unique().tolist()
        if shade != code[0, 0]
    ]
    [own] = [shade for shade in shades if nearest(shade) == colour]
    ground = pixels[0, 0]
    part = ((pixels - ground) * (own - ground)).sum(-1) / ((own - ground) ** 2).sum()
    mixed = ground + part[..., None] * (own - ground)
    return (part > 0.5) & ((mixed - pixels).abs().amax(-1) < 8)


def nearest(pixel: torch.Tensor) -> str:
    """Return the colour word whose usual colour is nearest."""
    return min(NAMED, key=lambda word: ((NAMED[word] - pixel) ** 2).sum().item())


def box(mask: torch.Tensor) -> tuple[int, int, int, int]:
    """Return the first and the last column and row of a mask."""
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    return columns[0].item(), columns[-1].item(), rows[0].item(), rows[-1].item()


def shape_of(mask: torch.Tensor) -> str:
    """Tell a shape by the part of its box that it fills, and by its ends.

    Filled: square 1, circle π/4, cross 0.54, triangle ½, star 0.38.
    """
    left, right, top, bottom = box(mask)
    inside = mask[top : bottom + 1, left : right + 1].float()
    filled, foot = inside.mean().item(), inside[-1].mean().item()
    if filled > 0.92:
        return "square"
    if filled > 0.68:
        return "circle"
    if foot > 0.8:
        return "triangle"
    return "cross" if filled > 0.46 else "star"


def extent(mask: torch.Tensor) -> float:
    """Return the larger side of a shape's box as a part of the picture."""
    left, right, top, bottom = box(mask)
    return max(right - left + 1, bottom - top + 1) / mask.shape[0]


def centre(mask: torch.Tensor) -> tuple[float, float]:
    """Return the middle of a shape's box as parts of the picture."""
    left, right, top, bottom = box(mask)
    side = mask.shape[0]
    return (left + right + 1) / 2 / side, (top + bottom + 1) / 2 / side


def check_place(caption: str, mask: torch.Tensor) -> None:
    """Check what a caption says of the place of its only thing."""
    [place] = [word for word in PLACES if re.search(rf"\b{word}\b", caption)] or [None]
    x, y = centre(mask)
    if place in ("left", "top"):
        assert (x, y)[PLACES[place]] < 0.38
        assert abs((x, y)[1 - PLACES[place]] - 0.5) < 0.1
    elif place in ("right", "bottom"):
        assert (x, y)[PLACES[place]] > 0.62
        assert abs((x, y)[1 - PLACES[place]] - 0.5) < 0.1
    elif place:
        assert max(abs(x - 0.5), abs(y - 0.5)) < 0.1


def check_relation(caption: str, masks: list[torch.Tensor]) -> None:
    """Check which of two things is where: their boxes do not overlap that way."""
    [relation] = [word for word in RELATIONS if re.search(rf"\b{word}\b", caption)]
    axis, sign = RELATIONS[relation]
    if " with " in caption:  # "a box with a disc above it": the second is above
        sign = -sign
    first, second = (box(mask)[2 * axis : 2 * axis + 2] for mask in masks)
    if sign < 0:
        assert first[1] < second[0]
    else:
        assert second[1] < first[0]
    across = [centre(mask)[1 - axis] for mask in masks]
    assert abs(across[0] - across[1]) < 0.15


@pytest.mark.parametrize("scenes", ["one", "two", "mixed"])
def test_every_caption_is_true_of_its_picture(scenes):
    """Colours, shapes, sizes, places and relations; and nothing else is drawn."""
    data = DrawnShapes(scenes=scenes, size=128, captions=8, seed=5)
    counts = set()
    for index in range(100):
        item = data[index]
        colours = {
            colour for _, colour, _ in things_in(item.annotations["captions"][0])
        }
        drawn = {colour: coverage(item.sample, colour) for colour in colours}
        for caption in item.annotations["captions"]:
            named = things_in(caption)
            counts.add(len(named))
            masks = [drawn[colour] for _, colour, _ in named]
            for (size, _, shape), mask in zip(named, masks, strict=True):
                assert shape_of(mask) == shape, caption
                assert size in (None, "large" if extent(mask) > 0.335 else "small")
            if len(named) == 1:
                check_place(caption, masks[0])
            else:
                check_relation(caption, masks)
        # edges apart, whatever is in no named shape is ground
        distance = (item.sample.int() - item.sample[:, :1, :1].int()).abs().amax(0)
        assert not (distance[~sum(drawn.values()).bool()] > 130).any()
    assert counts == {"one": {1}, "two": {2}, "mixed": {1, 2}}[scenes]


@pytest.mark.parametrize("size", [32, 64])
def test_a_smaller_picture_is_a_larger_one_seen_from_afar(size):
    """So that what is true of 128 pixels is true of all sizes."""
    large, small = (DrawnShapes(scenes="mixed", size=side) for side in (128, size))
    for index in range(50):
        pixels = large[index].sample.float()
        averaged = torch.nn.functional.avg_pool2d(pixels, 128 // size)
        difference = (averaged - small[index].sample).abs()
        assert difference.mean() < 4
        assert large[index].annotations == small[index].annotations


def test_small_pictures_show_their_colours():
    """Of everything named some pixels have its colour, unmixed with the ground."""
    for size, least in ((16, 1), (32, 4)):
        data = DrawnShapes(scenes="mixed", size=size)
        for index in range(200):
            item = data[index]
            pixels = item.sample.flatten(1).T.int()  # (H W, 3)
            bright = pixels[(pixels - pixels[0]).abs().amax(1) > 140].tolist()
            seen = Counter()
            for shade, count in Counter(map(tuple, bright)).items():
                seen[nearest(torch.tensor(shade))] += count
            for _, colour, _ in things_in(item.annotations["captions"][0]):
                assert seen[colour] >= least


@pytest.mark.parametrize("scenes", ["one", "two", "mixed"])
def test_no_caption_fits_scenes_of_two_classes(scenes):
    """What is said settles the class, and equal words mean equal classes."""
    data = DrawnShapes(scenes=scenes, captions=8)
    meanings = defaultdict(set)
    for index in range(4000):
        label, captions = data.annotations(index).values()
        for caption in captions:
            meanings[caption].add(label)
    assert len(meanings) > 500
    assert all(len(labels) == 1 for labels in meanings.values())


def class_told_by(caption: str) -> str:
    """Read a caption: the only thing, or the upper or left one and what is below it."""
    told = [f"{colour} {shape}" for _, colour, shape in things_in(caption)]
    if len(told) == 1:
        return told[0]
    [relation] = [word for word in RELATIONS if re.search(rf"\b{word}\b", caption)]
    axis, sign = RELATIONS[relation]
    if (sign > 0) != (" with " in caption):  # the one named second is above, or left
        told.reverse()
    return (" left of ", " above ")[axis].join(told)


@pytest.mark.parametrize("scenes", ["one", "two", "mixed"])
def test_every_caption_settles_the_class(scenes):
    """Whoever reads one of a scene's captions can tell its class and no other."""
    data = DrawnShapes(scenes=scenes, captions=8)
    for index in range(1000):
        label, captions = data.annotations(index).values()
        told = {class_told_by(caption) for caption in captions}
        assert told == {data.facts.annotations["label"].names[label]}


def test_the_classes_are_all_that_can_be_told_apart():
    """By hand, in order: the things alone, then each pair above and beside."""
    data = DrawnShapes(colours=("cyan", "red"), shapes=("star",), scenes="mixed")
    alone = ("cyan star", "red star")
    pairs = (
        "cyan star above red star",
        "cyan star left of red star",
        "red star above cyan star",
        "red star left of cyan star",
    )
    assert data.facts.annotations["label"].names == alone + pairs
    seen = {
        data.facts.annotations["label"].names[data.annotations(index)["label"]]
        for index in range(200)
    }
    assert seen == {*alone, *pairs}


@pytest.mark.parametrize(
    ("scenes", "classes"),
    [("one", 12), ("two", 12 * 9 * 2), ("mixed", 12 + 12 * 9 * 2)],
)
def test_classes_are_as_many_as_things_and_pairs(scenes, classes):
    """4 colours of 3 shapes: 12 things, and beside each one 9 of another colour."""
    data = DrawnShapes(
        colours=COLOURS[:4], shapes=("circle", "square", "triangle"), scenes=scenes
    )
    assert (
        len(data.facts.annotations["label"].names)
        == len(set(data.facts.annotations["label"].names))
        == classes
    )


def test_another_class_may_agree_in_either_thing():
    """A wrong text is not betrayed by the first thing alone, nor by the second.

    Of 4 colours and 3 shapes, 9 pairs begin with a given thing, each above and beside:
    18 of 216 classes. Of the 215 others 17 agree in the first thing, and by symmetry
    17 in the second. All classes are equally likely; 4 standard deviations are allowed.
    """
    data = DrawnShapes(
        items=5000,
        scenes="two",
        captions=1,
        colours=COLOURS[:4],
        shapes=("circle", "square", "triangle"),
    )
    read = read_data(data, device=torch.device("cpu"), mode="streamed")
    read.reads = "captions"
    rng = torch.Generator().manual_seed(0)
    strangers = read.strangers(torch.arange(5000), rng)
    things = [
        re.split(" above | left of ", data.facts.annotations["label"].names[label])
        for label in read.annotations["label"].tolist()
    ]
    share = 17 / 215
    spread = (share * (1 - share) / 5000) ** 0.5
    for place in (0, 1):
        agree = sum(
            things[own][place] == things[other][place]
            for own, other in enumerate(strangers.tolist())
        )
        assert abs(agree / 5000 - share) < 4 * spread
    assert not (read.annotations["label"] == read.annotations["label"][strangers]).any()


def test_captions_of_a_scene_are_distinct_and_short():
    """As many as asked for, none longer than the 201 letters of Reed et al. 2016."""
    for scenes in ("one", "two"):
        for count in (1, 5, 8):
            data = DrawnShapes(scenes=scenes, captions=count)
            for index in range(300):
                captions = data.annotations(index)["captions"]
                assert len(captions) == len(set(captions)) == count
                assert max(map(len, captions)) <= 201


def test_articles_agree():
    """An orange star, but a large orange star."""
    data = DrawnShapes(scenes="mixed", captions=8)
    text = " ".join(
        " ".join(data.annotations(index)["captions"]) for index in range(500)
    )
    assert "an orange" in text
    assert not re.search(r"\ba [aeio]|\ban [^aeio]", text)


def chi_square(counts: Counter, options: int) -> float:
    """Return the statistic of equal probabilities."""
    expected = counts.total() / options
    unseen = options - len(counts)
    return sum((n - expected) ** 2 / expected for n in counts.values()) + (
        unseen * expected
    )


@pytest.mark.parametrize(
    ("scenes", "classes", "quantile"), [("one", 12, 37.4), ("two", 216, 300.7)]
)
def test_classes_are_equally_likely(scenes, classes, quantile):
    """Chi-square of all classes, 99.99 % quantiles."""
    data = DrawnShapes(
        scenes=scenes, colours=COLOURS[:4], shapes=("circle", "square", "triangle")
    )
    counts = Counter(data.annotations(index)["label"] for index in range(6000))
    assert chi_square(counts, classes) < quantile


def test_half_of_mixed_scenes_have_one_thing():
    """Within 4 standard deviations; the things alone are equally likely too."""
    data = DrawnShapes(scenes="mixed")
    counts = Counter(data.annotations(index)["label"] for index in range(6000))
    alone = Counter({label: n for label, n in counts.items() if label < 40})
    assert abs(alone.total() - 3000) < 4 * (6000 / 4) ** 0.5
    assert chi_square(alone, 40) < 80.6  # 99.99 % quantile


def test_sizes_places_and_directions_are_equally_likely():
    """Chi-square of their combinations, 99.99 % quantiles for 10 and for 8."""
    draw = random.Random(0).random
    kinds = [Kind(colour, "circle") for colour in ("red", "blue")]
    singles = [pick_single(draw, kinds).compose(draw) for _ in range(5000)]
    counts = Counter((scene.thing.size, scene.place) for scene in singles)
    assert chi_square(counts, 10) < 33.7
    pairs = [pick_pair(draw, kinds).compose(draw) for _ in range(5000)]
    counts = Counter(
        (scene.first.size, scene.second.size, scene.upright) for scene in pairs
    )
    assert chi_square(counts, 8) < 29.9


def test_things_stay_in_the_picture_and_apart():
    """Boxes lie within the picture; those of a pair do not overlap."""
    draw = random.Random(0).random
    kinds = [Kind(colour, shape) for colour in COLOURS for shape in SHAPES]
    for _ in range(2000):
        pair = pick_pair(draw, kinds).compose(draw)
        for thing in (*pick_single(draw, kinds).compose(draw).things, *pair.things):
            assert thing.radius <= min(thing.x, thing.y, 1 - thing.x, 1 - thing.y)
        a, b = pair.things
        gap = max(abs(a.x - b.x), abs(a.y - b.y)) - a.radius - b.radius
        assert gap > 0
        assert a.kind.colour != b.kind.colour


def test_every_large_thing_is_larger_than_every_small_one():
    """Alone or in a pair, so that the words mean the same everywhere."""
    draw = random.Random(0).random
    kinds = [Kind(colour, "star") for colour in COLOURS]
    radii = defaultdict(list)
    for _ in range(2000):
        for scene in (
            pick_single(draw, kinds).compose(draw),
            pick_pair(draw, kinds).compose(draw),
        ):
            for thing in scene.things:
                radii[thing.size].append(thing.radius)
    assert max(radii["small"]) * 1.1 < min(radii["large"])


def same(one, other) -> bool:
    """Whether two items are equal in everything."""
    return torch.equal(one.sample, other.sample) and (
        one.annotations == other.annotations
    )


def test_an_item_depends_on_the_seed_and_its_index_alone():
    """Neither on order, nor on pickling, nor on how many there are."""
    data = DrawnShapes(scenes="mixed", items=50)
    backwards = [data[index] for index in reversed(range(50))][::-1]
    copy = pickle.loads(pickle.dumps(data))
    longer = DrawnShapes(scenes="mixed", items=99)
    for index, item in enumerate(data):
        assert same(item, backwards[index])
        assert same(item, copy[index])
        assert same(item, longer[index])
        assert data.annotations(index) == item.annotations
    assert len(pickle.dumps(longer)) == len(pickle.dumps(data))
    other = DrawnShapes(scenes="mixed", items=50, seed=1)
    assert not any(same(data[i], other[i]) for i in range(50))


def test_the_scenes_of_a_seed_never_change():
    """Recipes and published numbers rest on them."""
    label, captions = DrawnShapes().annotations(0).values()
    assert (label, captions) == (
        13,
        (
            "a picture of a blue star",
            "there is a blue star in the middle",
            "a blue star in the centre",
            "a little blue star in the middle",
            "a little blue star",
        ),
    )
    label, captions = (
        DrawnShapes(scenes="two", seed=7, captions=2).annotations(123).values()
    )
    # the star is the 9th kind, the cross the 25th that is not green, beside is 2nd
    assert (label, captions) == (
        8 * 35 * 2 + 24 * 2 + 1,
        (
            "a big green star to the left of a big orange cross",
            "there is a green star left of an orange plus",
        ),
    )


@pytest.mark.parametrize(("scenes", "count"), [("one", 4), ("two", 24), ("mixed", 24)])
def test_withheld_classes_never_occur_and_their_parts_all_do(scenes, count):
    """Of each class withheld, every colour, shape and relation is seen at its place."""
    options = {"colours": COLOURS[:4], "shapes": SHAPES[:3], "scenes": scenes}
    data = DrawnShapes(**options, withhold=count, items=6000)
    names = data.facts.annotations["label"].names
    assert names == DrawnShapes(**options).facts.annotations["label"].names
    trained = {names[data.annotations(index)["label"]] for index in range(6000)}
    unseen = data.splits["unseen"]()
    assert unseen.facts == data.facts
    withheld = {names[unseen.annotations(i)["label"]] for i in range(2000)}
    assert len(withheld) == count
    assert not withheld & trained
    assert withheld | trained == set(names)
    for name in withheld:
        # "red circle above ...", "... above red circle"; alone, "red circle"
        for place, word in enumerate(name.split()):
            assert any(
                len(other.split()) == len(name.split()) and other.split()[place] == word
                for other in trained
            )


def test_fewer_withheld_classes_are_among_more():
    """What is left in both is the same; another seed withholds others."""
    some, more, other = (
        {
            data.annotations(index)["label"]
            for data in [DrawnShapes(withhold=count, seed=seed).splits["unseen"]()]
            for index in range(300)
        }
        for count, seed in ((3, 0), (6, 0), (3, 1))
    )
    assert some < more
    assert some != other
    whole, less = DrawnShapes(), DrawnShapes(withhold=6)
    for index in range(200):
        if whole.annotations(index)["label"] not in more:
            assert same(whole[index], less[index])


def test_splits_are_other_scenes_of_the_same_classes():
    """5,000 each, that only the seed and the options of scenes decide."""
    options = {"scenes": "two", "captions": 2, "size": 16, "seed": 3}
    data = DrawnShapes(**options, withhold=2, items=20)
    assert set(data.splits) == {"test", "unseen"}
    assert set(DrawnShapes().splits) == {"test"}
    sets = [data, *(build() for build in data.splits.values())]
    assert [len(each) for each in sets] == [20, 5000, 5000]
    assert not sets[1].splits
    assert torch.equal(sets[1][7].sample, data.splits["test"]()[7].sample)
    shorter = DrawnShapes(**options, withhold=2, items=5).splits["test"]()
    assert torch.equal(sets[1][7].sample, shorter[7].sample)
    drawn = {each[i].sample.numpy().tobytes() for each in sets for i in range(20)}
    assert len(drawn) == 60
    seen = {sets[1].annotations(index)["label"] for index in range(5000)}
    unseen = {sets[2].annotations(index)["label"] for index in range(100)}
    assert len(unseen) == 2
    assert not seen & unseen


def test_the_global_generators_are_left_alone():
    """Drawing scenes does not move anybody's randomness."""
    random.seed(0)
    torch.manual_seed(0)
    DrawnShapes()[0]
    state = random.getstate()
    random.seed(0)
    assert random.getstate() == state
    assert torch.initial_seed() == 0
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize("size", [16, 33, 128])
def test_facts_and_items_agree(size):
    """Colour pictures of any size, captioned, with a label below the classes."""
    data = DrawnShapes(size=size, items=3)
    assert data.facts.sample_shape == (3, size, size)
    assert data.facts.sample_range is None
    assert "captions" in data.facts.annotations
    items = list(data)
    assert len(items) == len(data) == 3
    for item in items:
        assert item.sample.shape == (3, size, size)
        assert item.sample.dtype == torch.uint8
        assert 0 <= item.annotations["label"] < 40
        assert len(item.annotations["captions"]) == 5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"colours": ()}, r"colours = \[\]: name at least one"),
        ({"shapes": ("star", "star")}, "each only once"),
        ({"colours": ("red",), "scenes": "two"}, r"colours = \['red'\]; name another"),
        ({"colours": ("red",), "scenes": "mixed"}, 'scenes to "one"'),
        # of red circle and red square, blue circle and blue square, one each may go
        (
            {
                "colours": ("red", "blue"),
                "shapes": ("circle", "square"),
                "withhold": 3,
            },
            "withhold = 3 leaves some .* of these 4 classes 2 can be withheld",
        ),
    ],
)
def test_impossible_scenes_are_refused(options, reason):
    """With the value, the reason and the next move."""
    with pytest.raises(ValueError, match=reason):
        DrawnShapes(**options)
