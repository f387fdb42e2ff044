"""Whether parts have the members of their contracts, and of the right form."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from gankit.contracts import UNBOUNDED
from gankit.contracts.members import STATE, missing, misspelled
from gankit.data.facts import Facts
from gankit.game.places import only_watches
from gankit.game.settings import PLAYERS

_MAY_LEARN = ("loss", "penalties", "augmentations", "noise")
_KINDS = {"penalties": "penalty", "augmentations": "augmentation"}


def malformed(place: str, part: Any) -> list[str]:
    """Say which members a part lacks, or has in another form.

    Args:
        place: where it stands in a recipe, as ``penalties.0``.
        part: what its factory has given.
    """
    if only_watches(place):
        return []  # what it must have is its plugin's affair
    name = f"{place} {type(part).__name__}"
    return [f"{name}: {problem}" for problem in _problems(place, part)]


def _problems(place: str, part: Any) -> Iterator[str]:
    kind = _KINDS.get(place.partition(".")[0], place)
    lacking = missing(kind, part)
    for name in lacking:
        pair = f"it has one of {' and '.join(STATE)}, and not"
        yield (
            f"{pair if name in STATE else 'it has no'} {name}; its author has to add it"
        )
    for near, meant in misspelled(kind, part):
        yield (
            f"it has {near}, which gankit does not know, and no {meant}; its author "
            f"has to call it {meant}, or begin its name with an underscore"
        )
    for name, form in _FORMS.get(kind, {}).items():
        if name not in lacking and hasattr(part, name):
            value = getattr(part, name)
            if not form(value):
                yield (f"{name} is {value!r}; its author has to make it {_WORDS[form]}")
    for name in ("learns_with", "player"):
        if getattr(part, name, PLAYERS[0]) not in PLAYERS:
            yield (
                f"{name} is {getattr(part, name)!r}; its author has to name "
                f"{' or '.join(map(repr, PLAYERS))}"
            )
    facts = getattr(part, "facts", None)
    limits = getattr(facts, "sample_range", None)
    if kind == "dataset" and limits is not None and not _is_range(limits):
        yield (
            f"facts.sample_range is {limits!r}; its author has to make it "
            f"{_WORDS[_is_range]}, or None for uint8 pixels"
        )
    yield from _of_learning(place, part)


def _of_learning(place: str, part: Any) -> Iterator[str]:
    """Say what is wrong with what a part learns, and with which player."""
    if not isinstance(part, nn.Module) and place.partition(".")[0] in _MAY_LEARN:
        if hasattr(part, "learns_with"):
            yield "it learns, and is no torch.nn.Module; derive it from that"
        for name, held in getattr(part, "__dict__", {}).items():
            if isinstance(held, nn.Module) and any(
                p.requires_grad for p in held.parameters()
            ):
                yield (
                    f"its {name} has parameters that learn, and nobody would move or "
                    "save them; its author has to derive it from torch.nn.Module and "
                    "set learns_with, or requires_grad of these to False"
                )
    if isinstance(part, nn.Module):
        for name, parameter in (*part.named_parameters(), *part.named_buffers()):
            if is_lazy(parameter):
                yield (
                    f"the size of {name} is not known before the first pass; its "
                    "author has to take sizes from what the part is given"
                )
                return
    if place in PLAYERS and not isinstance(part, nn.Module):
        yield "it is no torch.nn.Module; its author has to derive it from that"
        return
    if not isinstance(part, nn.Module):
        return
    learning = [key for key, p in part.named_parameters() if p.requires_grad]
    if place in PLAYERS and not learning:
        yield "it has no parameter that learns; its author has to give it some"
    if place in (*PLAYERS, "conditioner") or not learning:
        return
    if not hasattr(part, "learns_with"):
        yield (
            f"it has parameters that learn, as {learning[0]}, and names no player with "
            "which; its author has to set learns_with to 'generator' or "
            "'discriminator', or requires_grad to False"
        )


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_range(value: Any) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    bounded = all(map(_is_number, value)) and value[0] < value[1]
    return bounded or value == UNBOUNDED


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_count, value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _is_names(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(map(_is_name, value))


def _is_facts(value: Any) -> bool:
    return isinstance(value, Facts)


_WORDS = {
    _is_count: "a whole number, at least 1",
    _is_number: "a number",
    _is_range: "a tuple of a lowest and a highest value, as (-1.0, 1.0), or "
    "gankit.UNBOUNDED",
    _is_shape: "a shape without the batch, as (14, 14)",
    _is_name: "the name of an annotation",
    _is_names: "a tuple of annotations' names, as ('label',)",
    callable: "a method",
    _is_facts: "gankit.Facts",
}
_FORMS: dict[str, dict[str, Any]] = {
    "dataset": {"facts": _is_facts, "transform": callable, "annotations": callable},
    "generator": {"output_range": _is_range, "observe": callable},
    "discriminator": {"logits_shape": _is_shape},
    "loss": {"discriminator": callable, "generator": callable, "needs": _is_names},
    "penalty": {"weight": _is_number, "every": _is_count},
    "conditioner": {
        "reads": _is_name,
        "size": _is_count,
        "tokens": callable,
        "parse": callable,
        "fit": callable,
    },
    "noise": {"size": _is_count, "truncated": callable},
}
