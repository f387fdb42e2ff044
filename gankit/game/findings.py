"""Calling parts, and taking down what goes wrong, in words for their authors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gankit.errors import GankitError, told

if TYPE_CHECKING:
    from gankit.game.assembly import Assembly


class Findings:
    """What has gone wrong so far with the parts of an assembly."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.problems: list[str] = []

    def tried(self, place: str, method: str, call: Callable[[], Any]) -> Any:
        """Call, and take down what is raised; None then."""
        try:
            made = call()
        except GankitError:
            raise  # it says all there is to say
        except Exception as error:
            if isinstance(error, NotImplementedError) and "backend" in str(error):
                return None  # an operation for another device than the networks are on
            self.add(f"{self.name(place, method)} raised {told(error)}")
        else:
            if made is None:
                self.refuse(place, method, made, "what its contract says")
            return made
        return None

    def fits(self, place: str, method: str, made: Any, wanted: tuple[int, ...]) -> bool:
        """Tell whether a tensor has the shape that is wanted, and note if not."""
        if made is None:
            return False
        if not isinstance(made, Tensor) or tuple(made.shape) != wanted:
            self.refuse(place, method, made, f"a tensor of the shape {wanted}")
            return False
        return True

    def refuse(self, place: str, method: str, made: Any, wanted: str) -> None:
        """Note that a part gave something else than is wanted."""
        given = f"a {type(made).__name__}" if made is not None else "None"
        if isinstance(made, Tensor):
            given = f"{made.dtype} of the shape {tuple(made.shape)}"
        self.add(
            f"{self.name(place, method)} gave {given}; its author has to return "
            f"{wanted}"
        )

    def name(self, place: str, method: str) -> str:
        """Name a part by its place and class, and a method of it."""
        part = {"dataset": self.assembly.dataset, **self.assembly.parts()}[place]
        return f"{place} {type(part).__name__}" + (f".{method}" if method else "")

    def add(self, problem: str) -> None:
        """Note a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)
