"""Strict conversion of a recipe's values, with every error in the user's words.

cattrs does the walking; it is lenient by default (3.7 becomes 3, "false" becomes True),
so that every primitive has a strict hook here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from cattrs import Converter, IterableValidationError
from cattrs.errors import IterableValidationNote, StructureHandlerNotFoundError

from gankit.contracts.limits import Range
from gankit.errors import listed, nearest
from gankit.plugins.options import REQUIRED, Option
from gankit.recipe.words import describe, is_union


def structure(value: Any, kind: Any, path: str, problems: list[str]) -> Any:
    """Convert one value strictly; on failure add to ``problems`` and return None."""
    try:
        return _CONVERTER.structure(value, kind)
    except Exception as error:  # cattrs gathers whatever the hooks raised
        leaves = list(_leaves(error, path))
        problems.extend(f"{where}: {text}" for where, text in leaves)
        return None


def structure_options(
    table: dict[str, Any],
    options: Iterable[Option],
    path: str,
    problems: list[str],
    convert: Callable[[Any, Option, str, list[str]], Any] | None = None,
) -> dict[str, Any]:
    """Convert a table against options: all of them, defaults filled in.

    What comes of it can be written back by :func:`option_table`, and read again;
    ``convert`` takes the place of :func:`given` where an option is more than a value.
    """
    options = list(options)
    known = [option.name for option in options]
    for key in table:
        if key not in known:
            hint = nearest(key, known) or f"; its options are {listed(known)}"
            problems.append(f"{_join(path, key)}: no such option{hint}")
    values = {}
    for option in options:
        where = _join(path, option.name)
        if option.name in table:
            value = table[option.name]
            values[option.name] = (convert or given)(value, option, where, problems)
        elif option.default is REQUIRED:
            problems.append(f"{where}: is missing; it takes {describe(option.type)}")
        else:
            values[option.name] = made = default_of(option)
            # an infinity, as None, is what no recipe can say, and a default may be
            if not can_state(made, option.type) and _is_plain(unstructure(made)):
                wanted = f"{describe(option.type)}; its author has to mend it"
                problems.append(f"{where}: its default {made!r} is not {wanted}")
    return values


def option_table(values: dict[str, Any], options: Iterable[Option]) -> dict[str, Any]:
    """Turn converted options back into a table, which read again gives them.

    What no recipe can state is a default, and is left out.
    """
    return {
        option.name: unstructure(values[option.name])
        for option in options
        if option.name in values and can_state(values[option.name], option.type)
    }


def default_of(option: Option) -> Any:
    """Return a default as a recipe that states it would give it, if it could."""
    stated = structure(unstructure(option.default), option.type, "", [])
    return stated if can_state(stated, option.type) else option.default


def default_text(option: Option) -> str:
    """Write a default in a line for people to read, also one no recipe can state."""
    if option.required:
        return "required"
    default = default_of(option)
    if default is None or can_state(default, option.type):
        return json.dumps(unstructure(default))
    return " ".join(str(getattr(default, "__qualname__", repr(default))).split())


def can_state(value: Any, kind: Any) -> bool:
    """Tell whether a recipe can give an option this value: None, say, it cannot."""
    plain = unstructure(value)
    if not _is_plain(plain):
        return False
    problems: list[str] = []
    again = structure(plain, kind, "", problems)
    return not problems and bool(again == value)


def unstructure(value: Any) -> Any:
    """Turn a converted value back into what TOML and JSON can hold, where they can."""
    if isinstance(value, dict):
        return {k: unstructure(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [unstructure(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def given(value: Any, option: Option, where: str, problems: list[str]) -> Any:
    """Convert a value that a recipe gives, or a caller in Python with it."""
    own: list[str] = []
    converted = structure(unstructure(value), option.type, where, own)
    if not (own or converted is option.default or can_state(converted, option.type)):
        own.append(
            f"{where}: {converted!r} is nothing that a recipe can hold; give it "
            "numbers, words, true or false, or lists and tables of these"
        )
    problems += own
    return converted


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values())) and _are_words(value)
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if type(value) is float and math.isinf(value):
        return False
    return type(value) in (bool, int, float) or _are_words([value])


def _are_words(values: Iterable[Any]) -> bool:
    """Tell whether all are strings that a file can hold; a path may be of any bytes."""
    return all(
        type(v) is str and v == v.encode(errors="ignore").decode() for v in values
    )


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _leaves(error: BaseException, path: str) -> Iterable[tuple[str, str]]:
    """Walk cattrs' exception groups down to (path, message)."""
    if isinstance(error, StructureHandlerNotFoundError):
        yield path, "no recipe can hold what this takes; leave it out"
        return
    if not isinstance(error, IterableValidationError):
        yield path, str(error)
        return
    noted, _ = error.group_exceptions()
    for inner, note in noted:
        yield from _leaves(inner, _join(path, note.index))


