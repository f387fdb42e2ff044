"""Which measurements stand in one chart, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from gankit_report.record import Series


@frozen
class Group:
    """Measurements that are drawn on one scale."""

    title: str
    text: str  # what they mean; "" where their author alone knows
    names: tuple[str, ...]


def _starting(prefix: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(prefix)


def _among(*names: str) -> Callable[[str], bool]:
    return lambda name: name in names


# what gankit itself measures: docs/runs.md and gankit/watchers/probe.py say more
_KNOWN: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("Losses", "Of each player; they mean little across losses.", _starting("loss/")),
    (
        "AUC",
        "Pairs of a real and a generated sample that the discriminator ranks right: "
        "0.5 is guessing, 1 is never wrong.",
        _among("AUC"),
    ),
    (
        "Diversity and effects",
        "How far samples differ, and what another condition or noise changes, by what "
        "real samples differ: 0 is collapse.",
        _among("diversity", "condition effect", "noise effect"),
    ),
    ("Gradient norms", "Of each player, before clipping.", _starting("gradient/")),
    ("Penalties", "Before their weights.", _starting("penalty/")),
    (
        "Clearance",
        "What lies free between real and generated logits, as a part of the way "
        "between their means: near 1 the discriminator cannot lose.",
        _among("clearance"),
    ),
    (
        "Real sign",
        "Mean sign of the logits of real samples: near 1 for long may be overfitting.",
        _among("real sign"),
    ),
    ("Memory", "As the run measured it.", _starting("memory")),
)


def grouped(series: Mapping[str, Series]) -> list[Group]:
    """Put every measurement into a group: gankit's own first, then by their prefix."""
    left = [name for name, measured in series.items() if measured.values]
    groups = []
    for title, text, belongs in _KNOWN:
        names = tuple(sorted(filter(belongs, left)))
        if names:
            groups.append(Group(title, text, names))
            left = [name for name in left if name not in names]
    others: dict[str, list[str]] = {}
    for name in left:
        others.setdefault(name.partition("/")[0], []).append(name)
    return groups + [Group(title, "", tuple(names)) for title, names in others.items()]


def short(name: str, names: tuple[str, ...]) -> str:
    """Name a measurement in the legend of its group, without what all have in common.

    >>> short("loss/generator", ("loss/generator", "loss/discriminator"))
    'generator'
    """
    prefix, slash, rest = name.partition("/")
    shared = slash and all(n.startswith(prefix + slash) for n in names)
    return rest if shared else name


def versions_of(table: Mapping[str, Any]) -> dict[str, str]:
    """Return the part of each place with its plugin and version, as the run has it."""
    parts = table.get("provenance", {}).get("parts", {})
    return {str(place): str(origin) for place, origin in parts.items()}
