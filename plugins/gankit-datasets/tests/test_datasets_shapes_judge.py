"""Do verdicts on pictures of drawn scenes agree with how they were drawn?"""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from gankit_datasets.claims import Claim, Described, read_caption
from gankit_datasets.drawing import GROUND, draw_scene
from gankit_datasets.scenes import (
    COLOURS,
    SHAPES,
    Kind,
    Pair,
    PairClass,
    Single,
    SingleClass,
    Thing,
)
from gankit_datasets.shapes import DrawnShapes
from gankit_datasets.wording import MOST, captions_of

FEW = {"scenes": "two", "colours": COLOURS[:4], "shapes": SHAPES[:3], "captions": 8}
PLAIN = "a red circle above a blue square"
RED, BLUE = Kind("red", "circle"), Kind("blue", "square")


@pytest.fixture(autouse=True)
def _one_thread():
    """Pixels are too few to be shared among threads, which wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def shown(data: DrawnShapes, count: int) -> tuple[Tensor, list[str]]:
    """Return pictures of a set's first scenes, and one of the captions of each."""
    items = [data[index] for index in range(count)]
    captions = [item.annotations["captions"][i % 8] for i, item in enumerate(items)]
    return torch.stack([item.sample for item in items]), captions


def shares(verdicts: dict[str, Tensor]) -> dict[str, float]:
    """Return which part is right of what is told, by aspect."""
    told = {aspect: v[~v.isnan()] for aspect, v in verdicts.items()}
    return {aspect: v.mean().item() for aspect, v in told.items() if len(v)}


def verdict(*things: Thing, caption: str = PLAIN) -> dict[str, float]:
    """Judge one scene by one caption, by the aspects that it tells of."""
    picture = draw_scene(things, 32)[None]
    return shares(DrawnShapes(scenes="two").judge(picture, [caption]))


def placed(kind: Kind, x: float, y: float, radius: float = 0.2) -> Thing:
    """Return a large thing."""
    return Thing(kind, "large", x, y, radius)


ABOVE, BELOW = placed(RED, 0.5, 0.25), placed(BLUE, 0.5, 0.75)


@pytest.mark.parametrize(("scenes", "size"), [("one", 32), ("two", 32), ("mixed", 64)])
def test_scenes_are_as_their_own_captions_say(scenes, size):
    """Of all colours and shapes at least 99.5 %, in every aspect."""
    data = DrawnShapes(scenes=scenes, size=size, captions=8).splits["test"]()
    right = shares(data.judge(*shown(data, 400)))
    aspects = {"colour", "shape", "size", "all"}
    aspects |= {"place"} if scenes != "two" else set()
    aspects |= {"relation"} if scenes != "one" else set()
    assert right.keys() == aspects
    assert min(right.values()) >= 0.995


def test_captions_of_other_scenes_are_right_by_chance():
    """Two of 4 colours, each of 3 shapes, above or beside: derived by hand.

    Both scenes have the same two colours with probability 1/6, one in common with 4/6,
    none with 1/6. Things are matched by colour where any is shared, and then each shape
    is right with 1/3. Where none is, the better match of shapes counts: both are right
    if (a, b) is (c, d) or (d, c), which is 1/9 + 1/9 - 1/27 = 5/27. The relation of
    matched things is right with 1/4; where no colour is shared and both matches are
    equal in shapes (a = b or c = d, 5/9), the better one counts, 1/2. Sizes are right
    with 1/4, but where neither colours, shapes nor the relation decide (1/6 5/9 1/2)
    with 1/4 + 1/4 - 1/8. Four standard deviations are allowed.
    """
    data = DrawnShapes(**FEW)
    pictures, captions = shown(data, 2000)
    verdicts = data.judge(pictures, captions[1:] + captions[:1])
    tie = 1 / 6 * 5 / 9
    chance = {
        "colour": 1 / 6,
        "shape": 5 / 6 * 1 / 9 + 1 / 6 * 5 / 27,
        "relation": 1 / 4 + tie * (1 / 2 - 1 / 4),
        "size": 1 / 4 + tie / 2 * (3 / 8 - 1 / 4),
    }
    for aspect, share in chance.items():
        told = verdicts[aspect][~verdicts[aspect].isnan()]
        spread = (share * (1 - share) / len(told)) ** 0.5
        assert abs(told.mean() - share) < 4 * spread
    assert verdicts["all"].mean() < 0.01  # the class alone is right with 1/216


def test_all_is_right_where_every_aspect_is_that_is_told():
    """And aspects of which a caption tells nothing are NaN."""
    data = DrawnShapes(**FEW)
    pictures, captions = shown(data, 300)
    verdicts = data.judge(pictures, captions[:150] + captions[:150])
    whole = verdicts.pop("all")
    rows = torch.stack([*verdicts.values()], 1)
    assert torch.equal(whole, rows.nan_to_num(1.0).min(1).values)
    sized = torch.tensor(["large" in c or "big" in c for c in captions[:150] * 2])
    sized |= torch.tensor(["small" in c or "little" in c for c in captions[:150] * 2])
    assert torch.equal(~verdicts["size"].isnan(), sized)
    assert verdicts["place"].isnan().all()
    assert not torch.stack([verdicts["colour"], verdicts["relation"]]).isnan().any()


