"""Names that values go by: found by a text or an index, and listed in errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from operator import index as whole
from reprlib import repr as short
from typing import Any

from gankit.errors import DataError, listed, nearest

_SHOWN = 20  # as many names as an error can list and still be read


def names_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple.

    Raises:
        DataError: there are none, or two are equal.
    """
    some_names = isinstance(given, Iterable) and not isinstance(given, str)
    names = tuple(given) if some_names else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise DataError(
            f"{short(given)} are no names for an annotation; give a tuple of texts, as "
            "('red', 'blue')"
        )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            f"the names {some(twice)} are there twice; give each another name"
        )
    return names


def indexed(value: Any, names: tuple[str, ...]) -> int | None:
    """Return a whole number that is the index of a name."""
    if isinstance(value, bool):
        return None
    try:
        place = whole(value)
    except TypeError:
        return None
    return place if 0 <= place < len(names) else None


def found(text: str, names: tuple[str, ...], *, indices: bool = True) -> int | None:
    """Find a name, in any case if that is clear, or an index."""
    wanted = text.strip()
    if wanted in names:
        return names.index(wanted)
    folded = [name.casefold() for name in names]
    if folded.count(wanted.casefold()) == 1:
        return folded.index(wanted.casefold())
    return indexed(int(wanted), names) if indices and wanted.isdecimal() else None


def hint(text: str, names: tuple[str, ...]) -> str:
    """Return a clause that says which names are nearest to a text, or ""."""
    folded = [name.casefold() for name in names]
    return nearest(text.strip(), names) or nearest(text.strip().casefold(), folded)


def some(names: Iterable[str]) -> str:
    """List names, as many as can be read."""
    names = tuple(names)
    more = len(names) - _SHOWN
    return listed(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
