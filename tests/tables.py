"""Recipes of parts that do nothing: for tests of how recipes are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gankit.errors import RecipeError
from gankit.plugins.registry import Registry
from gankit.recipe.recipe import structure_recipe
from sites import yields

CODE = """
from pathlib import Path
from typing import Literal

from gankit import Count, Fraction


def points(*, root: Path | str = "data", size: Count | None = None,
           classes: tuple[str, ...] = ("a", "b"), mirror: bool = False): ...

def network(shapes, *, width: Count = 64, shape: tuple[Count, float] = (1, 0.5)): ...

def game(*, share: Fraction = 0.5, kind: Literal["soft", "hard"] = "soft"): ...

def smooth(*, weight: float, every: Count = 1): ...

def labels(facts): ...

""" + yields(
    "Part('dataset', 'points', points)",
    "Part('generator', 'net', network)",
    "Part('discriminator', 'net', network)",
    "Part('loss', 'game', game)",
    "Part('penalty', 'smooth', smooth)",
    "Part('conditioner', 'labels', labels)",
)

MINIMAL: dict[str, Any] = {
    "dataset": {"use": "points"},
    "generator": {"use": "net"},
    "discriminator": {"use": "net"},
    "loss": {"use": "game"},
    "train": {"steps": 10},
}


def problems_of(table: dict[str, Any], registry: Registry) -> tuple[str, ...]:
    """Return what is wrong with a recipe that is called mine."""
    with pytest.raises(RecipeError, match="'mine' cannot be followed") as caught:
        structure_recipe("mine", table, registry)
    return caught.value.problems


def write_text(folder: Path, text: str) -> Path:
    """Write a recipe file that is called mine."""
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path