RIGHT = {"colour": 1, "shape": 1, "relation": 1, "all": 1}
WRONG = dict.fromkeys(RIGHT, 0)


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        ((ABOVE, BELOW), RIGHT),
        # another shape, another colour, shapes swapped, places swapped, side by side
        (
            (attrs.evolve(ABOVE, kind=Kind("red", "square")), BELOW),
            {**RIGHT, "shape": 0, "all": 0},
        ),
        (
            (attrs.evolve(ABOVE, kind=Kind("yellow", "circle")), BELOW),
            {**RIGHT, "colour": 0, "all": 0},
        ),
        (
            (
                attrs.evolve(ABOVE, kind=Kind("red", "square")),
                attrs.evolve(BELOW, kind=Kind("blue", "circle")),
            ),
            {**RIGHT, "shape": 0, "all": 0},
        ),
        (
            (attrs.evolve(ABOVE, y=0.75), attrs.evolve(BELOW, y=0.25)),
            {**RIGHT, "relation": 0, "all": 0},
        ),
        (
            (placed(RED, 0.25, 0.5), placed(BLUE, 0.75, 0.5)),
            {**RIGHT, "relation": 0, "all": 0},
        ),
        # a thing is missing, both are, a third is there: of another colour or the same
        ((ABOVE,), WRONG),
        ((), WRONG),
        ((ABOVE, BELOW, placed(Kind("green", "star"), 0.85, 0.5, 0.14)), WRONG),
        ((ABOVE, BELOW, placed(Kind("blue", "star"), 0.85, 0.4, 0.14)), WRONG),
        # and what is of no shape
        ((placed(RED, 0.2, 0.2, 0.15), placed(RED, 0.6, 0.2, 0.15), BELOW), WRONG),
    ],
)
def test_what_is_wrong_is_told_by_aspect(things, expected):
    """Scenes drawn with one fault each, for the caption of a red circle."""
    assert verdict(*things) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a small red circle on the left", {"size": 1, "place": 1, "all": 1}),
        ("a large red circle on the left", {"size": 0, "place": 1, "all": 0}),
        ("in the middle there is a little red disc", {"size": 1, "place": 0, "all": 0}),
        ("a red disc near the top", {"place": 0, "all": 0}),
    ],
)
def test_size_and_place_of_a_thing_alone(caption, expected):
    """A small red circle at the left edge."""
    seen = verdict(placed(RED, 0.195, 0.5, 0.15), caption=caption)
    assert seen == {"colour": 1, "shape": 1, **expected}


def blurred(pictures: Tensor, times: int) -> Tensor:
    """Average each pixel with its neighbours, so many times."""
    soft = pictures.float()
    for _ in range(times):
        soft = avg_pool2d(pad(soft, (1, 1, 1, 1), "replicate"), 3, 1)
    return soft.round().to(torch.uint8)


def noisy(pictures: Tensor, spread: float) -> Tensor:
    """Add normal noise to every channel of every pixel."""
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    return (pictures + spread * noise).round().clamp(0, 255).to(torch.uint8)


def test_verdicts_bear_some_blur_and_noise_and_not_any():
    """What an eye can still tell is right; then fewer and fewer are."""
    data = DrawnShapes(**FEW)
    pictures, captions = shown(data, 200)
    for doctored, amounts in ((blurred, (0, 1, 4, 12)), (noisy, (0, 24, 64, 120))):
        right = [
            shares(data.judge(doctored(pictures, amount), captions))["all"]
            for amount in amounts
        ]
        assert right[1] > 0.95
        assert right == sorted(right, reverse=True)
        assert right[3] < 0.2


def test_what_fades_into_the_ground_is_no_longer_there():
    """Pictures of a third of their contrast show nothing."""
    data = DrawnShapes(**FEW)
    pictures, captions = shown(data, 50)
    ground = torch.tensor(GROUND).view(3, 1, 1)
    faint = ground + (pictures - ground.float()) / 3
    verdicts = data.judge(faint.round().to(torch.uint8), captions)
    assert verdicts["all"].sum() == 0


def claims_of(scene: Single | Pair) -> tuple[Claim, ...]:
    """Return what may truly be said of a scene: with and without sizes and place."""
    sized = tuple(Described(t.kind.colour, t.kind.shape, t.size) for t in scene.things)
    bare = tuple(attrs.evolve(described, size=None) for described in sized)
    if isinstance(scene, Pair):
        return tuple(Claim(told, upright=scene.upright) for told in (sized, bare))
    return tuple(
        Claim(told, place=place)
        for told in (sized, bare)
        for place in (None, scene.place)
    )


def test_captions_are_read_as_they_are_said():
    """All wordings of many scenes; sizes and places are read where they are named."""
    draw = random.Random(0).random
    kinds = [Kind(colour, shape) for colour in COLOURS for shape in SHAPES]
    classes: Sequence[SingleClass | PairClass] = [
        *map(SingleClass, kinds),
        *(PairClass(kinds[i], kinds[(7 * i + 5) % 40], i % 2 == 0) for i in range(40)),
    ]
    read = set()
    for told in classes:
        scene = told.compose(draw)
        for caption in captions_of(scene, MOST, draw):
            claim = read_caption(caption)
            assert claim in claims_of(scene)
            sized = any(
                w in caption.split() for w in ("large", "big", "small", "little")
            )
            assert (claim.things[0].size is not None) == sized
            read.add((len(claim.things), sized, claim.place is not None))
    assert len(read) == 6


@pytest.mark.parametrize(
    ("captions", "shape", "dtype", "reason"),
    [
        (["two red circles"], (1, 3, 32, 32), torch.uint8, "'two red circles' is none"),
        (["a red circle"], (1, 3, 16, 16), torch.uint8, r"give uint8 .* 32, 32\)"),
        (["a red circle"], (2, 3, 32, 32), torch.uint8, r"give uint8 .*\(1, 3"),
        (["a red circle"], (1, 3, 32, 32), torch.float32, "torch.float32 cannot be"),
    ],
)
def test_what_cannot_be_judged_is_refused(captions, shape, dtype, reason):
    """With the value, the reason and the next move."""
    with pytest.raises(ValueError, match=reason):
        DrawnShapes().judge(torch.zeros(shape, dtype=dtype), captions)
