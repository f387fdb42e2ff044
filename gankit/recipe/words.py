"""What values a type allows, in words."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from gankit.contracts.kinds import OfKind
from gankit.contracts.limits import Range
from gankit.errors import listed

UNHELD = "what no recipe can hold"
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
    Path: "a path",
    dict: "a table",
    list: "a list",
    tuple: "a list",
    type(None): "nothing",
}


def describe(kind: Any) -> str:
    """Say in words what values a type allows."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if parts := [str(note) for note in args[1:] if isinstance(note, OfKind)]:
            return parts[0]
        limits = [str(limit) for limit in args[1:] if isinstance(limit, Range)]
        return " ".join([describe(args[0]), *limits])
    if origin is Literal:
        return f"one of {listed(args)}" if len(args) > 1 else repr(args[0])
    if is_union(kind):
        return " or ".join(describe(a) for a in args if a is not type(None))
    if origin is tuple and args[-1:] != (...,):
        return f"a list of {len(args)}: {', '.join(describe(a) for a in args)}"
    if origin in (tuple, list):
        return f"a list, each {describe(args[0])}"
    if kind is Any:
        return "any value"
    return _WORDS.get(origin or kind, UNHELD)


def is_union(kind: Any) -> bool:
    """Tell whether a type is one of several."""
    return get_origin(kind) in (Union, types.UnionType)
