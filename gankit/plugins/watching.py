"""Parts that watch a run: what they implement, and what is wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from gankit import hookspecs
from gankit.errors import listed, nearest


@cache
def moments() -> dict[str, tuple[str, ...]]:
    """Name the hooks of a run, each with what it may be given."""
    takes = {
        name: tuple(inspect.signature(spec).parameters)
        for name, spec in vars(hookspecs).items()
        if name.startswith("gankit_")
    }
    return {name: given for name, given in takes.items() if "run" in given}


class Watching:
    """The hook implementations of a part, and nothing else of it.

    So that two parts that are equal are told apart, and properties are left alone.
    """

    def __init__(self, thing: object) -> None:
        vars(self).update(implemented(thing))


def implemented(thing: object) -> dict[str, Callable[..., Any]]:
    """Return the methods that are marked as hook implementations."""
    methods = {name: getattr(thing, name) for name in _methods(thing)}
    return {name: method for name, method in methods.items() if _marks(method)}


def watching_fault(thing: object) -> str:
    """Say what is wrong with the hooks of a part, or "" for one without any."""
    marked = implemented(thing)
    for name in _methods(thing):
        if name in moments() and name not in marked:
            return f"its method {name} is not marked; write @gankit.hookimpl above it"
    for name, method in marked.items():
        hook = _marks(method)["specname"] or name
        if hook not in moments():
            hint = nearest(hook, moments())
            return (
                f"a run has no hook {hook!r}{hint}; the hooks are {listed(moments())}"
            )
        if fault := _call_fault(hook, method):
            return fault
    return ""


def absence(thing: object) -> str:
    """Say that what is there to watch does not; or "" where it does."""
    if implemented(thing):
        return ""
    has = [name for name in _methods(thing) if not name.startswith("_")]
    return (
        "nothing of it is marked with @gankit.hookimpl; it has the methods "
        f"{listed(has)}, and the hooks are {listed(moments())}"
    )


def keeps(thing: object) -> bool:
    """Tell whether a part has a state to save."""
    return callable(getattr(thing, "state_dict", None))


def unpaired(thing: object) -> str:
    """Say that a state could be saved and not restored; or ""."""
    if not keeps(thing) or callable(getattr(thing, "load_state_dict", None)):
        return ""
    return "it has state_dict, and no load_state_dict to restore what that returns"


def _call_fault(hook: str, method: Callable[..., Any]) -> str:
    """Say why a hook could not be called as it is, or ""."""
    for parameter in inspect.signature(method).parameters.values():
        asked = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if asked and parameter.default is parameter.empty:
            given = moments()[hook]
            if parameter.name not in given:
                return (
                    f"{hook} asks for {parameter.name!r}"
                    f"{nearest(parameter.name, given)}; it is given {listed(given)}"
                )
    wraps = _marks(method)["wrapper"] or _marks(method)["hookwrapper"]
    if wraps and not inspect.isgeneratorfunction(method):
        return f"{hook} is to wrap the others, and has no yield"
    return ""


def _methods(thing: object) -> Iterable[str]:
    """Name the methods of an object; its properties are not looked at."""
    for name in dir(thing):
        method = inspect.getattr_static(thing, name, None)
        if inspect.isfunction(getattr(method, "__func__", method)):
            yield name


def _marks(method: Any) -> dict[str, Any]:
    """Return how a method is marked as a hook implementation: nothing if it is not."""
    return getattr(method, "gankit_impl", None) or {}
