"""What a data set says of itself and of its items."""

from __future__ import annotations

from collections.abc import Mapping
from keyword import iskeyword
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import asdict, field, frozen

from gankit.data.annotations import (
    KINDS,
    Annotation,
    Classes,
    Picture,
    Tags,
    Texts,
    Vector,
)
from gankit.errors import DataError

if TYPE_CHECKING:  # listing parts must not import torch
    from torch import Tensor

K = TypeVar("K", Classes, Texts, Vector, Tags, Picture)

# what items are made with, and samples drawn by, besides annotations
_TAKEN = (
    "n",
    "rows",
    "sample",
    "sample_range",
    "sample_shape",
    "seed",
    "self",
    "steps",
)


@frozen(init=False)
class Facts:
    """What a data set knows about itself, kept with a run so that it samples alone.

    Args:
        sample_shape: (C, H, W) for images, (n,) for vectors.
        sample_range: ``None`` for uint8 pixels, which are scaled to whatever range the
            generator declares; else the lowest and the highest value of float samples.
        annotations: what is known of each item, by name: a `Classes`, `Texts`,
            `Vector`, `Tags` or `Picture` each.

    Raises:
        DataError: an annotation has a name that it cannot have, or is no such thing.
    """

    sample_shape: tuple[int, ...]
    sample_range: tuple[float, float] | None
    annotations: Mapping[str, Annotation] = field(hash=False)

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        /,
        sample_range: tuple[float, float] | None = None,
        **annotations: Annotation,
    ) -> None:
        for name, kind in annotations.items():
            check_name(name)
            if not isinstance(kind, KINDS):
                raise DataError(
                    f"the annotation {name!r} is declared as {short(kind)}; declare it "
                    "as one of Classes, Texts, Vector, Tags and Picture, as "
                    f"{name}=gankit.Texts()"
                )
        if isinstance(sample_range, KINDS):
            check_name("sample_range")
        self.__attrs_init__(tuple(sample_shape), sample_range, annotations)

    def declared(self, name: str, kind: type[K]) -> K:
        """Return what is declared of an annotation, for a part that needs it.

        Raises:
            ValueError: there is no annotation of that name and kind.
        """
        found = self.annotations.get(name)
        if isinstance(found, kind):
            return found
        there = [f"{n} ({type(k).__name__})" for n, k in self.annotations.items()]
        raise ValueError(
            f"the data set has no annotation {name!r} of {kind.__name__}, it has "
            f"{', '.join(there) or 'none'}; choose a data set that has it, another "
            "conditioner, or conditioner=none"
        )


@frozen(init=False)
class Item:
    """One item of a data set: uint8 or float ``sample``, and what is known of it.

    Args:
        sample: a tensor of the shape that the data set declares.
        annotations: a value of each annotation that the data set declares, by name.
    """

    sample: Tensor
    annotations: Mapping[str, Any]

    def __init__(self, sample: Tensor, /, **annotations: Any) -> None:
        self.__attrs_init__(sample, annotations)


def told_apart_by(facts: Facts, reads: str) -> str:
    """Return which annotation makes the conditions of two items others.

    It is what the conditioner reads; of texts, which may be said of items of one class
    in other words, the ``label``, if that is declared as classes.
    """
    classed = isinstance(facts.annotations.get("label"), Classes)
    texts = isinstance(facts.annotations.get(reads), Texts)
    return "label" if texts and classed else reads


def check_name(name: str) -> None:
    """Refuse a name that an annotation cannot have.

    Raises:
        DataError: it is no identifier, or has another meaning.
    """
    if not name.isidentifier() or iskeyword(name) or name.startswith("_"):
        raise DataError(
            f"{name!r} is no name of an annotation; take a word of letters, digits and "
            "underscores, that Python does not use itself"
        )
    if name in _TAKEN:
        raise DataError(
            f"{name!r} is no name of an annotation: it has a meaning of its own where "
            f"items are made and samples are drawn; take another, as {'my_' + name!r}"
        )


def written(facts: Facts) -> dict[str, Any]:
    """Write facts as JSON can hold them."""
    kinds = facts.annotations.items()
    return {
        "sample_shape": facts.sample_shape,
        "sample_range": facts.sample_range,
        "annotations": {n: [type(k).__name__, asdict(k)] for n, k in kinds},
    }


def read_again(told: Mapping[str, Any]) -> Facts:
    """Read facts that were written."""
    kinds = {kind.__name__: kind for kind in KINDS}
    limits = told["sample_range"]
    return Facts(
        tuple(told["sample_shape"]),
        tuple(limits) if limits else None,
        **{n: kinds[kind](**said) for n, (kind, said) in told["annotations"].items()},
    )
