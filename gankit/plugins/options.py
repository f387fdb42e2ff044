"""The options of a part: what a recipe may set, read from the factory's signature.

One mechanism serves validation, ``gankit show``, the JSON schema and the docs. Types
and defaults come from the signature, help from the docstring's ``Args:`` section,
ranges from :class:`gankit.contracts.limits.Range` in an ``Annotated`` type::

    def __init__(self, shapes: Shapes, *, width: Count = 64, dropout: Fraction = 0.5):
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from attrs import NOTHING, fields, frozen

from gankit.errors import PluginError

REQUIRED: Any = inspect.Parameter.empty


@frozen
class Option:
    """One option of a part; ``default`` is `REQUIRED` where a recipe must set it."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        """Whether a recipe must set it."""
        return self.default is REQUIRED


def options_of(factory: Callable[..., Any], given: int = 0) -> tuple[Option, ...]:
    """Read the options of a factory: all parameters after the ``given`` first ones.

    Raises:
        PluginError: there is no signature, it hides its options (``*args``,
            ``**kwargs``), or an annotation cannot be evaluated.
    """
    where = f"{factory.__module__}.{getattr(factory, '__qualname__', factory)}"
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (ValueError, TypeError) as error:
        raise PluginError(
            f"{where} has no signature to read its options from: {error}"
        ) from error
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        raise PluginError(
            f"{where} takes *args or **kwargs, so its options cannot be checked; "
            "its author has to name them"
        )
    helps: dict[str, str] = {}
    for thing in _documented(factory):
        helps |= _argument_helps(own_doc(thing))
    return tuple(
        Option(
            p.name,
            _evaluated(p, factory, where),
            _default_of(p, factory),
            helps.get(p.name, ""),
        )
        for p in parameters[given:]
    )


def own_doc(thing: object) -> str:
    """Return the docstring of a class or function itself, none that it inherits."""
    if isinstance(thing, partial):
        return own_doc(thing.func)
    return inspect.cleandoc(thing.__doc__ or "")


def _documented(factory: Any) -> Iterable[object]:
    """Yield where options are documented, what counts most last."""
    if inspect.isclass(factory):
        yield next(cls for cls in factory.__mro__ if "__init__" in vars(cls))
        yield factory.__init__
    yield factory


def _default_of(parameter: inspect.Parameter, factory: Any) -> Any:
    """Return the default, made now where an attrs class makes it for each object."""
    if parameter.default is not NOTHING:
        return parameter.default
    made = next(f.default for f in fields(factory) if f.alias == parameter.name)
    return made.factory()  # what the marker stands for


def _evaluated(
    parameter: inspect.Parameter, factory: Callable[..., Any], where: str
) -> Any:
    """Evaluate one annotation; only options need to, `Shapes` may stay a string."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        raise PluginError(
            f"the option {parameter.name!r} of {where} has no type; its author has to "
            f"give it one, as {parameter.name}: float"
        )
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, _names_of(factory))
    except Exception as error:
        raise PluginError(
            f"the type {annotation!r} of option {parameter.name!r} of {where} "
            f"cannot be evaluated: {error}; import it outside TYPE_CHECKING"
        ) from error


def _names_of(factory: Any) -> dict[str, Any]:
    """Return what types may be written by: of a class, those of its bases' modules too.

    A constructor that is inherited was written in another module.
    """
    names: dict[str, Any] = {}
    classes = factory.__mro__ if inspect.isclass(factory) else (factory,)
    for thing in reversed(classes):
        names |= vars(sys.modules[thing.__module__])
    return names


def _argument_helps(docstring: str) -> dict[str, str]:
    """Read the ``Args:`` section of a Google-style docstring."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)*)", docstring, re.MULTILINE)
    if not section:
        return {}
    body = inspect.cleandoc(section[1])
    entries = re.split(r"^(?=\w+(?: \([^)]*\))?:)", body, flags=re.MULTILINE)
    helps = {}
    for entry in filter(str.strip, entries):
        name, _, text = entry.partition(":")
        helps[name.split()[0]] = " ".join(text.split())
    return helps
