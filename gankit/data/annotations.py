"""Kinds of annotations: what can be known of the samples of a data set.

A data set declares its annotations in its `gankit.Facts`, by names that are its own,
and each `gankit.Item` has a value of every one.

=========  ======================================  ==============================
kind       a value of an item                      the values of N items
=========  ======================================  ==============================
`Classes`  the index of a class                    int64 (N,)
`Texts`    a tuple of texts, which may be empty    a list of tuples
`Vector`   a number for each name                  float32 (N, n)
`Tags`     a set of names or of their indices      bool (N, n), true where it is
`Picture`  a tensor (C, H, W)                      (N, C, H, W), uint8 or float32
=========  ======================================  ==============================

Each kind has:

- ``column(count)``: room for the values of some items, as in the table;
- ``checked(value)``: a value as a column keeps it, itself a value too. It raises
  ValueError for what is none, and says what is wrong;
- ``text(value)``: a value that was checked, in words; "" if it has none;
- ``parse(text)``: the value that a text means. It raises ValueError for a text that
  means nothing, and says what it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from gankit.data.naming import found, hint, indexed, names_of, some
from gankit.errors import DataError

if TYPE_CHECKING:  # listing parts must not import torch
    from torch import Tensor


@frozen
class Classes:
    """One class of some; the value of an item is the class's index.

    Its text is the class's name. Names are understood in any case, and indices too,
    but not where the names themselves are numbers, as those of digits are: there "3"
    can mean only the class called 3.

    Raises:
        DataError: there are no names, or two are equal.
    """

    names: tuple[str, ...] = field(converter=names_of)

    def column(self, count: int) -> Any:
        return _zeros((count,), "int64")

    def checked(self, value: Any) -> int:
        place = indexed(value, self.names)
        if place is not None:
            return place
        raise ValueError(
            f"{short(value)} is the index of none of the {len(self.names)} classes, "
            f"which are numbered 0 to {len(self.names) - 1}"
        )

    def text(self, value: Any) -> str:
        return self.names[int(value)]

    def parse(self, text: str) -> int:
        numbered = all(name.isdecimal() for name in self.names)
        place = found(text, self.names, indices=not numbered)
        if place is not None:
            return place
        indices = "" if numbered else f", or an index from 0 to {len(self.names) - 1}"
        raise ValueError(
            f"no class {text.strip()!r}{hint(text, self.names)}; the classes are "
            f"{some(self.names)}{indices}"
        )


@frozen
class Texts:
    """Texts about an item; some items may have none."""

    def column(self, count: int) -> Any:
        return [()] * count

    def checked(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            raise ValueError(f"{short(value)} is one text; give a tuple, (text,)")
        if isinstance(value, (tuple, list)) and all(isinstance(t, str) for t in value):
            return tuple(value)
        raise ValueError(f"{short(value)} is no tuple of texts")

    def text(self, value: Any) -> str:
        return str(value[0]) if value else ""

    def parse(self, text: str) -> tuple[str]:
        return (text,)


@frozen
class Vector:
    """A number for each name; the value of an item is as many finite numbers.

    Its text is ``"age=30, smile=0.5"``, and is understood in any order.

    Raises:
        DataError: there are no names, or two are equal.
    """

    names: tuple[str, ...] = field(converter=names_of)

    def column(self, count: int) -> Any:
        return _zeros((count, len(self.names)), "float32")

    def checked(self, value: Any) -> Tensor:
        import torch

        wanted = f"{len(self.names)} numbers, {some(self.names)}"
        try:
            row = torch.as_tensor(value, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"{short(value)} are not {wanted}") from None
        if tuple(row.shape) != (len(self.names),):
            raise ValueError(
                f"{short(value)} has the shape {tuple(row.shape)}, and is not {wanted}"
            )
        if not bool(row.isfinite().all()):
            raise ValueError(f"{short(value)} has a number that is not finite")
        return row

    def text(self, value: Any) -> str:
        pairs = zip(self.names, value, strict=True)
        return ", ".join(f"{name}={float(number):g}" for name, number in pairs)

    def parse(self, text: str) -> tuple[float, ...]:
        given: dict[str, float] = {}
        for piece in text.split(","):
            name, _, number = (word.strip() for word in piece.rpartition("="))
            try:
                given[name] = float(number)
            except ValueError:
                raise self._unread(f"{piece.strip()!r} has no number") from None
            if name not in self.names:
                near = hint(name, self.names)
                raise self._unread(f"no number is called {name!r}{near}")
        if missing := [name for name in self.names if name not in given]:
            raise self._unread(f"{text!r} gives no {some(missing)}")
        return tuple(given[name] for name in self.names)

    def _unread(self, reason: str) -> ValueError:
        form = ", ".join(f"{name}=0.5" for name in self.names)
        return ValueError(f"{reason}; write {form}")


@frozen
class Tags:
    """Any of some tags; the value of an item is a set of their names or indices.

    Its text is ``"smiling, old"``, and "" where there is none; names are understood in
    any case, and indices too.

    Raises:
        DataError: there are no names, or two are equal.
    """

    names: tuple[str, ...] = field(converter=names_of)

    def column(self, count: int) -> Any:
        return _zeros((count, len(self.names)), "bool")

    def checked(self, value: Any) -> Tensor:
        import torch

        size = len(self.names)
        if isinstance(value, torch.Tensor) and value.dtype == torch.bool:
            if value.shape == (size,):
                return value
            raise ValueError(f"bools of the shape {tuple(value.shape)}, not ({size},)")
        if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
            raise ValueError(f"{short(value)} is no set of tags, as {{'old', 'red'}}")
        row = torch.zeros(size, dtype=torch.bool)
        for tag in value:
            row[self._place(tag)] = True
        return row

    def text(self, value: Any) -> str:
        pairs = zip(self.names, value, strict=True)
        return ", ".join(name for name, there in pairs if there)

    def parse(self, text: str) -> tuple[int, ...]:
        words = [word for word in text.split(",") if word.strip()]
        return tuple(self._place(word) for word in words)

    def _place(self, tag: Any) -> int:
        named = isinstance(tag, str)
        place = found(tag, self.names) if named else indexed(tag, self.names)
        if place is not None:
            return place
        word = f"{tag.strip()!r}{hint(tag, self.names)}" if named else short(tag)
        raise ValueError(
            f"no tag {word}; the tags are {some(self.names)}, numbered 0 to "
            f"{len(self.names) - 1}"
        )


def _shape(given: Iterable[int]) -> tuple[int, ...]:
    shape = tuple(given) if isinstance(given, Iterable) else (given,)
    if len(shape) == 3 and all(isinstance(n, int) and n > 0 for n in shape):
        return shape
    raise DataError(
        f"{short(given)} is no shape of a picture; give its channels, height and width"
    )


def _limits(given: Iterable[float] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not low < high:
        raise DataError(
            f"{short(given)} is no range; give the lowest and the highest value"
        )
    return (low, high)


@frozen
class Picture:
    """A picture that goes with an item; its value is a tensor of this shape, (C, H, W).

    It has no text. ``value_range`` is ``None`` for uint8 pixels, else the lowest and
    the highest value of float ones.

    Raises:
        DataError: that is no shape, or no range.
    """

    shape: tuple[int, ...] = field(converter=_shape)
    value_range: tuple[float, float] | None = field(default=None, converter=_limits)

    def column(self, count: int) -> Any:
        return _zeros((count, *self.shape), self._type())

    def checked(self, value: Any) -> Tensor:
        import torch

        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{short(value)} is no tensor")
        kind = value.dtype
        floats = kind.is_floating_point
        if tuple(value.shape) != self.shape or not (
            floats if self.value_range else kind == torch.uint8
        ):
            raise ValueError(
                f"a picture {tuple(value.shape)} of {kind} is not one {self.shape} of "
                f"torch.{self._type()}"
            )
        if self.value_range is None:
            return value
        low, high = self.value_range
        if not bool(((value >= low) & (value <= high)).all()):
            raise ValueError(
                f"a picture has values that are not in [{low:g}, {high:g}]"
            )
        return value.float()

    def text(self, value: Any) -> str:
        del value
        return ""

    def parse(self, text: str) -> Any:
        raise ValueError(
            f"{text!r} is no picture; in Python give a tensor of the shape {self.shape}"
        )

    def _type(self) -> str:
        return "float32" if self.value_range else "uint8"


Annotation = Classes | Texts | Vector | Tags | Picture
KINDS: tuple[type[Annotation], ...] = (Classes, Texts, Vector, Tags, Picture)


def _zeros(shape: tuple[int, ...], dtype: str) -> Tensor:
    import torch

    return torch.zeros(shape, dtype=getattr(torch, dtype))
