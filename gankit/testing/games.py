"""In which games a part is tried: recipes, the plainest first.

A part plays with the kit's doubles on random pictures. One that cannot, as a network
for points, or a loss that looks at the extras of its own discriminator, is tried on
samples of other shapes, without conditions, and with its own plugin's parts, until it
can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, get_args

from gankit.plugins.registry import Entry
from gankit.testing.partners import Extra

Table = dict[str, Any]

SHAPES = (
    (3, 16, 16),
    (1, 28, 28),
    (3, 32, 32),
    (1, 32, 32),
    (3, 64, 64),
    (1, 64, 64),
    (3, 128, 128),
    (2,),
    (2, 16),
)
_FEW = ((3, 16, 16), (2,))  # for who does not look at shapes
_WIDE = {"size": 128}  # noise for who takes no narrow one
_KNOWN = ("label", "captions")
_MOST = 80  # games in which a part is tried

# where a part stands in a recipe
PLACES = {
    "dataset": "dataset",
    "conditioner": "conditioner",
    "generator": "generator",
    "discriminator": "discriminator",
    "loss": "loss",
    "noise": "noise",
    "penalty": "penalties.0",
    "augmentation": "augmentations.0",
    "hook": "hooks.0",
}
# with which of its plugin's own parts a part may play, where doubles do not do
_OWN = {
    "conditioner": ("dataset",),
    "generator": ("noise", "dataset"),
    "discriminator": ("noise", "dataset"),
    "loss": ("discriminator", "noise", "generator", "dataset"),
    "noise": ("generator",),
    "penalty": ("discriminator", "noise", "generator", "dataset"),
    "augmentation": ("dataset",),
    "hook": ("discriminator", "dataset"),
}
STEPS = 4
SAVED_AT = STEPS // 2  # and at the end

# exact, so that one game serves all that is compared to the bit
_TRAIN = {
    "steps": STEPS,
    "batch_size": 8,
    "device": "cpu",
    "reduce": "exact",
    "shards": 2,
    "workers": 0,
    "log_every": 1,
    "sample_every": 0,
    "samples": 2,
    "checkpoint_every": SAVED_AT,
}

_DOUBLES: Table = {
    "noise": {"size": 4},
    "conditioner": {"use": "kit-conditioner"},
    "generator": {"use": "kit-generator"},
    "discriminator": {"use": "kit-discriminator"},
    "loss": {"use": "kit-loss"},
    "train": _TRAIN,
}


def games_of(
    entry: Entry,
    block: Table,
    own: Mapping[str, Sequence[Table]],
    annotations: Sequence[str],
) -> Iterator[Table]:
    """Give recipes with a part in its place, the plainest first.

    Args:
        entry: the part.
        block: names it, with its options.
        own: blocks of its plugin's other parts, by their kind.
        annotations: of a data set, the names of its own; of a conditioner or a loss,
            the names of those that it asks for.
    """
    kind = entry.part.kind
    place, _, in_list = PLACES[kind].partition(".")
    bases = list(_bases(kind, tuple(annotations)))
    seen: list[Table] = []
    for chosen, base in product(_variants(kind, own), bases):
        table = {**_DOUBLES, **base, **chosen, place: [block] if in_list else block}
        if table not in seen:  # as where a plugin's own data is taken
            seen.append(table)
            yield table
        if len(seen) == _MOST:
            return


def _bases(kind: str, annotations: tuple[str, ...]) -> Iterator[Table]:
    """Give data, and what is conditional: all that is of no plugin's own."""
    if kind == "dataset":
        for name in annotations:
            yield {"conditioner": {"use": "kit-conditioner", "reads": name}}
        yield {"conditioner": "none"}
        return
    shapes = _shapes(kind)
    extra = next((name for name in annotations if name not in _KNOWN), "")
    kinds = get_args(Extra) if extra else ("vector",)
    noises = ({}, {"noise": _WIDE}) if kind == "generator" else ({},)
    told = ({},) if kind == "conditioner" else ({}, {"conditioner": "none"})
    for noise, block, shape, what in product(noises, told, shapes, kinds):
        yield {"dataset": _items(shape, extra, what), **noise, **block}


def runs_of() -> Iterator[Table]:
    """Give games of doubles alone, whose runs an inversion is given; pictures first."""
    for told, shape in product(({}, {"conditioner": "none"}), SHAPES):
        yield {**_DOUBLES, "dataset": _items(shape, "", "vector"), **told}


def _shapes(kind: str) -> Sequence[tuple[int, ...]]:
    return SHAPES if kind in ("generator", "discriminator", "augmentation") else _FEW


def tried(kind: str) -> str:
    """Say what a part was tried on that fits nothing, and what its author can do."""
    if kind == "dataset":
        return "it was tried with each of its annotations, and without a conditioner"
    noise = f", with noise of 4 and of {_WIDE['size']}" if kind == "generator" else ""
    shapes = ", ".join(map(str, _shapes(kind)))
    return (
        f"it was tried on samples of {shapes}{noise}; refuse only what it cannot take, "
        "or ship a data set that it fits in the same plugin"
    )


def _items(shape: tuple[int, ...], extra: str, kind: str) -> Table:
    return {
        "use": "kit-dataset",
        "shape": list(shape),
        "extra": extra,
        "extra_kind": kind,
    }


def _variants(kind: str, own: Mapping[str, Sequence[Table]]) -> Iterator[Table]:
    """Give none of a plugin's own parts, then one, then two of them."""
    roles = [role for role in _OWN.get(kind, ()) if own.get(role)]
    for count in range(3):
        for chosen in combinations(roles, count):
            for blocks in product(*(own[role] for role in chosen)):
                yield dict(zip(chosen, blocks, strict=True))
