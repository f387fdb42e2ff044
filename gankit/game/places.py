"""Every part of an assembly by its place, and which of them watch the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gankit.contracts.kinds import KINDS, Origin
from gankit.plugins.watching import absence, unpaired, watching_fault

if TYPE_CHECKING:
    from gankit.game.assembly import Assembly

HOOKS = "hooks"  # the block of those that are there to watch


def places(assembly: Assembly) -> dict[str, object]:
    """Name all parts by their places, in the order in which those that watch do.

    The parts of the game come first, then those of plugins' own kinds, then the hooks:
    they find what the others have measured.
    """
    lists = {**assembly.others, HOOKS: assembly.hooks}
    return {"dataset": assembly.dataset} | assembly.parts() | numbered(lists)


def numbered(several: Mapping[str, Sequence[object]]) -> dict[str, object]:
    """Give each entry of lists a place, as ``hooks.0``."""
    return {
        f"{block}.{i}": part
        for block, parts in several.items()
        for i, part in enumerate(parts)
    }


def only_watches(place: str) -> bool:
    """Tell whether a place is none of the game's, but of hooks or a plugin's kind."""
    block = place.partition(".")[0]
    return all(block not in (k.name, k.block) for k in KINDS if k.block != HOOKS)


def watching_misfits(
    parts: Mapping[str, object], origins: Mapping[str, Origin]
) -> list[str]:
    """Say which parts would watch a run in vain.

    Args:
        parts: by place.
        origins: where the part of a place is from, which names it.
    """
    problems = []
    for place, part in parts.items():
        fault = watching_fault(part)
        if place.startswith(f"{HOOKS}."):
            fault = fault or absence(part)
        if only_watches(place):
            fault = fault or unpaired(part)
        if fault:
            known = origins.get(place)
            name = repr(known.part) if known else type(part).__name__
            problems.append(f"{place} {name}: {fault}")
    return problems
