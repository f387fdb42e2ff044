"""Which measurements stand in one chart, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen
class Group:
    """Measurements that are drawn on one scale."""

    title: str
    text: str  # what they mean; "" where their author alone knows
    names: tuple[str, ...]


# what gankit itself measures; a word that ends in / begins the names that belong
_KNOWN: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Losses", "They mean little across losses.", ("loss/",)),
    (
        "AUC",
        "Pairs of a real and a generated sample that the discriminator ranks right: "
        "0.5 is guessing, 1 is never wrong.",
        ("AUC",),
    ),
    (
        "Diversity and effects",
        "How far samples differ, and what another condition or noise changes, by what "
        "real samples differ: 0 is collapse.",
        ("diversity", "condition effect", "noise effect"),
    ),
    ("Gradient norms", "Of each player, before clipping.", ("gradient/",)),
    ("Penalties", "Before their weights.", ("penalty/",)),
    (
        "Clearance",
        "What lies free between real and generated logits: near 1 the discriminator "
        "cannot lose.",
        ("clearance",),
    ),
    (
        "Real sign",
        "Mean sign of the logits of real samples: near 1 for long may be overfitting.",
        ("real sign",),
    ),
    ("Memory", "", ("memory",)),
)


def grouped(names: Iterable[str]) -> list[Group]:
    """Put measurements into groups: gankit's own first, then by their prefix."""
    left = dict.fromkeys(names)
    groups = []
    for title, text, words in _KNOWN:
        mine = tuple(name for name in left if any(_belongs(name, w) for w in words))
        if mine:
            groups.append(Group(title, text, tuple(sorted(mine))))
            left = {name: None for name in left if name not in mine}
    others: dict[str, list[str]] = {}
    for name in left:
        others.setdefault(name.partition("/")[0], []).append(name)
    return groups + [Group(title, "", tuple(own)) for title, own in others.items()]


def _belongs(name: str, word: str) -> bool:
    return name.startswith(word) if word.endswith("/") else name.split("/")[0] == word