def _is_a(*origins: Any) -> Callable[[Any], bool]:
    return lambda kind: (get_origin(kind) or kind) in origins


def _refuse(value: Any, kind: Any) -> ValueError:
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    words = isinstance(value, str) and get_origin(kind) is Literal
    hint = nearest(value, [str(a) for a in get_args(kind)]) if words else ""
    return ValueError(f"{shown} is not {describe(kind)}{hint}")


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise _refuse(value, kind)
        return value

    return hook


def _number(value: Any, _: Any) -> float:
    # an infinity or NaN, which TOML can write, is no setting of anything
    if type(value) not in (int, float) or not math.isfinite(value):
        raise _refuse(value, float)
    return float(value)


def _path(value: Any, _: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise _refuse(value, Path)
    return Path(value).expanduser()


def _within_range(kind: Any) -> Callable[[Any, Any], Any]:
    base, *notes = get_args(kind)

    def hook(value: Any, _: Any) -> Any:
        try:
            converted = _CONVERTER.structure(value, base)
        except ValueError:
            raise _refuse(value, kind) from None
        if any(isinstance(n, Range) and not n.holds(converted) for n in notes):
            raise _refuse(value, kind)
        return converted

    return hook


def _one_of(value: Any, kind: Any) -> Any:
    # True == 1, so that membership alone would let a boolean pass for a number
    if any(value == known and type(value) is type(known) for known in get_args(kind)):
        return value
    raise _refuse(value, kind)


def _any_of(value: Any, kind: Any) -> Any:
    for member in get_args(kind):
        try:
            return _CONVERTER.structure(value, member)
        except Exception:  # the next member may fit
            continue
    raise _refuse(value, kind)


def _sequence(value: Any, kind: Any) -> Any:
    args, container = get_args(kind) or (Any, ...), get_origin(kind) or kind
    if not isinstance(value, list | tuple):  # a string is iterable too
        raise _refuse(value, kind)
    endless = container is list or args[-1:] == (...,)
    if not endless and len(value) != len(args):
        raise _refuse(value, kind)
    kinds = [args[0]] * len(value) if endless else args
    return container(_each(zip(range(len(value)), value, kinds, strict=True), kind))


def _table(value: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refuse(value, kind)
    inner = get_args(kind)[1] if get_args(kind) else Any
    values = _each(((k, v, inner) for k, v in value.items()), kind)
    return dict(zip(value, values, strict=True))


def _each(members: Iterable[tuple[Any, Any, Any]], kind: Any) -> list[Any]:
    """Convert each (index, value, type), raising all errors at once."""
    converted, errors = [], []
    for index, value, inner in members:
        try:
            converted.append(_CONVERTER.structure(value, inner))
        except Exception as error:
            error.add_note(IterableValidationNote("", index, inner))
            errors.append(error)
    if errors:
        raise IterableValidationError("", errors, kind)
    return converted


def _nothing(value: Any, _: Any) -> None:
    if value is not None:
        raise _refuse(value, type(None))


_CONVERTER = Converter()
for _primitive in (bool, int, str):
    _CONVERTER.register_structure_hook(_primitive, _exactly(_primitive))
_CONVERTER.register_structure_hook(float, _number)
_CONVERTER.register_structure_hook(Path, _path)
_CONVERTER.register_structure_hook_func(lambda k: k is type(None), _nothing)
_CONVERTER.register_structure_hook_func(is_union, _any_of)
_CONVERTER.register_structure_hook_func(_is_a(tuple, list), _sequence)
_CONVERTER.register_structure_hook_func(_is_a(dict), _table)
_CONVERTER.register_structure_hook_func(_is_a(Literal), _one_of)
_CONVERTER.register_structure_hook_factory(_is_a(Annotated), _within_range)
